"""What the attentions over words tell of a translation: what may be missing, what made up.

Everything is read off matrices (M + 1, N + 1) over M target words and N source words, `</s>` last
on both sides, as `alignment.fold` gives them; no model and no word list of any language.

A warning is about a *stretch* of words. Each word has a doubt, 0 to 1: how little points to a
translation of it. What the doubt exceeds its tolerance by is weighted with the square root of the
word's letters, so that punctuation counts nothing and a short word little; the stretch with the
greatest sum is the best evidence there is. It is divided by the square root of the weights of the
whole side, since a long text has more odd places by chance.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.alignment import Floats, Link
from service.manifest import Bounds

Weights = NDArray[np.float64]
Code = Literal["possible_omission", "possible_hallucination"]

UNATTENDED = 0.1
"""A source word is unattended if no target word gives it as much weight."""

DIFFUSE = 0.5
"""A target word without link is unsourced from so many nats of entropy on, or from so much weight
of either attention on `</s>`: there was nothing left to say."""

FOCUS = 0.5
"""A target word focuses on the source word that has at least this much of its weight."""

APART = 2
"""Stretches that focus on one source word are separate if so many words lie between them."""

# Parts and tolerances were chosen on 400 pairs of the first half of Tatoeba's dev set, en-fr, for
# the most damage found. From what evidence on there is a warning is a bundle's own to say: so much
# that each kind warns of one clean pair in twenty. docs/api.md tells how well that does.
UNLINKED, SPREAD = 0.7, 0.3
"""A target word's doubt is the sum, 1 at most, of these parts and the greatest weight that an
attention puts on `</s>`: that it has no link, and its entropy in nats, 1 at most. A source word's
is what the strongest weight that it receives leaves of 1. Linked words are never beyond tolerance.
"""

OMISSION_TOLERANCE, HALLUCINATION_TOLERANCE = 0.5, 0.4
"""Doubt that is usual of a word."""

LONG_WORD, WIDE = 4, 3
"""A stretch must hold a word of so many letters, since shorter ones are mostly of the grammar; and
a wide character, as in Chinese, counts as three."""

NAMED = 8
"""Most words that a message names."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A pair as words, its attentions (M + 1, N + 1) by kind, and the links drawn from `kind`.

    There are warnings from the evidence in `bounds` on.
    """

    source: Sequence[str]
    target: Sequence[str]
    attention: Mapping[str, Floats]
    kind: str
    links: Sequence[Link]
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Entropy:
    """Entropy of each target word's attention, `</s>` included, in nats, and the mean."""

    words: tuple[float, ...]
    mean: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """The attention that a source word received: in sum, the most at once, and if it is linked."""

    received: float
    strongest: float
    linked: bool


@dataclass(frozen=True, slots=True)
class Repeated:
    """A source word and the stretches [start, end) of target words that focus on it."""

    source: int
    targets: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The best evidence of each kind, whether or not it is enough for a warning."""

    omission: float
    hallucination: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """The evidence of a stretch, and its words whose doubt exceeds the tolerance."""

    evidence: float
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Caution:
    """A warning; `words` are indices of source words (omission) or target words."""

    code: Code
    message: str
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What the attentions tell of one pair; `attention` is the kind that links are drawn from.

    `entropy` and `end_mass`, the weight on `</s>`, are by kind, one a target word; `coverage` is
    one a source word; `unattended` are source words, `unsourced` target words.
    """

    attention: str
    entropy: Mapping[str, Entropy]
    end_mass: Mapping[str, tuple[float, ...]]
    coverage: tuple[Coverage, ...]
    unattended: tuple[int, ...]
    unsourced: tuple[int, ...]
    repeated_focus: tuple[Repeated, ...]
    evidence: Evidence
    warnings: tuple[Caution, ...]


def diagnose(seen: Seen) -> Diagnostics:
    """Read the attentions of a pair."""
    rows = {kind: matrix[:-1].astype(np.float64) for kind, matrix in seen.attention.items()}
    entropy = {kind: _entropy(one) for kind, one in rows.items()}
    end_mass = {kind: one[:, -1] for kind, one in rows.items()}
    weights = rows[seen.kind][:, :-1]
    after_end = np.max(list(end_mass.values()), axis=0)
    unlinked = ~np.isin(np.arange(len(weights)), [link.target for link in seen.links])
    diffuse = (entropy[seen.kind] >= DIFFUSE) | (after_end >= DIFFUSE)
    coverage = _coverage(weights, {link.source for link in seen.links})
    unseen = np.array([0.0 if one.linked else 1 - one.strongest for one in coverage])
    unsure = SPREAD * np.minimum(1.0, entropy[seen.kind]) + after_end
    doubts = np.where(unlinked, UNLINKED + unsure, np.minimum(unsure, HALLUCINATION_TOLERANCE))
    bounds = seen.bounds
    missing = _stretches(seen.source, unseen, OMISSION_TOLERANCE, bounds.omission)
    doubts = np.minimum(1.0, doubts)
    made_up = _stretches(seen.target, doubts, HALLUCINATION_TOLERANCE, bounds.hallucination)
    return Diagnostics(
        seen.kind,
        {kind: Entropy(_floats(one), _mean(one)) for kind, one in entropy.items()},
        {kind: _floats(one) for kind, one in end_mass.items()},
        coverage,
        tuple(s for s, one in enumerate(coverage) if one.strongest < UNATTENDED),
        tuple(np.flatnonzero(unlinked & diffuse).tolist()),
        _repeated(seen.source, weights),
        Evidence(_most(missing), _most(made_up)),
        (
            *_cautions("possible_omission", seen.source, missing, bounds.omission),
            *_cautions("possible_hallucination", seen.target, made_up, bounds.hallucination),
        ),
    )


