"""What a translation keeps as it is, and the characters that stand for it meanwhile.

Addresses, code, placeholders, tags, long numbers, emoji and words in a foreign script go over
unchanged. A model that was trained for it (its manifest says so) never sees them: each is swapped
for a stand-in, a control character, which is one piece that the model has learned to carry over,
and swapped back afterwards.

    Mail tom@example.com today.   ->  Mail \\x01 today.
    \\x01 aujourd'hui.             ->  tom@example.com aujourd'hui.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from service.numerals import is_numeral
from service.segmentation import Span

STAND_INS = "\x01\x02\x03\x04\x05\x06\x07\x08"
"""All there are. Those that a text has itself are kept like anything else that is no language."""

FOR_NUMBERS = STAND_INS[5:]
"""Those that stand for numbers first, where a model tells these from what else is kept."""

Spell = Callable[[str], str]
"""How a target writes what it keeps."""

_NOT_STAND_INS = dict.fromkeys(map(ord, STAND_INS), "\x0e")
"""What those of a text are read as that stand for nothing."""

_SPACES = dict.fromkeys(map(ord, "\u00a0\u202f"), " ")


@dataclass(frozen=True, slots=True)
class Kept:
    """A stretch of a text that goes over, the character that stands for it, and how it is written.

    That is as it stands, but for names in another script.
    """

    span: Span
    stand_in: str
    written: str


@dataclass(frozen=True, slots=True)
class StandIns:
    """The stand-ins that a model knows, in the order in which they are taken.

    Numbers take those of `numbers` first, and what else is kept the others.
    """

    every: str = STAND_INS
    numbers: str = ""

    def given(self, contents: Iterable[str]) -> dict[str, str]:
        """Return what stands for each content, as far as there are stand-ins."""
        free, given = list(self.every), dict[str, str]()
        for content in dict.fromkeys(contents):
            if free:
                of_number = is_numeral(content)
                given[content] = min(free, key=lambda one: (one in self.numbers) is not of_number)
                free.remove(given[content])
        return given


ALL = StandIns()


@dataclass(frozen=True, slots=True)
class Swapped:
    """A text in two forms: `whole`, and `text` with stand-ins; spans of `kept` are of the whole."""

    text: str
    whole: str
    kept: tuple[Kept, ...]

    def in_whole(self, spans: Sequence[Span]) -> tuple[Span, ...]:
        """Return where spans of `text` lie in the whole."""
        if not self.kept:
            return tuple(spans)
        grown = [0, *accumulate(len(kept.span) - 1 for kept in self.kept)]
        places = [kept.span.start - by for kept, by in zip(self.kept, grown, strict=False)]
        return tuple(
            Span(*(at + grown[bisect_left(places, at)] for at in (span.start, span.end)))
            for span in spans
        )


def swap(
    text: str, spans: Iterable[Span], stand_ins: StandIns = ALL, spell: Spell = str
) -> Swapped:
    """Swap stretches for the stand-ins in order; like ones share one, and the rest stays."""
    found = list(spans)
    known = stand_ins.given(span.of(text) for span in found)
    kept = [
        Kept(span, known[content], spell(content))
        for span in found
        if (content := span.of(text)) in known
    ]
    return swap_kept(text, kept)


def swap_in(text: str, carried: Mapping[str, str]) -> Swapped:
    """Swap what the stand-ins of another text stand for, wherever this text has it too."""
    kept: list[Kept] = []
    taken = bytearray(len(text))
    for stand_in, content in sorted(carried.items(), key=lambda item: -len(item[1])):
        for span in occurrences(text, content):
            if not any(taken[span.start : span.end]):
                taken[span.start : span.end] = b"\1" * len(span)
                kept.append(Kept(span, stand_in, content))
    return swap_kept(text, sorted(kept, key=lambda one: one.span.start))


def swap_pair(
    source: str,
    target: str,
    spans: Iterable[Span],
    stand_ins: StandIns = ALL,
    spell: Spell = str,
) -> tuple[Swapped, Swapped]:
    """Swap those stretches of a source that its target has as many times, in both.

    The target may have them as it would write them, or as they stand.
    """
    found = list(spans)
    asked = Counter(span.of(source) for span in found)
    forms = ((one, form, n) for one, n in asked.items() for form in (one, spell(one)))
    written = {one: form for one, form, n in forms if len(occurrences(target, form)) == n}
    shared = (span for span in found if span.of(source) in written)
    near = swap(source, shared, stand_ins, written.__getitem__)
    far = swap_in(target, {one.stand_in: one.written for one in near.kept})
    if Counter(one.stand_in for one in near.kept) != Counter(one.stand_in for one in far.kept):
        return swap_kept(source, []), swap_kept(target, [])  # one lies within another
    return near, far


def restore(text: str, carried: Mapping[str, str]) -> Swapped:
    """Swap every stand-in of a text for what it stands for."""
    if not carried:
        return Swapped(text, text, ())
    parts: list[str] = []
    kept: list[Kept] = []
    at = 0
    for character in text:
        content = carried.get(character, character)
        if character in carried:
            kept.append(Kept(Span(at, at + len(content)), character, content))
        parts.append(content)
        at += len(content)
    return Swapped(text, "".join(parts), tuple(kept))


def occurrences(text: str, content: str) -> list[Span]:
    """Return where a text has a content that does not go on as a longer word, in order.

    A space may be one that breaks no line.
    """
    text, content = (one.translate(_SPACES) for one in (text, content))
    spans: list[Span] = []
    at = text.find(content)
    while at >= 0:
        end = at + len(content)
        if _is_apart(text, at) and _is_apart(text, end):
            spans.append(Span(at, end))
        at = text.find(content, end)
    return spans


def _is_apart(text: str, at: int) -> bool:
    """Whether a word may begin or end at a place, for all that its neighbours say."""
    around = text[at - 1 : at + 1] if 0 < at < len(text) else ""
    return not around or not all(_is_narrow(character) for character in around)


def _is_narrow(character: str) -> bool:
    """Whether a character goes with its like in one word; a Chinese one need not."""
    return character.isalnum() and character < "\u2e80"


def swap_kept(whole: str, kept: Sequence[Kept]) -> Swapped:
    """Swap known stretches, in order; a stand-in that the text has itself stands for nothing."""
    parts, at = [], 0
    for one in kept:
        parts += [whole[at : one.span.start].translate(_NOT_STAND_INS), one.stand_in]
        at = one.span.end
    return Swapped("".join([*parts, whole[at:].translate(_NOT_STAND_INS)]), whole, tuple(kept))
