"""Bodies that are still coming when the server ends."""

import asyncio

import pytest

from service.arrivals import Arrivals
from service.errors import ShuttingDown


def test_who_waits_is_told_to_wait_no_more() -> None:
    async def scenario() -> None:
        arrivals, waiting = Arrivals(), asyncio.Event()

        async def wait() -> None:
            async with arrivals.awaited():
                waiting.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(wait())
        await waiting.wait()
        arrivals.end()
        with pytest.raises(ShuttingDown):
            await task

    asyncio.run(scenario())


def test_what_has_come_is_left_alone_and_a_failure_stays_what_it_is() -> None:
    async def scenario() -> None:
        arrivals = Arrivals()
        async with arrivals.awaited():
            await asyncio.sleep(0)
        with pytest.raises(ZeroDivisionError):
            async with arrivals.awaited():
                raise ZeroDivisionError
        arrivals.end()
        await asyncio.sleep(0)

    asyncio.run(scenario())
