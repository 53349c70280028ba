"""Data as JSON: the same at once and in pieces, and others have their turn between the pieces."""

import asyncio
import json

import numpy as np
import pytest

from service.written import TURN, pieces, to_json


def test_pieces_together_are_the_whole() -> None:
    items = [{"n": n, "matrix": np.full((2, 3), n / 8)} for n in range(5)]
    made = asyncio.run(pieces(items))
    assert to_json({"all": made}) == to_json({"all": items})
    assert json.loads(to_json({"all": made}))["all"][3]["matrix"] == [[0.375] * 3] * 2


def test_others_have_their_turn_while_a_large_answer_is_written() -> None:
    happened: list[str] = []

    async def other() -> None:
        while "end" not in happened:
            happened.append("turn")
            await asyncio.sleep(0)

    async def scenario() -> None:
        beside = asyncio.create_task(other())
        made = await pieces("x" * (TURN // 4) for _ in range(40))
        happened.append("end")
        await beside
        assert len(made) == 40

    asyncio.run(scenario())
    assert 9 <= happened.count("turn") <= 12


def test_a_small_answer_is_written_at_once() -> None:
    coroutine = pieces(["a", "b"])
    with pytest.raises(StopIteration) as made:
        coroutine.send(None)
    assert to_json(made.value.value) == b'["a","b"]'
