"""Interlinea with the usual way of batching in place of its own: whole requests, whole batches.

Model, tokenizers, decoding step, answers and HTTP are the service's; only who is decoded with
whom differs. Each worker thread has an engine of its own that is given one batch and takes
the next when every sentence of that batch is done. Rows that are done leave the computation,
as CTranslate2 has it too, which is kinder than padding them to the end; their answers leave
with the batch, since it is one call.
"""

from collections.abc import Sequence
from dataclasses import replace

from fastapi import FastAPI

from benchmarks import ours
from benchmarks.servers.batching import Batcher
from service.admission import Job
from service.app import create_app
from service.bundle import Bundle
from service.canary import prove
from service.catalog import Catalog
from service.deadline import Deadline
from service.engine import Capacity, Engine
from service.errors import InterlineaError
from service.hypotheses import Path
from service.translator import Translator

SIZE = 8
WINDOW = 0.010


def batched() -> FastAPI:
    """A batch closes at 8 sentences, or 10 ms after its first."""
    return _serve(SIZE, WINDOW)


def single() -> FastAPI:
    """A sentence at a time on each thread."""
    return _serve(1, 0.0)


class BatchEngine(Engine):
    """Engines of one worker each behind a batcher, with the face of one engine."""

    def __init__(self, lanes: Sequence[Engine], size: int, window: float) -> None:
        self.capacity = lanes[0].capacity
        self._lanes = lanes
        self._batches = Batcher([lane.run for lane in lanes], size, window)

    def check(self, deadline: Deadline | None) -> None:
        """Nothing is refused."""

    async def run(
        self, jobs: Sequence[Job], deadline: Deadline | None = None, begun: bool = False
    ) -> list[list[Path]]:
        """Decode jobs, in batches with those of other requests; a batch knows no deadline."""
        return await self._batches.run(jobs)

    def trouble(self) -> str | None:
        """What keeps one of the engines from working."""
        return next((found for lane in self._lanes if (found := lane.trouble())), None)

    def close(self, grace: float, why: InterlineaError | None = None) -> None:
        """Close every engine."""
        for lane in self._lanes:
            lane.close(grace, why)


class BatchTranslator(Translator):
    """A translator whose engine is a `BatchEngine`."""

    def __init__(self, bundle: Bundle, held: Capacity, size: int, window: float) -> None:
        alone = replace(held, workers=1)
        super().__init__(bundle, alone)
        others = [Engine(self._runner, alone) for _ in range(held.workers - 1)]
        self._engine = BatchEngine([self._engine, *others], size, window)


def _serve(size: int, window: float) -> FastAPI:
    def load(_: object) -> Catalog:
        translator = BatchTranslator(ours.shipped(), ours.capacity(), size, window)
        prove(translator, 1)
        return Catalog([translator])

    return create_app(load=load)
