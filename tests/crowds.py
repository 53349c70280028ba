"""Sentences decoded alone and in crowds, which must be told apart by nothing."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from service.admission import Job
from service.beam import Beam
from service.engine import Capacity, Engine
from service.hypotheses import Path, Source
from service.manifest import Model
from service.repetition import allowed
from service.runner import Runner
from service.search import Forced, Greedy, Search

BEAMS = (1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 8)
FORCED = 5
"""Of so many sentences one has its target given."""


@dataclass(frozen=True)
class Setting:
    """A model, an engine of two workers, and sentences, some for a wide beam, some forced.

    `owed` are the stand-ins that each has to carry over, of those in `known`. Scores and attention
    may differ by `tolerance`; zero, to the last bit, is what is served.
    """

    about: Model
    engine: Engine
    sources: Sequence[tuple[int, ...]]
    tolerance: float
    owed: Sequence[tuple[int, ...]]
    known: frozenset[int]

    @property
    def count(self) -> int:
        """How many sentences there are."""
        return len(self.sources)

    def told(self, index: int) -> Source:
        """What a search must know of a sentence."""
        special = self.about.special
        delays = {attention.kind: attention.delay for attention in self.about.attention}
        source = self.sources[index]
        copies, owed = allowed(source), self.owed[index]
        return Source(len(source), special.eos, special.bos, delays, copies, owed, self.known)

    def job(self, index: int) -> Job:
        """A sentence, to be decoded afresh."""
        return Job(self.sources[index], self._search(index, self.told(index)))

    def _search(self, index: int, told: Source) -> Search:
        if index % FORCED == FORCED - 1:
            return Forced(told, given(self.sources[index]))
        limit, beams = 2 * told.length + 10, BEAMS[index % len(BEAMS)]
        return Greedy(told, limit) if beams == 1 else Beam(told, limit, beams, beams)

    def alone(self) -> list[list[Path]]:
        """Decode them one after the other."""

        async def one_by_one() -> list[list[Path]]:
            return [(await self.engine.run([self.job(index)]))[0] for index in range(self.count)]

        return asyncio.run(one_by_one())

    def together(self) -> list[list[Path]]:
        """Decode them at once."""
        return asyncio.run(self.engine.run([self.job(index) for index in range(self.count)]))


def given(source: Sequence[int]) -> list[int]:
    """Some target of about a source's length, of the few pieces that every model has."""
    return [4 + token % 30 for token in reversed(source)]


@contextmanager
def gathered(
    runner: Runner,
    sources: Sequence[tuple[int, ...]],
    tolerance: float = 0.0,
    owed: Sequence[tuple[int, ...]] = (),
    known: frozenset[int] = frozenset(),
) -> Iterator[Setting]:
    """Sentences and an engine, which is stopped afterwards."""
    engine = Engine(runner, Capacity(workers=2, slots=32, batch_tokens=4096, queue=10_000))
    try:
        yield Setting(runner.model, engine, sources, tolerance, owed or [()] * len(sources), known)
    finally:
        engine.close(0.0)


def check_equal(found: Sequence[Path], expected: Sequence[Path], tolerance: float) -> None:
    """Hypotheses, their order, scores and every attention; without tolerance to the last bit."""
    assert [path.tokens for path in found] == [path.tokens for path in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.finished == other.finished
        assert one.attention.keys() == other.attention.keys()
        pairs = [(rows, other.attention[kind]) for kind, rows in one.attention.items()]
        for mine, theirs in [(one.scores, other.scores), *pairs]:
            assert mine.shape == theirs.shape
            assert np.abs(mine - theirs).max(initial=0.0) <= tolerance


def check_interleaved(setting: Setting, alone: list[list[Path]], seed: int) -> None:
    """Let everybody come when they like, and some leave before their turn ends."""
    rng, count = random.Random(seed), setting.count
    order = rng.sample(range(count), count)
    slowness = rng.choice([0.0, 0.0005, 0.002])

    async def visitor(index: int, delay: float, patience: float | None) -> None:
        await asyncio.sleep(delay)
        work = asyncio.create_task(setting.engine.run([setting.job(index)]))
        if patience is not None:  # leaves before its turn ends, in the middle of a batch
            await asyncio.wait([work], timeout=patience)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            return
        check_equal((await work)[0], alone[index], setting.tolerance)

    async def crowd() -> None:
        visitors = [visitor(i, at * slowness, None) for at, i in enumerate(order)]
        leavers = [
            visitor(i, rng.random() * count * slowness, rng.random() * 0.01)
            for i in rng.sample(order, count // 10)
        ]
        await asyncio.gather(*visitors, *leavers)

    asyncio.run(crowd())
