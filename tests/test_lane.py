"""A lane: what its rows hold as sentences come and go."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence

import pytest

from service.admission import Job
from service.device import Array
from service.engine import Capacity, Engine
from service.runner import Encoded, Stepped
from tests.counting import CountingRunner, job, wait_for


class WidthRunner(CountingRunner):
    """Notes how wide the rows of each step are."""

    def __init__(self) -> None:
        super().__init__()
        self.widths: list[int] = []

    def step(
        self, tokens: Sequence[int], memory: Mapping[str, Array], state: Mapping[str, Array]
    ) -> Stepped:
        self.widths.append(memory["memory"].shape[1])
        return super().step(tokens, memory, state)


@pytest.mark.parametrize("beams", [1, 2])
def test_rows_are_as_wide_as_those_on_board_need(beams: int) -> None:
    runner = WidthRunner()
    engine = Engine(runner, Capacity(workers=1, slots=4, batch_tokens=64, queue=6))
    try:
        wide = [job(*[2] * 12, beams=beams) for _ in range(4 // beams)]
        asyncio.run(engine.run(wide))
        assert set(runner.widths) == {16}
        runner.widths.clear()
        asyncio.run(engine.run([job(2, 3, beams=beams)]))
        assert set(runner.widths) == {4}
    finally:
        engine.close(2.0)


def test_those_on_board_go_on_while_a_book_of_long_sentences_comes_in() -> None:
    """Between two steps there is one batch of the encoder, however much waits."""
    happened: list[str] = []

    class Noting(WidthRunner):
        def encode(self, sources: Sequence[Sequence[int]]) -> list[Encoded]:
            happened.append(f"{len(sources)} x {max(map(len, sources))}")
            return super().encode(sources)

        def step(
            self, tokens: Sequence[int], memory: Mapping[str, Array], state: Mapping[str, Array]
        ) -> Stepped:
            if memory["memory"].shape[1] < 100:
                happened.append("step")
            return super().step(tokens, memory, state)

    async def scenario() -> None:
        runner.gate.clear()
        short = asyncio.create_task(engine.run([job(*[2] * 45)]))
        await wait_for(runner.stepping)
        pages = [job(*[3] * 399) for _ in range(20)]
        book = asyncio.ensure_future(engine.run(pages))
        await asyncio.sleep(0)
        runner.gate.set()
        await short
        book.cancel()
        await asyncio.gather(book, return_exceptions=True)

    runner = Noting()
    engine = Engine(runner, Capacity(workers=1, slots=32, batch_tokens=4096, queue=64))
    try:
        asyncio.run(scenario())
    finally:
        engine.close(2.0)
    last = max(at for at, what in enumerate(happened) if what == "step")  # then nobody is on board
    encoded = [at for at, what in enumerate(happened[:last]) if what.endswith("x 400")]
    assert len(encoded) >= 2
    assert all("step" in happened[a:b] for a, b in itertools.pairwise(encoded))
    assert sum(int(happened[at].split()[0]) for at in encoded) <= 4096 // 400 + 1


def test_a_lone_long_sentence_does_not_wait_for_a_book_of_them() -> None:
    """What is taken ahead of its turn is bounded by the budget, for it is out of the fair queue."""
    done: list[str] = []

    async def one(name: str, jobs: Sequence[Job]) -> None:
        await engine.run(jobs)
        done.append(name)

    async def scenario() -> None:
        runner.gate.clear()
        pages = [job(*[3] * 199) for _ in range(20)]
        book = [asyncio.create_task(one("page", [page])) for page in pages[:1]]
        book.append(asyncio.create_task(one("rest", pages[1:])))
        await wait_for(runner.stepping)
        lone = asyncio.create_task(one("lone", [job(*[2] * 199)]))
        await asyncio.sleep(0)
        runner.gate.set()
        await asyncio.gather(*book, lone)

    runner = WidthRunner()
    engine = Engine(runner, Capacity(workers=1, slots=32, batch_tokens=800, queue=64))
    try:
        asyncio.run(scenario())
    finally:
        engine.close(2.0)
    assert done == ["page", "lone", "rest"]
