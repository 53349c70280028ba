"""Pairs damaged on purpose, with what was done to them; texts only, no model.

omission       20 to 50 % of the target's words, a stretch, are cut out
hallucination  a stretch of 3 to 6 words of another pair's target is put in
swap           the target is that of another pair
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from model_export.corpus import Pair
from service.manifest import Language
from service.words import words


@dataclass(frozen=True, slots=True)
class Damaged:
    """The new target of pair `index`, and the words that were hurt.

    These are words of the old target (omission) or of the new one (hallucination).
    """

    index: int
    target: str
    hurt: frozenset[int]


def omissions(pairs: Sequence[Pair], language: Language, rng: random.Random) -> Iterator[Damaged]:
    """Cut a stretch out of every target of two words or more."""
    for index, pair in enumerate(pairs):
        spans = words(pair.target, language.words)
        if len(spans) < 2:
            continue
        count = max(1, round(len(spans) * rng.uniform(0.2, 0.5)))
        start = rng.randrange(len(spans) - count + 1)
        left = pair.target[: spans[start].start]
        right = pair.target[spans[start + count].start :] if start + count < len(spans) else ""
        yield Damaged(index, (left + right).strip(), frozenset(range(start, start + count)))


def hallucinations(
    pairs: Sequence[Pair], language: Language, rng: random.Random
) -> Iterator[Damaged]:
    """Put a stretch of another target before a word of every target, or at its end."""
    spans = [words(pair.target, language.words) for pair in pairs]
    donors = [index for index, found in enumerate(spans) if len(found) >= 3]
    for index, pair in enumerate(pairs):
        donor = rng.choice([other for other in donors if other != index])
        count = min(rng.randint(3, 6), len(spans[donor]))
        first = rng.randrange(len(spans[donor]) - count + 1)
        begin, end = spans[donor][first].start, spans[donor][first + count - 1].end
        stretch = pairs[donor].target[begin:end]
        at = rng.choice([*(span.start for span in spans[index]), len(pair.target)])
        before = pair.target[:at].rstrip()
        start = len(before) + len(language.joiner) if before else 0
        parts = [part for part in (before, stretch, pair.target[at:]) if part]
        text = language.joiner.join(parts)
        yield Damaged(index, text, _inside(text, start, start + len(stretch), language))


def swaps(pairs: Sequence[Pair], language: Language, rng: random.Random) -> Iterator[Damaged]:
    """Give every source the target of another pair."""
    for index in range(len(pairs)):
        other = (index + rng.randrange(1, len(pairs))) % len(pairs)
        yield Damaged(index, pairs[other].target, frozenset())


KINDS: Mapping[str, Callable[[Sequence[Pair], Language, random.Random], Iterator[Damaged]]] = {
    "omission": omissions,
    "hallucination": hallucinations,
    "swap": swaps,
}


def _inside(text: str, start: int, end: int, language: Language) -> frozenset[int]:
    """Return the words that lie in a part of a text."""
    found = enumerate(words(text, language.words))
    return frozenset(i for i, span in found if start <= span.start and span.end <= end)
