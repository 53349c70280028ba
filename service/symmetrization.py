"""Word links of both directions of a pair, merged into one set of (source, target) pairs.

`forward` is what the model from source to target links, `backward` what the model from target to
source links, turned round to (source, target). Och and Ney (2003) take the intersection or the
union; Koehn et al. (2005) grow the intersection within the union:

    grow-diag            add what touches a link, also diagonally, while one of its two words
                         has no link yet; the links are gone through by target word, then by
                         source word, until nothing is added
    grow-diag-final-and  then add, first of forward and then of backward, what joins two words
                         that both have no link yet

    intersection  ⊆  grow-diag  ⊆  grow-diag-final-and  ⊆  union

The order in which links compete is that of `symal` in Moses, so its results are the same.
"""

import heapq
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Literal

from service.alignment import Link

Method = Literal["intersection", "union", "grow-diag", "grow-diag-final-and"]
Pairs = AbstractSet[tuple[int, int]]

_NEIGHBOURS = ((0, -1), (-1, 0), (0, 1), (1, 0), (-1, -1), (1, -1), (-1, 1), (1, 1))
"""Steps (source, target), in the order in which Moses takes them."""


def intersection(forward: Pairs, backward: Pairs) -> set[tuple[int, int]]:
    """Links that both directions made: few and right."""
    return set(forward & backward)


def union(forward: Pairs, backward: Pairs) -> set[tuple[int, int]]:
    """Links that either direction made: many, and some wrong."""
    return set(forward | backward)


def grow_diag(forward: Pairs, backward: Pairs) -> set[tuple[int, int]]:
    """The intersection, grown along neighbours within the union."""
    either, links = forward | backward, set(forward & backward)
    sources, targets = {s for s, _ in links}, {t for _, t in links}
    here = sorted((t, s) for s, t in links)  # a heap by target: what this round still goes through
    later: list[tuple[int, int]] = []
    while here:
        t, s = heapq.heappop(here)
        for ds, dt in _NEIGHBOURS:
            near = (s + ds, t + dt)
            if near in either and (near[0] not in sources or near[1] not in targets):
                links.add(near)
                sources.add(near[0])
                targets.add(near[1])
                heapq.heappush(here if near[::-1] > (t, s) else later, near[::-1])
        if not here:
            here, later = later, []
    return links


def grow_diag_final_and(forward: Pairs, backward: Pairs) -> set[tuple[int, int]]:
    """`grow_diag`, and then what joins two words that both have no link yet."""
    links = grow_diag(forward, backward)
    sources, targets = {s for s, _ in links}, {t for _, t in links}
    for direction in (forward, backward):
        for s, t in sorted(direction, key=lambda link: (link[1], link[0])):
            if s not in sources and t not in targets:
                links.add((s, t))
                sources.add(s)
                targets.add(t)
    return links


METHODS: Mapping[str, Callable[[Pairs, Pairs], set[tuple[int, int]]]] = {
    "intersection": intersection,
    "union": union,
    "grow-diag": grow_diag,
    "grow-diag-final-and": grow_diag_final_and,
}


def symmetrize(forward: Pairs, backward: Pairs, method: Method) -> set[tuple[int, int]]:
    """Merge the links (source, target) of both directions by a named method."""
    return METHODS[method](forward, backward)


def merge(forward: Sequence[Link], backward: Sequence[Link], method: Method) -> list[Link]:
    """Merge scored links, both as (source, target), sorted by source.

    A score is the mean of both directions', where a link that a direction did not make counts
    zero: a link that only one made has half its score.
    """
    scores: dict[tuple[int, int], float] = {}
    for link in (*forward, *backward):
        pair = link.source, link.target
        scores[pair] = scores.get(pair, 0.0) + link.score / 2
    merged = symmetrize(_pairs(forward), _pairs(backward), method)
    return [Link(s, t, scores[s, t]) for s, t in sorted(merged)]


def _pairs(links: Sequence[Link]) -> set[tuple[int, int]]:
    return {(link.source, link.target) for link in links}
