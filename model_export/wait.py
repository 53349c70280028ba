"""Runs the service's coroutines from code that is not asynchronous."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from service.deadline import Deadline

T = TypeVar("T")

LONG = 1e6
"""Seconds that work may take which nobody waits for at a screen."""


def patient() -> Deadline:
    """Return a deadline for long work that begins now; the usual one is that of a request."""
    return Deadline(LONG)


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns.

    Not by `asyncio.run`, which spells out the whole result when it lets go of Ctrl-C: a
    second for a few thousand translations.
    """
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
