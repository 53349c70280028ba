"""Work of a fixed size: random sources, and searches that stop at a given length alone.

A random model never says `</s>`, and a trained one says it when it likes; here every
output has the same length, so every candidate computes the same number of steps.
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from service.beam import Beam
from service.hypotheses import Outputs, Source
from service.manifest import Model
from service.search import Greedy, Search

NEVER = -1
"""The id of no piece: a search that waits for it goes on to its limit."""

FIRST_PIECE = 4
"""The ids below are special pieces."""


class FixedGreedy(Greedy):
    """Greedy search of exactly `length` tokens in as many steps."""

    def __init__(self, source: Source, length: int) -> None:
        super().__init__(replace(source, eos=NEVER), length)
        self._left = length

    def advance(self, outputs: Outputs, rows: Sequence[int]) -> list[int] | None:
        """Take the step; after the last, end without another step to read its token."""
        origins = super().advance(outputs, rows)
        self._left -= 1
        if self._left:
            return origins
        return super().advance(outputs, rows)


class FixedBeam(Beam):
    """Beam search of exactly `length` tokens in as many steps."""

    def __init__(self, source: Source, length: int, size: int) -> None:
        super().__init__(replace(source, eos=NEVER), length, size, 1)
        self._left = length

    def advance(self, outputs: Outputs, rows: Sequence[int]) -> list[int] | None:
        """Take the step; after the last, end without another step to read its tokens."""
        origins = super().advance(outputs, rows)
        self._left -= 1
        if self._left:
            return origins
        return super().advance(outputs, rows)


def search(model: Model, source_length: int, length: int, beam: int) -> Search:
    """Return a search of `length` tokens that keeps what attention the model gives."""
    delays = {attention.kind: attention.delay for attention in model.attention}
    about = Source(source_length, model.special.eos, model.special.bos, delays)
    return FixedGreedy(about, length) if beam == 1 else FixedBeam(about, length, beam)


def sources(count: int, length: int, pieces: int, eos: int, seed: int = 1) -> list[list[int]]:
    """Return random sentences of `length` tokens and `</s>`."""
    rng = random.Random(seed)
    return [
        [*(rng.randrange(FIRST_PIECE, pieces) for _ in range(length)), eos] for _ in range(count)
    ]
