"""Tags are taken out of a text before it is translated, and put back by the links between words.

    <p>I like <b>red</b> wine.</p>  ->  I like red wine.  ->  J'aime le vin rouge.
                                    ->  <p>J'aime le vin <b>rouge</b>.</p>

A pair of tags goes around the words that what it enclosed became, within what it lay in; where
these are apart, around the stretch with most of them. A tag without a partner goes where the
word before it went. Each comes over exactly once, and pairs stay nested as they were.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from service.segmentation import Span

_TAG = re.compile(r"<(?P<closes>/)?(?P<name>[A-Za-z][\w:.-]*)?[^<>]*?(?P<empty>/)?>", re.ASCII)
_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, and before which character of the text without tags it stood.

    `spaced` says that a space stood before it, `wide` that one stood on either side, `joined` that
    the space now there stood on none.
    """

    text: str
    at: int
    spaced: bool
    wide: bool = False
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Untagged:
    """A text without its tags, and these in order."""

    text: str
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class Linked:
    """A text without tags and its translation: words of both as spans, and which translate which.

    `links` are pairs of a source and a target word.
    """

    source_words: Sequence[Span]
    target: str
    target_words: Sequence[Span]
    links: Sequence[tuple[int, int]]


@dataclass(slots=True)
class _Element:
    """A pair of tags, or a single one, and the source words `first` up to `last` within it."""

    opens: Tag
    closes: Tag | None
    first: int
    last: int
    inner: "list[_Element]" = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A tag before target word `at`: -1 closes words, 1 opens them, 0 has none."""

    tag: Tag
    at: int
    side: int


def untag(text: str, spans: Sequence[Span], joiner: str) -> Untagged | None:
    """Take out what is a tag among the spans; None if there is none, or no word beside them.

    Words that only a tag kept apart get a `joiner` between them.
    """
    found = [span for span in spans if _TAG.fullmatch(span.of(text))]
    if not found:
        return None
    made, tags, end = "", list[Tag](), 0
    for span in found:
        made += text[end : span.start]
        before, after = made[-1:], text[span.end : span.end + 1]
        spaced = before in ("", " ") or before.isspace()
        joined = bool(joiner) and not spaced and after not in ("", "<") and not after.isspace()
        joined = joined and (before.isalnum() or before in ".!?") and after.isalnum()
        wide = bool(made) and spaced and after == " "
        tags.append(Tag(span.of(text), len(made), spaced, wide, joined))
        made += joiner if joined else ""
        end = span.end + wide
    made += text[end:]
    return Untagged(made, tuple(tags)) if _WORD.search(made) else None


def retag(untagged: Untagged, linked: Linked) -> str:
    """Return the translation with the tags."""
    root = _tree(untagged.tags, linked.source_words)
    owners = _owners(root, linked)
    marks = list(_marks(root, 0, len(linked.target_words), owners, linked))
    return _written(marks, linked)


def _tree(tags: Sequence[Tag], words: Sequence[Span]) -> _Element:
    """Return the elements, pairs where a closing tag finds the nearest of its name."""
    root = _Element(Tag("", 0, True), None, 0, len(words))
    open_elements = [root]
    for tag in tags:
        match = _TAG.fullmatch(tag.text)
        name = match["name"] if match else None
        at = sum(word.start < tag.at for word in words)
        if match and name and match["closes"]:
            names = [_name(one) for one in open_elements[1:]]
            if name.lower() in names:
                while _name(open_elements[-1]) != name.lower():
                    _disown(open_elements.pop(), open_elements[-1])
                closed = open_elements.pop()
                closed.closes, closed.last = tag, at
                continue
        element = _Element(tag, None, at, at)
        open_elements[-1].inner.append(element)
        if match and name and not (match["empty"] or match["closes"]):
            open_elements.append(element)
    while len(open_elements) > 1:
        _disown(open_elements.pop(), open_elements[-1])
    return root


def _disown(single: _Element, outer: _Element) -> None:
    """Let what an element without an end seemed to enclose follow it."""
    at = outer.inner.index(single)
    outer.inner[at + 1 : at + 1] = single.inner
    single.inner = []


def _name(element: _Element) -> str:
    match = _TAG.fullmatch(element.opens.text)
    return (match["name"] or "").lower() if match else ""


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
) -> Iterator[_Mark]:
    """Yield the tags of what lies in an element, whose words in the target are `low` to `high`."""
    placed: list[tuple[int, int, int, _Element]] = []
    for number, one in enumerate(element.inner):
        stretch = _stretch(one, element, low, high, owners)
        if stretch is not None:
            placed.append((*stretch, number, one))
    for number, one in enumerate(element.inner):
        if all(number != other for _, _, other, _ in placed):
            at = _point(one, element, low, high, linked)
            at = next((end for start, end, *_ in placed if start < at < end), at)
            placed.append((at, at, number, one))
    for start, end, _, one in sorted(placed, key=lambda place: place[:3]):
        side = 1 if start < end else 0
        yield _Mark(one.opens, start, side)
        yield from _marks(one, start, end, owners, linked)
        if one.closes is not None:
            yield _Mark(one.closes, end, -side)


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


def _written(marks: Sequence[_Mark], linked: Linked) -> str:
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
        parts += [mark.tag.text for mark in here[:left]] + [gap]
        for mark in here[left:]:
            parts.append(mark.tag.text)
            parts.append(" " if mark.side == 0 and mark.tag.wide and 0 < at < len(words) else "")
        if at < len(words):
            parts.append(words[at].of(target))
    return "".join(parts)
