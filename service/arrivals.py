"""Requests whose bodies are still coming, which a server that ends does not wait for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.errors import ShuttingDown


class Arrivals:
    """Those who wait for bodies, and how they are told to wait no more."""

    def __init__(self) -> None:
        self._clocks: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def awaited(self) -> AsyncIterator[None]:
        """Wait in here; raises `ShuttingDown` when there is no use in it any more."""
        try:
            async with asyncio.timeout(None) as clock:
                self._clocks.add(clock)
                try:
                    yield
                finally:
                    self._clocks.discard(clock)
        except TimeoutError:
            raise ShuttingDown("the server is shutting down") from None

    def end(self) -> None:
        """Let nobody wait any more."""
        for clock in self._clocks:
            clock.reschedule(asyncio.get_running_loop().time())
