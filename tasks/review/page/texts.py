"""Running text as a card shows it: cut where it is long, its telling words marked."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from tasks.word_weights import Word

# Characters of the sample's own text that come with its card: more than a tall screen holds. The whole is a request away.
CARD = 5_000
# Of a text in a list: what tells what it is about.
LISTED = 280
# A shorter text is read faster than a word is typed.
SEARCHED = 600
# Words of less than a quarter of the strongest word's weight are not marked, or most of a text would be.
LEAST = 0.25
_LEVELS = 3


def cut(text: str, limit: int) -> str:
    """Return the beginning of a text, whole words of it.

    >>> cut("one two three", 9), cut("one two", 9), cut("onetwothree", 4)
    ('one two', 'one two', 'onet')
    """
    if len(text) <= limit:
        return text
    head = text[:limit]
    return head.rsplit(None, 1)[0] if any(character.isspace() for character in head.strip()) else head


def mark_words(text: str, words: Sequence[Word], given: str) -> Markup:
    """Return a text as HTML, with the words marked that speak for the given or for the suggested label.

    >>> mark_words("a <b> c", [Word(2, 5, "x", 1.0)], "x")
    Markup('a <mark class="given s3">&lt;b&gt;</mark> c')
    """
    strongest = max((word.weight for word in words), default=0.0)
    parts, at = [], 0
    for word in words:
        share = word.weight / strongest
        if share < LEAST:
            continue
        side = "given" if word.label == given else "suggested"
        level = min(_LEVELS, 1 + int(share * _LEVELS))
        mark = Markup('<mark class="{} s{}">{}</mark>').format(side, level, text[word.start : word.end])
        parts += [escape(text[at : word.start]), mark]
        at = word.end
    return Markup("").join([*parts, escape(text[at:])])
