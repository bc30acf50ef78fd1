"""Text of the report: data made harmless to look at, numbers made easy to read.

Escaping for HTML is the template's work, for every value but a sentence with its labels; here a value becomes one that cannot
reorder, hide or flood the text around it.
"""

import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

# A label or a cell longer than this is no longer read but skimmed; the whole value stays in the queue's files.
CELL = 60
SENTENCE = 400
# The whole name of a column or feature, but for what nobody called it on purpose.
NAME = 300
# Of a column beside its value in a narrow table.
_SHORT_NAME = 26

# Joiners that scripts and emoji need; every other invisible formatting character can only mislead, direction overrides first.
_JOINERS = "\u200c\u200d"
_REPLACED = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def show_plain(value: object, limit: int = CELL) -> str:
    r"""Return `value` as visible text of at most `limit` characters.

    Control characters, direction overrides and lone surrogates become visible marks; line breaks become spaces.

    >>> show_plain("cat\u202egod"), show_plain("a\x1b[31mb"), show_plain("x" * 100, 5), show_plain(None), show_plain(0.1 + 0.2)
    ('cat\ufffdgod', 'a␛[31mb', 'xxxx…', '–', '0.3')
    """
    if value is None:
        return "–"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, float):
        return format_number(value)
    # Cut before cleaning, so that a cell of megabytes costs no more than a short one.
    text = " ".join(str(value)[: limit + 1_000].replace("\x00", "␀").split())
    cleaned = "".join(_show_control(character) for character in text)
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"


def _show_control(character: str) -> str:
    if unicodedata.category(character) not in _REPLACED or character in _JOINERS:
        return character
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else "\ufffd"


def format_number(value: float | None) -> str:
    """Return a number with at most four significant digits and grouped thousands.

    >>> [format_number(value) for value in (1797, 0.95512, -3.21987, 1.5e-7, None, float("nan"))]
    ['1,797', '0.9551', '−3.22', '1.5e−7', '–', '–']
    """
    if value is None or not math.isfinite(value):
        return "–"
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e9):
        text = f"{int(value):,}"
    elif 1e-3 <= abs(value) < 1e5:
        decimals = 4 if abs(value) < 1 else 2 if abs(value) < 100 else 1
        text = f"{value:,.{decimals}f}".rstrip("0").rstrip(".")
    else:
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−")


def format_decimal(value: float | None, decimals: int) -> str:
    """Return a number with so many decimals, for columns of numbers that are compared.

    >>> format_decimal(-1.9, 2), format_decimal(1.0, 3), format_decimal(None, 2)
    ('−1.90', '1.000', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.{decimals}f}".replace("-", "−")


def format_share(share: float | None, decimals: int = 0) -> str:
    """Return a share as a percentage that never rounds to a certainty it is not.

    >>> [format_share(share) for share in (0.999, 0.0004, 1.0, 0.0, None)]
    ['>99 %', '<1 %', '100 %', '0 %', '–']
    """
    if share is None or not math.isfinite(share):
        return "–"
    edge = 10.0**-decimals
    if 0 < share * 100 < edge:
        return f"<{edge:.{decimals}f} %"
    if 100 - edge < share * 100 < 100:
        return f">{100 - edge:.{decimals}f} %"
    return f"{share * 100:.{decimals}f} %"


def format_seconds(value: float) -> str:
    """Return a duration as a person says it.

    >>> format_seconds(0.0421), format_seconds(12.34), format_seconds(754), format_seconds(8000)
    ('0.04 s', '12.3 s', '12 min 34 s', '2 h 13 min')
    """
    if value < 60:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def pluralise(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun.

    >>> pluralise(1, "sample"), pluralise(1797, "sample"), pluralise(2, "class", "classes")
    ('1 sample', '1,797 samples', '2 classes')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def join_names(names: Iterable[str]) -> str:
    """Return names as one phrase.

    >>> join_names(["a"]), join_names(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    *first, last = list(names)
    return f"{', '.join(first)} and {last}" if first else last


def shorten_names(names: Iterable[str]) -> dict[str, str]:
    """Return long names of columns without their middle, or with it alone where only that tells them apart.

    >>> list(shorten_names(["length", "measurement_of_pressure_over_59_days"]).values())
    ['length', 'measurement_of…ver_59_days']
    >>> list(shorten_names(f"mean_concentration_of_{n}_in_upper_sediment" for n in ("iron", "zinc")).values())
    ['…ration_of_iron_in_upper_…', '…ration_of_zinc_in_upper_…']
    """
    most, short = _SHORT_NAME, defaultdict[str, list[str]](list)
    for name in names:
        short[name if len(name) <= most else f"{name[:14]}…{name[-11:]}"].append(name)
    found: dict[str, str] = {}
    for key, group in short.items():
        ahead = _count_common(group)
        behind = _count_common([name[ahead:][::-1] for name in group])
        starts = [ahead - max(0, most - 2 - (len(name) - behind - ahead)) // 2 for name in group]
        cut = [f"…{name[at : at + most - 2]}…" for name, at in zip(group, starts, strict=True)]
        cut = [key] if len(group) == 1 else group if len(set(cut)) < len(group) else cut
        found |= dict(zip(group, cut, strict=True))
    return found


def _count_common(names: Sequence[str]) -> int:
    """Return with how many equal characters all names begin."""
    return sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False)))


def open_templates(package: str) -> Environment:
    """Return the templates of a package: all values are escaped, and a name that is not there is an error."""
    loader = PackageLoader(package)
    found = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.filters["isolated"] = isolate_labels
    return found


def isolate_labels(sentence: str, labels: Sequence[str]) -> Markup:
    """Return a sentence as HTML whose right-to-left labels leave the order of the words around them alone.

    >>> isolate_labels("Looks like \u05d0 (92 %).", ["\u05d0", "b"])
    Markup('Looks like <bdi>\u05d0</bdi> (92 %).')
    """
    html = escape(sentence)
    for label in labels:
        if any(unicodedata.bidirectional(character) in ("R", "AL") for character in label):
            html = html.replace(escape(label), Markup("<bdi>{}</bdi>").format(label))
    return html


def write_trust_line(queue: Mapping[str, Any]) -> str:
    """Return the verdict on a queue, as `summary.json` has it, in one or two sentences; empty where there is none.

    >>> trust = {"verdict": "fair", "why": "models predict 80 %", "helps": "more raters"}
    >>> write_trust_line({"flagged": 7, "trust": trust})
    'This queue is fair, and some of its labels may be right: models predict 80 %. What would help: more raters.'
    >>> write_trust_line({"flagged": 0, "trust": trust | {"helps": ""}})
    'No label looks wrong, but some that are may be missed: models predict 80 %.'
    """
    if not (trust := queue.get("trust")):
        return ""
    heads = {
        "strong": "This queue is strong",
        "fair": "This queue is fair, and some of its labels may be right",
        "weak": "This queue is weak, and many of its labels may be right",
    }
    if not queue["flagged"]:
        heads = {
            "strong": "No label looks wrong, and most that are would be found",
            "fair": "No label looks wrong, but some that are may be missed",
            "weak": "No label looks wrong, but many that are may be missed",
        }
    head = heads.get(trust["verdict"], "The models cannot tell right labels from wrong ones here")
    tail = f" What would help: {trust['helps']}." if trust["helps"] else ""
    return f"{head}: {trust['why']}.{tail}"