def _stretches(
    words: Sequence[str], doubts: Weights, tolerance: float, threshold: float
) -> list[Stretch]:
    """Return the stretches that reach the threshold, most evidence first, or else the best one."""
    letters = np.array([_letters(word) for word in words], np.float64)
    weights = np.sqrt(letters)
    values = weights * (doubts - tolerance) / max(1.0, float(weights.sum())) ** 0.5
    left, found = values.copy(), list[Stretch]()
    while True:
        evidence, start, end = _best_stretch(left)
        if not evidence or (found and evidence < threshold):
            return found
        left[start:end] = -np.inf
        doubted = start + np.flatnonzero(values[start:end] > 0)
        if (letters[doubted] >= LONG_WORD).any():
            found.append(Stretch(evidence, tuple(doubted.tolist())))


def _letters(word: str) -> int:
    """Count letters and digits; a wide one says as much as `WIDE` others."""
    wide = sum(c.isalnum() for c in word if unicodedata.east_asian_width(c) in "WF")
    return sum(c.isalnum() for c in word) + (WIDE - 1) * wide


def _best_stretch(values: Weights) -> tuple[float, int, int]:
    """Return the greatest sum of neighbours and where it lies, [start, end) (Kadane)."""
    best, total, first = (0.0, 0, 0), 0.0, 0
    for index, value in enumerate(values.tolist()):
        if total <= 0:
            total, first = 0.0, index
        total += value
        if total > best[0]:
            best = total, first, index + 1
    return best


def _entropy(rows: Weights) -> Weights:
    """Return the entropy of every row, in nats."""
    logs = np.log(np.maximum(rows, 1e-12))
    entropy: Weights = np.maximum(0.0, -(rows * logs).sum(axis=1))
    return entropy


def _coverage(weights: Weights, linked: AbstractSet[int]) -> tuple[Coverage, ...]:
    received, strongest = weights.sum(axis=0).tolist(), weights.max(axis=0, initial=0.0).tolist()
    return tuple(
        Coverage(total, most, source in linked)
        for source, (total, most) in enumerate(zip(received, strongest, strict=True))
    )


def _repeated(source: Sequence[str], weights: Weights) -> tuple[Repeated, ...]:
    """Return the source words that separate stretches focus on; punctuation is left out."""
    found = []
    for index in range(len(source)):
        stretches = _grouped(np.flatnonzero(weights[:, index] >= FOCUS).tolist())
        if len(stretches) > 1 and any(c.isalnum() for c in source[index]):
            found.append(Repeated(index, tuple(stretches)))
    return tuple(found)


def _grouped(targets: Sequence[int]) -> list[tuple[int, int]]:
    """Join sorted indices to stretches [start, end), over gaps of fewer than `APART`."""
    stretches: list[tuple[int, int]] = []
    for target in targets:
        if stretches and target - stretches[-1][1] < APART:
            stretches[-1] = stretches[-1][0], target + 1
        else:
            stretches.append((target, target + 1))
    return stretches


def _most(stretches: Sequence[Stretch]) -> float:
    return stretches[0].evidence if stretches else 0.0


def _cautions(
    code: Code, words: Sequence[str], stretches: Sequence[Stretch], threshold: float
) -> list[Caution]:
    """Word a warning for every stretch that reaches the threshold, in the order of the text."""
    return [
        Caution(code, _MESSAGES[code].format(_named(words, one.words)), one.words)
        for one in sorted(stretches, key=lambda stretch: stretch.words)
        if one.evidence >= threshold
    ]


_MESSAGES: Mapping[Code, str] = {
    "possible_omission": "Nothing in the target seems to translate {}.",
    "possible_hallucination": "Nothing in the source seems to say {}.",
}


def _named(words: Sequence[str], which: tuple[int, ...]) -> str:
    named = ", ".join(f'"{words[index]}"' for index in which[:NAMED])
    return named if len(which) <= NAMED else f"{named} and {len(which) - NAMED} more"


def _mean(values: Weights) -> float:
    return float(values.mean()) if len(values) else 0.0


def _floats(values: Weights) -> tuple[float, ...]:
    return tuple(values.tolist())
