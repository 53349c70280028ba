"""Long work on an event loop, in turns with whatever else waits there."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import TypeVar

Item = TypeVar("Item")

TURN = 16


async def turns(items: Iterable[Item]) -> AsyncGenerator[Item, None]:
    """Yield items as they are made; after every `TURN` of them the others have the loop."""
    for number, item in enumerate(items, 1):
        yield item
        if number % TURN == 0:
            await asyncio.sleep(0)
