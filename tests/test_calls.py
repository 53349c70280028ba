"""Events of a request, and the bound on tokens that nobody reads."""

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from service.admission import Job
from service.calls import TOKEN, Backlog, Call
from service.deadline import Deadline
from service.engine import Engine
from service.errors import AnswerUnread, DeadlineExceeded, InterlineaError
from service.hypotheses import Chosen, Path
from service.search import Greedy
from tests.counting import EOS, about

ROW = np.ones(100, np.float32)
TOLD = Chosen(0, 5, -0.1, {"cross": ROW})
SIZE = TOKEN + ROW.nbytes


def test_what_was_read_waits_no_more() -> None:
    async def scenario() -> None:
        backlog = Backlog(10 * SIZE, lambda *_: None)
        call = Call(1, backlog)
        for index in range(3):
            call.tell(index, TOLD)
        call.tell(3, [Path((EOS,), ROW[:1], {}, True)])
        assert backlog.bytes == 3 * SIZE, "sentences that are done are not counted"
        assert await call.next() == (0, TOLD)
        assert backlog.bytes == 2 * SIZE
        call.end()
        assert backlog.bytes == 0
        call.tell(4, TOLD)
        assert backlog.bytes == 0, "nobody is told any more"

    asyncio.run(scenario())


def test_beyond_the_bound_the_slowest_reader_is_ended_and_nobody_else() -> None:
    async def scenario() -> None:
        dropped: list[Call] = []

        def drop(call: Call, error: InterlineaError) -> None:
            dropped.append(call)
            call.end(error)

        backlog = Backlog(5 * SIZE, drop)
        slow, quick = Call(1, backlog), Call(2, backlog)
        for _ in range(4):
            slow.tell(0, TOLD)
        for _ in range(2):
            quick.tell(0, TOLD)
        await asyncio.sleep(0)
        assert dropped == [slow]
        assert backlog.bytes == 2 * SIZE
        (_, error) = await slow.next()
        assert isinstance(error, AnswerUnread)
        assert await quick.next() == (0, TOLD)

    asyncio.run(scenario())


@pytest.mark.parametrize("unread", [1, 10**9])
def test_a_stream_that_is_not_read_ends(engine: Engine, unread: int) -> None:
    """By its deadline at the latest, with all that was told and not read."""
    backlog = engine._admission._backlog
    backlog._most = unread

    async def scenario() -> None:
        source = (2, 3, 4, 5, 6, EOS)
        jobs = [Job(source, Greedy(about(source), 50), watched=True) for _ in range(3)]
        async with aclosing(engine.stream(jobs, Deadline(0.5))) as events:
            _, first = await anext(events)
            assert isinstance(first, Chosen)
            await asyncio.sleep(0.7)
            assert backlog.bytes == 0
            with pytest.raises(AnswerUnread if unread == 1 else DeadlineExceeded):
                await anext(events)
        assert engine.pending == 0

    asyncio.run(scenario())
