"""Marks are taken out of a text before it is translated, and put back by the links between words.

    <p>I like "red" wine.</p>  ->  I like red wine.  ->  J'aime le vin rouge.
                               ->  <p>J'aime le vin « rouge ».</p>

A pair of marks goes around the words that what it enclosed became, within what it lay in; where
these are apart, around the stretch with most of them. A mark without a partner goes where the
word before it went. Each comes over exactly once, and pairs stay nested as they were; but quotes
and emphasis around nothing are left out.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from service.marks import Mark
from service.segmentation import Span

_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Tag:
    """A mark, and before which character of the text without marks it stood.

    `spaced` says that a space stood before it, `wide` that one stood on either side, `joined` that
    the space now there stood on none.
    """

    mark: Mark
    at: int
    spaced: bool
    wide: bool = False
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Untagged:
    """A text without its marks, and these in order."""

    text: str
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Linked:
    """A text without marks and its translation: words of both as spans, and which translate which.

    `links` are pairs of a source and a target word.
    """

    source_words: Sequence[Span]
    target: str
    target_words: Sequence[Span]
    links: Sequence[tuple[int, int]]


@dataclass(slots=True)
class _Element:
    """A pair of tags, or a single one, and the source words `first` up to `last` within it."""

    opens: Tag | None
    closes: Tag | None
    first: int
    last: int
    inner: "list[_Element]" = field(default_factory=list)

    @property
    def is_half(self) -> bool:
        """Whether it is a tag that should have a partner and has none."""
        return self.closes is None and self.opens is not None and self.opens.mark.role != "single"

    @property
    def name(self) -> str | None:
        """What it is called; the whole has no name."""
        return None if self.opens is None else self.opens.mark.name


@dataclass(frozen=True, slots=True)
class _Placed:
    """A mark before target word `at`: -1 closes words, 1 opens them, 0 has none."""

    tag: Tag
    at: int
    side: int


def untag(text: str, marks: Sequence[Mark], joiner: str) -> Untagged | None:
    """Take out the marks, given in order; None if there is none, or no word beside them.

    Words that only a mark kept apart get a `joiner` between them.
    """
    if not marks:
        return None
    made, tags, end = "", list[Tag](), 0
    for mark in marks:
        span = mark.span
        made += text[end : span.start]
        before, after = made[-1:], text[span.end : span.end + 1]
        spaced = before in ("", " ") or before.isspace()
        joined = bool(joiner) and not spaced and after not in ("", "<") and not after.isspace()
        joined = joined and (before.isalnum() or before in ".!?") and after.isalnum()
        wide = spaced and after == " "
        tags.append(Tag(mark, len(made), spaced, wide, joined))
        made += joiner if joined else ""
        end = span.end + wide
    made += text[end:]
    return Untagged(made, tuple(tags)) if _WORD.search(made) else None


def retag(untagged: Untagged, linked: Linked) -> str:
    """Return the translation with the marks."""
    root = _tree(untagged.tags, linked.source_words)
    owners = _owners(root, linked)
    marks = list(_marks(root, 0, len(linked.target_words), owners, linked))
    return _written(marks, linked)


def _tree(tags: Sequence[Tag], words: Sequence[Span]) -> _Element:
    """Return the elements, pairs where what closes finds the nearest of its name."""
    root = _Element(None, None, 0, len(words))
    open_elements = [root]
    for tag in tags:
        at = sum(word.start < tag.at for word in words)
        names = [one.name for one in open_elements]
        if tag.mark.role == "closes" and tag.mark.name in names:
            while open_elements[-1].name != tag.mark.name:
                _disown(open_elements.pop(), open_elements[-1])
            closed = open_elements.pop()
            closed.closes, closed.last = tag, at
            continue
        element = _Element(tag, None, at, at)
        open_elements[-1].inner.append(element)
        if tag.mark.role == "opens":
            open_elements.append(element)
    while len(open_elements) > 1:
        _disown(open_elements.pop(), open_elements[-1])
    return root


def _disown(single: _Element, outer: _Element) -> None:
    """Let what an element without an end seemed to enclose follow it."""
    at = outer.inner.index(single)
    outer.inner[at + 1 : at + 1] = single.inner
    single.inner = []


def _owners(root: _Element, linked: Linked) -> list[Sequence[_Element] | None]:
    """Return for each target word the elements around the source words that it came from."""
    chains = [_chain(root, word) for word in range(len(linked.source_words))]
    found: list[Sequence[_Element] | None] = []
    for word in range(len(linked.target_words)):
        mine = [chains[source] for source, target in linked.links if target == word]
        counts = Counter(tuple(map(id, chain)) for chain in mine)
        best = max(mine, key=lambda one: (counts[tuple(map(id, one))], len(one)), default=None)
        found.append(best)
    return found


def _chain(element: _Element, word: int) -> list[_Element]:
    for one in element.inner:
        if one.first <= word < one.last:
            return [one, *_chain(one, word)]
    return []


def _marks(
    element: _Element,
    low: int,
    high: int,
    owners: Sequence[Sequence[_Element] | None],
    linked: Linked,
) -> Iterator[_Placed]:
    """Yield the marks of what lies in an element, whose words in the target are `low` to `high`.

    Where nothing is linked to what an element encloses, it takes the words there that have no link.
    """
    placed: list[tuple[int, int, int, _Element]] = []
    for number, one in enumerate(element.inner):
        stretch = _stretch(one, element, low, high, owners)
        if stretch is not None:
            placed.append((*stretch, number, one))
    least = low
    for number, one in enumerate(element.inner):
        if all(number != other for _, _, other, _ in placed):
            at = _point(one, element, low, high, linked)
            if one.is_half:  # the other half may be elsewhere, so they keep their order
                at = least = max(at, least)
            at = next((end for start, end, *_ in placed if start < at < end), at)
            end = at
            if one.first < one.last:
                bounds = [start for start, *_ in placed if start >= at]
                while end < min(bounds, default=high) and _is_free(end, owners, linked):
                    end += 1
            placed.append((at, end, number, one))
    for start, end, _, one in sorted(placed, key=lambda place: place[:3]):
        side = 1 if start < end else 0
        halves = [tag for tag in (one.opens, one.closes) if tag is not None]
        shown = [tag for tag in halves if side or tag.mark.lasting]
        yield from (_Placed(tag, start, side) for tag in shown[:1])
        yield from _marks(one, start, end, owners, linked)
        yield from (_Placed(tag, end, -side) for tag in shown[1:])


def _is_free(word: int, owners: Sequence[Sequence[_Element] | None], linked: Linked) -> bool:
    return owners[word] is None and bool(
        _WORD.match(linked.target, linked.target_words[word].start)
    )


def _stretch(
    one: _Element,
    outer: _Element,
    low: int,
    high: int,
    owners: Sequence[Sequence[_Element] | None],
) -> tuple[int, int] | None:
    """Return the shortest stretch with most words of an element and fewest of what is around it."""
    if one.first == one.last or low == high:
        return None
    if (one.first, one.last) == (outer.first, outer.last):
        return low, high
    best, gain, begin = (0.0, 0, 0), 0.0, low
    for at in range(low, high):
        if gain <= 0:
            gain, begin = 0.0, at
        gain += _weight(owners[at], one, outer)
        best = max(best, (gain, begin - at - 1, begin))
    length = -best[1]
    return (best[2], best[2] + length) if best[0] > 0 else None


def _weight(owner: Sequence[_Element] | None, one: _Element, outer: _Element) -> float:
    if owner is None:
        return 0.0
    if any(mine is one for mine in owner):
        return 1.0
    others = any(mine is other for mine in owner for other in outer.inner)
    return -inf if others else -1.0


def _point(one: _Element, outer: _Element, low: int, high: int, linked: Linked) -> int:
    """Return before which target word a tag goes that is around none."""
    if one.first == outer.first:
        return low
    if one.first == outer.last:
        return high
    before = [
        (source, target + 1)
        for source, target in linked.links
        if outer.first <= source < one.first and low <= target < high
    ]
    return max(before)[1] if before else low


def _written(marks: Sequence[_Placed], linked: Linked) -> str:
    """Return the target with its tags: opening ones close to the next word, others to the last."""
    words, target = linked.target_words, linked.target
    edges = [0, *(edge for word in words for edge in (word.start, word.end)), len(target)]
    parts: list[str] = []
    for at in range(len(words) + 1):
        here = [mark for mark in marks if mark.at == at]
        closing = [number for number, mark in enumerate(here, 1) if mark.side < 0]
        left = closing[-1] if closing else 0
        while left < len(here) and here[left].side == 0 and not here[left].tag.spaced and at:
            left += 1
        gap = target[edges[2 * at] : edges[2 * at + 1]]
        if gap.isspace() and (at == len(words) or any(mark.tag.joined for mark in here)):
            gap = ""
        parts += [mark.tag.mark.becomes for mark in here[:left]] + [gap]
        for mark in here[left:]:
            parts.append(mark.tag.mark.becomes)
            parts.append(" " if mark.side == 0 and mark.tag.wide and at < len(words) else "")
        if at < len(words):
            parts.append(words[at].of(target))
    return "".join(parts)
