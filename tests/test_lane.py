"""A lane: what its rows hold as sentences come and go."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from service.device import Array
from service.engine import Capacity, Engine
from service.runner import Stepped
from tests.counting import CountingRunner, job


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
