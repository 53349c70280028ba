"""A text as a model can read it, and where each character of that lies in the text as it was given.

    composed        e and U+0301  ->  é
    seen            soft hyphens, zero-width spaces and marks of direction are left out
    referred to     &eacute;  ->  é
    plain           ﬁ -> fi, Ａ -> A, « -> “, é -> e: only what the model does not know itself
    not shouted     I LOVE YOU.   ->  I love you.
    not a title     How To Open The Door  ->  How to open the door
    with room       (see tea/milk ->  ( see tea / milk
    day first       My birthday is May 12.  ->  My birthday is the 12 May.
    in words        the 2nd floor  ->  the second floor

What was shouted is to be answered in capitals too: `loud`. A word close to a sign on its left
would be other pieces than it usually is, which a model reads badly; a space makes `room` for it.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import regex

from service import dates, ordinals, scripts
from service.dates import Part
from service.placeholders import REFERENCE, meant
from service.segmentation import Span

Knows = Callable[[str], bool]
"""Whether a model knows a character, and need not spell it in bytes."""

_UNSEEN = regex.compile(r"[\p{Default_Ignorable_Code_Point}--\p{L}]", regex.V1)
_LIKE = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63", "-"),
    **dict.fromkeys("«„‟「『", "“"),
    **dict.fromkeys("»」』", "”"),
    "‹": "‘",
    "›": "’",
    "′": "'",
    "″": '"',
    "º": "°",
}
"""Signs that may be read as another."""

_ENCLOSING = "*[]"
"""Signs that stand around words, close to them: models do better if they see them."""

_FOLDED = ("<compat>", "<wide>", "<narrow>", "<font>", "<noBreak>")
"""Kinds of compatibility decompositions that keep the meaning; ² is no 2, and ½ no 1⁄2."""

_FEWEST = 5
"""Letters that make a shout: NATO is a name."""

_CLOSE = regex.compile(
    r"(?<!\S)[(\[{\"“‘«¿¡*~]++\K(?=[^\W\d_])"
    r"|(?<=[^\W\d_])(?:…|\.\.\.|[—–])\K(?=[^\W\d_])"
    r"|(?<=[^\W\d_]{3})(?=/[^\W\d_]{3})|(?<=[^\W\d_]{3}/)(?=[^\W\d_]{3})"
)
"""Where words stand close to what is on their left."""

_FEWEST_OF_TITLE = 4
_LONGEST_SMALL = 3
_WORDS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_BEHIND_DOT = " \"'”’»)]"
_I = re.compile(r"\bi\b")
_PARTS = regex.compile(r"[\p{L}\p{M}\p{N}--\p{Han}]+|\S", regex.V1)
_CLUSTER = regex.compile(r"(?s).\p{M}*")
_HAN = regex.compile(r"\p{Han}")


@dataclass(frozen=True, slots=True)
class Legible:
    """What is read of a text: character k of `text` is read off `begins[k]` to `ends[k]` of it.

    Where both are empty they are k and k + 1. Of several characters that were one, the last
    carries it and the others are empty at its start, as with byte pieces.
    """

    text: str
    shouted: bool = False
    begins: Sequence[int] = ()
    ends: Sequence[int] = ()

    def in_given(self, spans: Sequence[Span]) -> tuple[Span, ...]:
        """Return where spans of `text` lie in the text as it was given."""
        if not self.begins:
            return tuple(spans)
        size = max(self.ends)
        return tuple(
            Span(self.begins[span.start], self.ends[span.end - 1])
            if len(span)
            else Span(*[self.begins[span.start] if span.start < len(self.text) else size] * 2)
            for span in spans
        )


def read(text: str, knows: Knows, language: str) -> Legible:
    """Return what a model that `knows` some characters can read of a text in a language."""
    read = _dereferenced(text) if "&" in text else Legible(text)
    if not _is_legible(read.text, knows):
        read = _after(read, _spelled_out(read.text, knows))
    shouted = is_shouted(read.text)
    if not (shouted or is_title(read.text)):
        return read
    return Legible(_calm(read.text, language), shouted, read.begins, read.ends)


def roomy(legible: Legible) -> Legible:
    """Return what is read with a space between a word and a sign close to its left."""
    places = [match.start() for match in _CLOSE.finditer(legible.text, concurrent=False)]
    if not places:
        return legible
    size = len(legible.text)
    begins = list(legible.begins) or list(range(size))
    ends = list(legible.ends) or list(range(1, size + 1))
    text, wider, later, at = "", list[int](), list[int](), 0
    for place in (*places, size):
        text += legible.text[at:place]
        wider += begins[at:place]
        later += ends[at:place]
        if place < size:
            text += " "
            wider.append(begins[place])
            later.append(begins[place])
        at = place
    return Legible(text, legible.shouted, wider, later)


def day_first(legible: Legible) -> Legible:
    """Return what is read of an English text with the days of months before these."""
    return _instead(legible, list(dates.day_first(legible.text)))


def in_words(legible: Legible, language: str) -> Legible:
    """Return what is read of a text with its small ordinals in words."""
    found = ordinals.find(legible.text, language)
    return _instead(legible, [(start, end, [(word, start, end)]) for start, end, word in found])


def _instead(legible: Legible, found: Sequence[tuple[int, int, Sequence[Part]]]) -> Legible:
    """Return what is read with parts in the place of stretches of it."""
    if not found:
        return legible
    read = [*legible.text]
    begins, ends = list(range(len(read))), list(range(1, len(read) + 1))
    for start, end, parts in reversed(found):
        read[start:end] = " ".join(part for part, *_ in parts)
        places = [place for part in parts for place in ((part[1], part[1]), *_places(*part))][1:]
        begins[start:end] = [begin for begin, _ in places]
        ends[start:end] = [last for _, last in places]
    made = _after(legible, Legible("".join(read), False, begins, ends))
    return replace(made, shouted=legible.shouted)


def _places(part: str, begin: int, end: int) -> list[tuple[int, int]]:
    """Return where each character of a part lies; none ends before its neighbour begins."""
    places = [begin + at * (end - begin) // len(part) for at in range(len(part) + 1)]
    return list(pairwise(places))


def unknown(text: str, knows: Knows) -> list[Span]:
    """Return the words and signs of a text that its model could only spell in bytes.

    Not Chinese characters, whose words are to be translated, well or badly; nor words in small
    letters that can be read without their accents: a café is no name.
    """
    if all(map(knows, frozenset(text))):
        return []
    return [
        Span(*match.span())
        for match in _PARTS.finditer(text, concurrent=False)
        if _is_unknown(unicodedata.normalize("NFC", match.group()), knows)
    ]


def loud(text: str) -> str:
    """Return a text in capitals, character by character."""
    return "".join(up if len(up := one.upper()) == 1 else one for one in text)


def _is_legible(text: str, knows: Knows) -> bool:
    return text.isascii() or (
        unicodedata.is_normalized("NFC", text) and all(map(knows, frozenset(text)))
    )


def _dereferenced(text: str) -> Legible:
    """Return a text with the characters that references in it mean."""
    parts: list[str] = []
    begins: list[int] = []
    ends: list[int] = []
    at = 0
    for match in REFERENCE.finditer(text):
        character = meant(match.group())
        if character:
            parts += [text[at : match.start()], character]
            begins += [*range(at, match.start()), match.start()]
            ends += [*range(at + 1, match.start() + 1), match.end()]
            at = match.end()
    if not parts:
        return Legible(text)
    begins += range(at, len(text))
    ends += range(at + 1, len(text) + 1)
    return Legible("".join([*parts, text[at:]]), False, begins, ends)


def _after(first: Legible, second: Legible) -> Legible:
    """Return what is read of what was read; `second` must say where it lies in that."""
    if not (first.begins and second.begins):
        return Legible(second.text, False, second.begins or first.begins, second.ends or first.ends)
    begins = [first.begins[min(at, len(first.begins) - 1)] for at in second.begins]
    ends = [
        first.ends[end - 1] if end > begin else place
        for begin, end, place in zip(second.begins, second.ends, begins, strict=True)
    ]
    return Legible(second.text, False, begins, ends)


def _spelled_out(text: str, knows: Knows) -> Legible:
    parts: list[str] = []
    begins: list[int] = []
    ends: list[int] = []
    for match in _CLUSTER.finditer(text, concurrent=False):
        begin, end = match.span()
        composed = unicodedata.normalize("NFC", match.group())
        if composed == match.group() and len(composed) > 1:
            units = [(one, begin + at, begin + at + 1) for at, one in enumerate(composed)]
        else:
            units = [(composed, begin, end)]
        for unit, first, last in units:
            part = "".join(_plain(one, knows) for one in unit)
            parts.append(part)
            begins += [first] * len(part)
            ends += [first] * (len(part) - 1) + [last] * (len(part) > 0)
    made = "".join(parts)
    return Legible(made, False, begins, ends) if made.strip() else Legible(text)


def _is_unknown(part: str, knows: Knows) -> bool:
    strange = [one for one in part if not knows(one)]
    if not strange or part in _ENCLOSING or _HAN.fullmatch(part, concurrent=False):
        return False
    is_name = part[0].isupper()
    return any(_plain(one, knows) == one or (is_name and _bare(one) != one) for one in strange)


def _plain(character: str, knows: Knows) -> str:
    """Return what to read for a character; itself if nothing is better."""
    if knows(character):
        return character
    if _UNSEEN.match(character, concurrent=False):
        return ""
    folded = _LIKE.get(character, character)
    if unicodedata.decomposition(character).startswith(_FOLDED):
        folded = unicodedata.normalize("NFKC", character)
        folded = "".join(_LIKE.get(one, one) for one in folded)
    if folded == character:
        folded = _bare(character)
    return folded if all(map(knows, folded)) else character


def _bare(character: str) -> str:
    """Return a letter without its accents."""
    base, *marks = list(unicodedata.normalize("NFD", character))
    return base if marks and all(map(unicodedata.combining, marks)) else character


def is_shouted(text: str) -> bool:
    """Whether a text is all in capitals."""
    if not text.isupper():
        return False
    letters = [one for one in text if one.isalpha()]
    return len(letters) >= _FEWEST and all(one.isupper() for one in letters)


def is_title(text: str) -> bool:
    """Whether so many words have a capital that it tells nothing; no list, and no sentence."""
    words = _WORDS.findall(text)
    capitals = sum(word[0].isupper() and word[1:] == word[1:].lower() for word in words)
    small = [word for word in words if word[0].islower()]
    return (
        capitals >= max(_FEWEST_OF_TITLE, 2 * len(small))
        and not any(len(word) > _LONGEST_SMALL for word in small)
        and not ("," in text or text.rstrip(_BEHIND_DOT).endswith("."))
    )


def _calm(text: str, language: str) -> str:
    """Return capitals as a sentence is usually written, character by character."""
    lower = "".join(down if len(down := one.lower()) == 1 else one for one in text)
    first = next(at for at, one in enumerate(text) if one.isalpha())
    made = lower[:first] + text[first] + lower[first + 1 :]
    return _I.sub("I", made) if scripts.base(language) == "en" else made
