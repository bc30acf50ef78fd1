"""What stands around the digits of a number: currencies, percent signs, limits, notes, quotes, and digits of other scripts."""

import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

# More characters than any number has, with its signs: a double has 17 digits, and a third more with their separators.
LONGEST = 40
CURRENCY = (
    r"\p{Sc}|R\$|US\$|A\$|C\$|z\x{142}|K\x{10d}|kr\.?|Fr\.|Rs\.?|Ft|"
    r"EUR|USD|GBP|JPY|CHF|CNY|INR|RUB|PLN|CZK|HUF|SEK|NOK|DKK|TRY|BRL|MXN|CAD|AUD|NZD|ZAR|KRW"
)
# A limit or a rough number, as laboratories and forms write them: <0.5, >=90, ~12, 65+. What may be off is behind a ± or in
# brackets, what is said of it in a note behind asterisks.
ROUGH = (
    r"^(?:[<>\x{2264}\x{2265}~\x{2248}]=?\s*([^<>=~]*[0-9][^<>=~]*)"
    r"|([^<>=~+]*[0-9])\+|(.*[0-9])\s*(?:\x{b1}|\+/-).*[0-9].*"
    r"|([^(\[]*[0-9]%?)\s*(?:\([^()]*[0-9][^()]*\)|\[[^\[\]]*[0-9][^\[\]]*\])|([^*\x{2020}]*[0-9])\s*[*\x{2020}]+)$"
)
# Around a number: a formula or a quote that keeps spreadsheets from changing it. Behind it: powers of ten.
_WRITTEN = (
    (r"^=?\"(.*)\"$", r"\1"),
    (r"^'(.*[0-9].*?)'?$", r"\1"),
    (r"([0-9.,])\s*[x\x{d7}*\x{b7}]\s*10(?:\s*\^\s*([+-]?[0-9]+)|([+-][0-9]+))$", r"\1e\2\3"),
    (r"([0-9])[.,][\x{2013}\x{2014}]$", r"\1"),
    (r"^([+-]?[0-9.,]+)[dD]([+-][0-9]+)$", r"\1e\2"),
)
_OTHER_DIGITS = (
    r"[\x{660}-\x{669}\x{6f0}-\x{6f9}\x{966}-\x{96f}\x{9e6}-\x{9ef}\x{e50}-\x{e59}\x{ff10}-\x{ff19}]"
    r"|10[\x{207b}\x{b2}\x{b3}\x{b9}\x{2070}-\x{2079}]"
)
_SIGNS = str.maketrans("．，－＋％٫٬٪", ".,-+%.,%")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
# Sign, currency, sign, the number, and a currency or a percent sign behind it.
_DRESSED = rf"^([+-]?)\s*({CURRENCY})?\s*([+-]?)\s*([0-9.,][0-9.,' ]*(?:[eE][+-]?[0-9]+)?)\s*({CURRENCY}|%)?$"


def write_digits(text: pa.Array) -> pa.Array:
    """Return texts with the digits of all scripts, and powers, as ASCII writes them.

    >>> write_digits(pa.array(["１２．５", "٠٫٥", "1.5×10⁻³", "m²", None])).to_pylist()
    ['12.5', '0.5', '1.5×10^-3', 'm²', None]
    """
    if not pc.any(pc.match_substring_regex(text, _OTHER_DIGITS)).as_py():
        return text
    return pa.array([each and _write_digits(each) for each in text.to_pylist()], text.type)


def _write_digits(text: str) -> str:
    if len(text) > LONGEST:
        return text
    text = re.sub(r"(?<=10)[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+$", lambda power: "^" + power[0].translate(_SUPERSCRIPTS), text)
    plain = "".join(
        str(unicodedata.digit(mark)) if unicodedata.category(mark) == "Nd" else mark for mark in text
    )
    return plain.translate(_SIGNS) if plain != text or "．" in text else text


def strip_signs(text: pa.Array) -> pa.Array:
    """Return numbers without currency and percent signs, with an ordinary minus and ordinary blanks."""
    if not pc.any(pc.match_substring_regex(text, "[^0-9.,eE+-]|[+-]$")).as_py():
        return text
    for pattern, new in _WRITTEN:
        text = pc.replace_substring_regex(text, pattern, new)
    text = pc.replace_substring_regex(text, r"[\x{a0}\x{202f}\x{2009}]", " ")
    text = pc.replace_substring_regex(pc.replace_substring(text, "\u2212", "-"), "[\u2019\u00b4`]", "'")
    text = pc.replace_substring_regex(text, ROUGH, r"\1\2\3\4\5")
    text = pc.replace_substring_regex(text, r"^\((.*[0-9].*)\)$", r"-\1")  # as bookkeepers write what is owed
    text = pc.replace_substring_regex(text, r"^([0-9][0-9.,' ]*)-$", r"-\1")  # as SAP does
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(text, _DRESSED, r"\1\3\4"))
