"""The same answer alone or in a crowd: what is served is equal to the last bit."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as File

import pytest

from service.admission import Job
from service.beam import Beam
from service.bundle import Bundle, open_bundle
from service.catalog import EMBEDDED
from service.engine import Capacity, Engine
from service.hypotheses import Path, Source
from service.runner import Runner
from service.search import Greedy, Search
from service.tokenizer import Tokenizer

SENTENCES = File(__file__).parent / "sentences"
BUNDLES = sorted(folder for folder in EMBEDDED.iterdir() if (folder / "bundle.json").is_file())
COUNT = 200
INTERLEAVINGS = 20
BEAMS = (1, 1, 1, 1, 1, 1, 1, 2, 4)


@dataclass(frozen=True)
class Setting:
    """A bundle, an engine of two workers, and real sentences, every ninth for a wide beam."""

    bundle: Bundle
    engine: Engine
    sources: Sequence[tuple[int, ...]]

    def job(self, index: int) -> Job:
        source, about = self.sources[index], self.bundle.manifest.model
        delays = {attention.kind: attention.delay for attention in about.attention}
        told = Source(len(source), about.special.eos, about.special.bos, delays)
        limit, beams = 2 * len(source) + 10, BEAMS[index % len(BEAMS)]
        search: Search = Greedy(told, limit) if beams == 1 else Beam(told, limit, beams, beams)
        return Job(source, search)


@pytest.fixture(scope="module", params=BUNDLES, ids=lambda folder: str(folder.name))
def setting(request: pytest.FixtureRequest) -> Iterator[Setting]:
    bundle = open_bundle(request.param)
    tokenizer = Tokenizer(bundle.path(bundle.manifest.source.tokenizer))
    text = (SENTENCES / f"{bundle.manifest.source.code}.txt").read_text(encoding="utf-8")
    sources = [(*tokenizer.encode(line).ids, tokenizer.eos) for line in text.splitlines()[:COUNT]]
    assert len(sources) == COUNT
    runner = Runner(bundle.path, bundle.manifest.model)
    engine = Engine(runner, Capacity(workers=2, slots=16, batch_tokens=4096, queue=10_000))
    yield Setting(bundle, engine, sources)
    engine.close(0.0)


@pytest.fixture(scope="module")
def alone(setting: Setting) -> list[list[Path]]:
    async def one_by_one() -> list[list[Path]]:
        return [(await setting.engine.run([setting.job(index)]))[0] for index in range(COUNT)]

    return asyncio.run(one_by_one())


def check_equal(found: Sequence[Path], expected: Sequence[Path]) -> None:
    """Hypotheses, their order, scores and every attention, to the last bit."""
    assert [path.tokens for path in found] == [path.tokens for path in expected]
    for one, other in zip(found, expected, strict=True):
        assert (one.scores == other.scores).all()
        for kind, rows in one.attention.items():
            assert (rows == other.attention[kind]).all()


def test_one_batch_is_as_good_as_alone(setting: Setting, alone: list[list[Path]]) -> None:
    together = asyncio.run(setting.engine.run([setting.job(index) for index in range(COUNT)]))
    for found, expected in zip(together, alone, strict=True):
        check_equal(found, expected)


@pytest.mark.parametrize("seed", range(INTERLEAVINGS))
def test_any_joins_and_leaves_are_as_good_as_alone(
    setting: Setting, alone: list[list[Path]], seed: int
) -> None:
    rng = random.Random(seed)
    order = rng.sample(range(COUNT), COUNT)
    slowness = rng.choice([0.0, 0.0005, 0.002])

    async def visitor(index: int, delay: float, patience: float | None) -> None:
        await asyncio.sleep(delay)
        work = asyncio.create_task(setting.engine.run([setting.job(index)]))
        if patience is not None:  # leaves before its turn ends, in the middle of a batch
            await asyncio.wait([work], timeout=patience)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            return
        check_equal((await work)[0], alone[index])

    async def crowd() -> None:
        visitors = [visitor(i, at * slowness, None) for at, i in enumerate(order)]
        leavers = [
            visitor(i, rng.random() * COUNT * slowness, rng.random() * 0.01)
            for i in rng.sample(order, COUNT // 10)
        ]
        await asyncio.gather(*visitors, *leavers)

    asyncio.run(crowd())
