"""Training pairs with stand-ins in them, so that a model learns to carry them over.

What the service would swap for a stand-in (see `service.keeping`) is swapped here too, where
both sides have it; and so are names, since addresses and code are rare in everyday language
while "Tom" is not, and numbers, if the model is to keep them, some of them those in words.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from model_export.config import Bundle, Keeping, Recipe
from model_export.corpus import Pair
from model_export.counting import in_digits
from service import numerals
from service.keeping import FOR_NUMBERS, STAND_INS, StandIns, swap_pair
from service.segmentation import Span
from service.spelling import finders, speller
from service.untranslatable import find
from service.words import words

SWAPPED_NAMES = 0.7
"""How many of the names of a pair are swapped, if any are."""

SHORTEST_NAME = 2


def carried(pairs: Sequence[Pair], recipe: Recipe) -> Sequence[Pair]:
    """Return pairs as the recipe's model learns them: with stand-ins, if it has any."""
    if not recipe.keeping.stand_ins:
        return pairs
    return list(carry(pairs, recipe.keeping, recipe.bundle, recipe.training.seed))


def carry(pairs: Sequence[Pair], options: Keeping, bundle: Bundle, seed: int) -> Iterator[Pair]:
    """Yield the pairs with stand-ins in the place of what both sides have; same for a seed."""
    rng = np.random.default_rng(seed)

    codes = bundle.source.code, bundle.target.code
    written = speller(*codes)

    def spell(kept: str) -> str:
        return options.spelled.get(kept) or written(kept)

    for pair, chance in zip(pairs, rng.random(len(pairs)), strict=True):
        numbers = options.numbers > 0 and rng.random() < options.numbers
        counted: list[Span] = []
        if options.number_words > 0 and rng.random() < options.number_words:
            pair, counted = _counted(pair, codes)
        spans = find(pair.source, bundle.source.code, finders(*codes, numbers))
        if counted:
            spans = _apart([*spans, *counted])
        if chance < options.names:
            found = _names(pair, bundle.source.words, options.spelled, rng)
            spans = _apart([*spans, *found])
        if not spans:
            yield pair
            continue
        stand_ins = _shuffled(FOR_NUMBERS if options.numbers else "", rng)
        source, target = swap_pair(pair.source, pair.target, spans, stand_ins, spell)
        yield replace(pair, source=source.text, target=target.text)


def same_numbers(source: str, target: str, bundle: Bundle) -> bool:
    """Whether both have the same numbers, each as often, of those that a translation keeps."""
    found, other = (
        Counter(text[start:end] for start, end in numerals.find(text, language.code))
        for text, language in ((source, bundle.source), (target, bundle.target))
    )
    return found == other


def _counted(pair: Pair, codes: tuple[str, str]) -> tuple[Pair, list[Span]]:
    """Return a pair with numbers in digits that it has in words, and where its source has these."""
    source, target, spans = in_digits(pair.source, pair.target, codes)
    return replace(pair, source=source, target=target), spans


def _shuffled(numbers: str, rng: np.random.Generator) -> StandIns:
    """Return all stand-ins in any order, so that the model learns one as well as another."""
    return StandIns("".join(rng.permutation(list(STAND_INS))), numbers)


def _names(
    pair: Pair, rule: str, spelled: Mapping[str, str], rng: np.random.Generator
) -> list[Span]:
    """Return words with a capital that the target has too, or as it spells them; some of them."""
    found = []
    for span in words(pair.source, rule):
        name = span.of(pair.source)
        is_name = name in spelled or (len(name) >= SHORTEST_NAME and name[0].isupper())
        if is_name and spelled.get(name, name) in pair.target and rng.random() < SWAPPED_NAMES:
            found.append(span)
    return found


def _apart(spans: Sequence[Span]) -> list[Span]:
    """Return spans in order, without those that begin within an earlier one."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, -one.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept
