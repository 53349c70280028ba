"""Long work on an event loop, in turns with whatever else waits there."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from time import monotonic
from typing import TypeVar

Item = TypeVar("Item")

TURN = 16
LONGEST = 0.01
"""Seconds after which a turn ends, though it had fewer items."""


async def turns(items: Iterable[Item]) -> AsyncGenerator[Item, None]:
    """Yield items as they are made; after a turn of them the others have the loop."""
    left, until = TURN, monotonic() + LONGEST
    for item in items:
        yield item
        left -= 1
        if not left or monotonic() > until:
            await asyncio.sleep(0)
            left, until = TURN, monotonic() + LONGEST
