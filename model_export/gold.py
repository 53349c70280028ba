"""Gold word alignments, and how far links are from them.

Alignment error rate (Och and Ney 2003) over sure links S and possible links P (S within P):
AER = 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|); precision = |A ∩ P| / |A|, recall = |A ∩ S| / |S|.
"""

import gzip
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path

Pairs = Set[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Gold:
    """A sentence pair as words, with its sure and its possible links (source, target)."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    sure: frozenset[tuple[int, int]]
    possible: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class AlignmentScore:
    """Alignment error rate, precision and recall, in percent."""

    aer: float
    precision: float
    recall: float


def read_gold(path: Path) -> list[Gold]:
    """Read tab-separated gold: source words, target words, `sure | possible only` links."""
    rows = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            source, target, links = line.rstrip("\n").split("\t")
            sure, _, possible = links.partition("|")
            s = _links(sure)
            rows.append(Gold(tuple(source.split()), tuple(target.split()), s, s | _links(possible)))
    return rows


def turned(gold: Gold) -> Gold:
    """Return the same pair in the other direction."""
    sure, possible = (frozenset((t, s) for s, t in links) for links in (gold.sure, gold.possible))
    return Gold(gold.target, gold.source, sure, possible)


def score(found: Iterable[tuple[Pairs, Gold]]) -> AlignmentScore:
    """Score the links of a whole set; counts are summed before they are divided."""
    sure_hits = possible_hits = links = sure = 0
    for pairs, gold in found:
        sure_hits += len(pairs & gold.sure)
        possible_hits += len(pairs & gold.possible)
        links += len(pairs)
        sure += len(gold.sure)
    aer = 1 - (sure_hits + possible_hits) / max(1, links + sure)
    precision, recall = possible_hits / max(1, links), sure_hits / max(1, sure)
    return AlignmentScore(100 * aer, 100 * precision, 100 * recall)


def _links(text: str) -> frozenset[tuple[int, int]]:
    pairs = (item.split("-") for item in text.split())
    return frozenset((int(source), int(target)) for source, target in pairs)
