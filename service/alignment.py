"""From attention over tokens to attention over words, and to word links; numpy, no model.

Folding sums over the source pieces of a word and takes the mean over its target pieces, so
a row still sums to one. A piece that crosses a word boundary is shared by length.

    tokens (T, S)  ->  words (M + 1, N + 1), whose last row and column are `</s>`

Links are read off the alignment attention folded to words, without `</s>`.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.errors import DamagedBundle
from service.segmentation import Span

Floats = NDArray[np.float32]
Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Link:
    """Source word `source` and target word `target` translate each other; score 0 to 1."""

    source: int
    target: int
    score: float


def membership(tokens: Sequence[Span], words: Sequence[Span]) -> Weights:
    """Return (tokens + 1, words + 1): the share of each token in each word, rows sum to one.

    The last token and the last word are `</s>`. A token that covers no word (a space, or
    the first bytes of a character) belongs to the word that follows, or to the last one.
    """
    rows, columns, shares = [len(tokens)], [len(words)], [1.0]
    ends = [word.end for word in words]
    for row, token in enumerate(tokens):
        for column, share in _shares(token, words, bisect_right(ends, token.start)):
            rows.append(row)
            columns.append(column)
            shares.append(share)
    table = np.zeros((len(tokens) + 1, len(words) + 1))
    table[rows, columns] = shares
    return table


def _shares(token: Span, words: Sequence[Span], first: int) -> list[tuple[int, float]]:
    """Return which words a token covers, and how much of it each; `first` ends after its start."""
    start, end = token.start, token.end
    if first < len(words) and words[first].start <= start < end <= words[first].end:
        return [(first, 1.0)]  # it lies within one word, as most do
    covered: list[tuple[int, float]] = []
    total, at = 0, first
    while at < len(words) and words[at].start < end:
        length = min(end, words[at].end) - max(start, words[at].start)
        covered.append((at, length))
        total += length
        at += 1
    if not total:
        return [(min(first, len(words) - 1) if words else 0, 1.0)]
    return [(word, length / total) for word, length in covered]


def fold(attention: Floats, source: Weights, target: Weights) -> Floats:
    """Fold (T, S) over tokens to (M + 1, N + 1) over words; memberships as `membership` gives.

    A word without any token of its own looks at nothing but `</s>`. A hypothesis that was
    cut has no row of its own for `</s>`; that row then looks at the source's `</s>`.
    """
    rows = target[: len(attention)]
    weights = rows / np.maximum(rows.sum(axis=0, keepdims=True), 1e-12)
    folded = weights.T @ attention.astype(np.float64) @ source
    folded[folded.sum(axis=1) < 0.5, -1] = 1.0
    narrow: Floats = folded.astype(np.float32)
    return narrow


def mutual_best(words: Floats, threshold: float) -> list[Link]:
    """Link words that are each other's best and whose weight reaches `threshold`."""
    if not words.size:
        return []
    best_source = words.argmax(axis=1).tolist()
    best_target = words.argmax(axis=0).tolist()
    weights = words[range(len(words)), best_source].tolist()
    return [
        Link(s, t, weight)
        for t, (s, weight) in enumerate(zip(best_source, weights, strict=True))
        if best_target[s] == t and weight >= threshold
    ]


def strong_share(words: Floats, threshold: float) -> list[Link]:
    """Link words whose geometric mean of row share and column share reaches `threshold`."""
    column = words / np.maximum(words.sum(axis=0, keepdims=True), 1e-12)
    row = words / np.maximum(words.sum(axis=1, keepdims=True), 1e-12)
    shares = np.sqrt(row * column)
    return [Link(int(s), int(t), float(shares[t, s])) for t, s in np.argwhere(shares >= threshold)]


def best_source(words: Floats, threshold: float) -> list[Link]:
    """Link every target word to its best source word, if the weight reaches `threshold`."""
    if not words.size:
        return []
    best = words.argmax(axis=1)
    return [
        Link(int(s), t, float(words[t, s])) for t, s in enumerate(best) if words[t, s] >= threshold
    ]


def none(words: Floats, threshold: float) -> list[Link]:
    """Link nothing: the rule of a model without attention."""
    return []


RULES: Mapping[str, Callable[[Floats, float], list[Link]]] = {
    "mutual-best": mutual_best,
    "strong-share": strong_share,
    "best-source": best_source,
    "none": none,
}


def links(attention: Floats, rule: str, threshold: float) -> list[Link]:
    """Read links off word attention (M + 1, N + 1) by a named rule, sorted by source."""
    if rule not in RULES:
        raise DamagedBundle(f"unknown link rule {rule!r}; known are {', '.join(RULES)}")
    found = RULES[rule](attention[:-1, :-1], threshold)
    return sorted(found, key=lambda link: (link.source, link.target))


def pharaoh(found: Sequence[Link]) -> str:
    """Write links as `0-0 1-2`, source first."""
    return " ".join(f"{link.source}-{link.target}" for link in found)
