"""Long work shares the loop."""

import asyncio
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service import turns as turns_module
from service.options import Options
from service.translator import Translator
from service.turns import TURN, turns


@pytest.fixture(autouse=True)
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns end by their items here, not by the time that a busy machine takes."""
    monkeypatch.setattr(turns_module, "LONGEST", math.inf)


def test_a_slow_item_ends_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "LONGEST", -1.0)
    heard: list[object] = []

    async def other() -> None:
        while True:
            heard.append("other")
            await asyncio.sleep(0)

    async def scenario() -> None:
        running = asyncio.create_task(other())
        async for number in turns(range(3)):
            heard.append(number)
        running.cancel()

    asyncio.run(scenario())
    assert heard == [0, "other", 1, "other", 2, "other"]


def test_every_item_comes_and_others_have_their_turns() -> None:
    heard: list[object] = []

    def made() -> Iterator[int]:
        for number in range(2 * TURN + 1):
            heard.append(number)
            yield number

    async def other() -> None:
        while True:
            heard.append("other")
            await asyncio.sleep(0)

    async def scenario() -> list[int]:
        running = asyncio.create_task(other())
        await asyncio.sleep(0)
        found = [number async for number in turns(made())]
        running.cancel()
        return found

    assert asyncio.run(scenario()) == list(range(2 * TURN + 1))
    numbers = list(range(2 * TURN + 1))
    wanted = ["other", *numbers[:TURN], "other", *numbers[TURN:-1], "other", numbers[-1]]
    assert heard == wanted


def test_a_long_text_leaves_the_loop_to_others(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn, seen = [0], []
    for name in ("_segment", "_sentence"):
        genuine = getattr(translator, name)

        def noted(*given: Any, of: Callable[..., Any] = genuine) -> Any:
            seen.append(turn[0])
            return of(*given)

        monkeypatch.setattr(translator, name, noted)

    async def others() -> None:
        while True:
            turn[0] += 1
            await asyncio.sleep(0)

    async def scenario() -> None:
        running = asyncio.create_task(others())
        await translator.translate(["The cat."] * 4 * TURN, Options(attention="none"))
        running.cancel()

    asyncio.run(scenario())
    assert len(seen) == 8 * TURN
    segmented, told = seen[: 4 * TURN], seen[4 * TURN :]
    assert len(set(segmented)) == len(set(told)) == 4
