"""Dates with words in them, rewritten as computers write them: '3. März 2024', '2024年3月3日', '[02/Jan/2015:08:20:45 +0000]'."""

import pyarrow as pa
import pyarrow.compute as pc

# Months as people write and shorten them in English, German, French, Spanish, Italian, Portuguese and Dutch.
_MONTHS = {
    "Jan": "january|januari|januar|janvier|janv|enero|ene|gennaio|gen|janeiro|jan",
    "Feb": "february|februari|februar|février|févr|fév|febrero|febbraio|feb|fevereiro|fev",
    "Mar": "march|märz|mär|mrz|mars|marzo|março|maart|mrt|mar",
    "Apr": "april|avril|avr|abril|abr|aprile|apr",
    "May": "may|mai|mayo|maggio|mag|maio|mei",
    "Jun": "june|juni|juin|junio|giugno|giu|junho|jun",
    "Jul": "july|juli|juillet|juil|julio|luglio|lug|julho|jul",
    "Aug": "august|augustus|août|agosto|ago|aug",
    "Sep": "september|septembre|septiembre|settembre|setembro|sept|sep|set",
    "Oct": "october|oktober|octobre|octubre|ottobre|ott|outubro|okt|oct|out",
    "Nov": "november|novembre|noviembre|novembro|nov",
    "Dec": "december|dezember|décembre|diciembre|dicembre|dic|dezembro|dez|déc|dec",
}
_LETTER = r"A-Za-z\x{c0}-\x{24f}"
_REWRITTEN = (
    (r"^\[(.*)\]$", r"\1"),
    (r"([0-9]{4})\s*[年년]\s*([0-9]{1,2})\s*[月월]\s*([0-9]{1,2})\s*[日일]", r"\1-\2-\3"),
    (r"(?:上午|午前|오전)\s*([0-9:]+)", r" \1 AM"),
    (r"(?:下午|午後|오후)\s*([0-9:]+)", r" \1 PM"),
    (r"(?i)^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+", ""),
    *(
        (rf"(?i)(^|[^{_LETTER}])(?:{names})\.?($|[^{_LETTER}])", rf"\1{month}\2")
        for month, names in _MONTHS.items()
    ),
    # A zone shifts all dates alike, or by hours.
    (r"\s(?:GMT|UTC|[A-Z]{2,4}T|[+-][0-9]{4})(?:[+-][0-9:]+)?(\s|$)", r"\1"),
    (r"(?i)\s*uhr$", ""),
    (r"\s(?:de|del)\s", " "),
    (r"([0-9])(?:st|nd|rd|th|\.)\s*([A-Z][a-z]{2})", r"\1 \2"),
    (r"/([A-Z][a-z]{2})/", r"-\1-"),
    (r"([0-9]{4}):([0-9]{2}:)", r"\1 \2"),
    (r"([0-9]),?\s+(?:um |at |à |a las |às |alle |om )?([0-9]{1,2}:)", r"\1 \2"),
)
_FRACTION = r"^(.*\D[0-9]{1,2}:[0-9]{2}:[0-9]{2})[.,][0-9]+"


def rewrite_words(text: pa.Array) -> pa.Array:
    """Return texts with the dates in them written as computers write them; all others as they are.

    >>> dates = ["3. März 2024", "2 de enero de 2015", "Monday, February 02, 2015", "02.01.2015, 08:20 Uhr", "2015年1月2日"]
    >>> rewrite_words(pa.array(dates)).to_pylist()
    ['3 Mar 2024', '2 Jan 2015', 'Feb 02, 2015', '02.01.2015 08:20', '2015-1-2']
    >>> rewrite_words(pa.array(["[02/Jan/2015:08:20:45 +0000]", "2015/01/02 3:45:12 PM GMT+2", "2024-01-05T08:00Z"])).to_pylist()
    ['02-Jan-2015 08:20:45', '2015/01/02 3:45:12 PM', '2024-01-05T08:00Z']
    """
    worded = pc.match_substring_regex(text, rf"[{_LETTER},\x{{3040}}-\x{{9fff}}\x{{ac00}}-\x{{d7a3}}]|\s[+-]")
    if not pc.any(worded).as_py():
        return text
    for pattern, new in _REWRITTEN:
        text = pc.replace_substring_regex(text, pattern, new)
    return text


def drop_fractions(text: pa.Array) -> pa.Array:
    """Return moments without fractions of their seconds.

    >>> drop_fractions(pa.array(["02.01.2015 08:20:45.123", "1,5"])).to_pylist()
    ['02.01.2015 08:20:45', '1,5']
    """
    return pc.replace_substring_regex(text, _FRACTION, r"\1")
