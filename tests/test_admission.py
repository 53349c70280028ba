"""Admission: what is let in, what is refused before any of it starts, and with what."""

import asyncio
import time

import pytest

from service.deadline import Deadline
from service.engine import Engine
from service.errors import DeadlineExceeded, QueueFull, ShuttingDown
from service.visit import CURRENT, Visit
from tests.counting import CountingRunner, job, wait_for


def test_a_full_queue_refuses_a_whole_request_before_any_of_it_starts(
    engine: Engine, runner: CountingRunner
) -> None:
    async def scenario() -> None:
        runner.gate.clear()
        seven = [job(2) for _ in range(7)]
        first = asyncio.create_task(engine.run(seven))
        await wait_for(runner.stepping)
        for count in (1, 3):  # one text or many: what counts is the work ahead
            (refusal,) = await asyncio.gather(
                engine.run([job(3) for _ in range(count)]), return_exceptions=True
            )
            assert isinstance(refusal, QueueFull)
            assert refusal.detail == {"waiting": 7, "limit": 6, "seconds": 0.0}
        assert engine.pending == 7
        runner.gate.set()
        answers = await first
        assert [paths[0].tokens for paths in answers] == [(2, 0)] * 7

    asyncio.run(scenario())


def test_what_was_long_on_its_way_is_refused_where_its_answer_would_be_late(engine: Engine) -> None:
    now = time.monotonic()
    early, late, over = (Deadline(100, now - passed) for passed in (40, 60, 101))
    engine.check(early)
    with pytest.raises(QueueFull) as caught:
        engine.check(late)
    assert caught.value.detail == {"waiting": 0, "limit": 6, "seconds": 0.0}
    asyncio.run(engine.run([job(2)], late))  # what was let in may come again, as a pair does
    for refused in (engine.check, lambda deadline: asyncio.run(engine.run([job(2)], deadline))):
        with pytest.raises(DeadlineExceeded):
            refused(over)
    assert engine.pending == 0


def test_a_request_that_has_begun_is_not_refused_because_much_waits(
    engine: Engine, runner: CountingRunner
) -> None:
    async def scenario() -> None:
        runner.gate.clear()
        tasks = [asyncio.create_task(engine.run([job(2) for _ in range(7)]))]
        await wait_for(runner.stepping)
        with pytest.raises(QueueFull):
            await engine.run([job(3)])
        tasks.append(asyncio.create_task(engine.run([job(3)], begun=True)))
        await asyncio.sleep(0)
        assert engine.pending == 8
        with pytest.raises(DeadlineExceeded):
            await engine.run([job(3)], Deadline(1, time.monotonic() - 2), begun=True)
        runner.gate.set()
        *_, last = await asyncio.gather(*tasks)
        assert last[0][0].tokens == (3, 0)

    asyncio.run(scenario())
    engine.close(1.0)
    with pytest.raises(ShuttingDown):
        asyncio.run(engine.run([job(3)], begun=True))


def test_a_request_larger_than_the_queue_is_taken_when_nothing_waits(engine: Engine) -> None:
    assert [paths[0].tokens for paths in asyncio.run(engine.run([job(2) for _ in range(9)]))] == [
        (2, 0)
    ] * 9


def test_a_body_that_came_slowly_is_no_sign_of_a_crowd(engine: Engine) -> None:
    now = time.monotonic()
    visit = Visit("1", started=now - 0.6)
    token = CURRENT.set(visit)
    try:
        with pytest.raises(QueueFull):
            engine.check(Deadline(1.0, visit.started))
        visit.reading = 0.5
        engine.check(Deadline(1.0, visit.started))
    finally:
        CURRENT.reset(token)
