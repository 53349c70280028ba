"""Requests at the engine: the events that come back to each, and a bound on what nobody reads.

    Call      one request; workers tell it what happens, the loop that waits reads it
    Backlog   the tokens that were told and not yet read, of all requests of an engine

A watched request is told every token with its attention as it is chosen, however slowly its
client takes them. Sentences that are done are not counted: an answer holds them in any case, and
the limits on requests know how many they may be.
"""

import asyncio
import threading
from collections.abc import Callable

from service.errors import AnswerUnread, InterlineaError
from service.hypotheses import Chosen, Path
from service.visit import CURRENT

Event = Chosen | list[Path] | InterlineaError

TOKEN = 600
"""Bytes of a token that was told, besides its rows of attention."""


class Backlog:
    """Tokens told and not yet read, with a bound on their bytes; from any thread."""

    def __init__(self, most: int, drop: Callable[["Call", InterlineaError], None]) -> None:
        """Beyond `most` bytes `drop` ends the request with the most unread, in its own loop."""
        self._most, self._drop = most, drop
        self._lock = threading.Lock()
        self._held: dict[Call, int] = {}
        self._total = 0

    @property
    def bytes(self) -> int:
        """What waits now."""
        return self._total

    def add(self, call: "Call", size: int) -> None:
        """Note what was told."""
        with self._lock:
            self._change(call, size)
            if self._total <= self._most:
                return
            slowest = max(self._held, key=self._held.__getitem__)
            self._change(slowest, -self._held[slowest])
        slowest.gone = True
        error = AnswerUnread("its tokens were read more slowly than they came")
        slowest.loop.call_soon_threadsafe(self._drop, slowest, error)

    def take(self, call: "Call", size: int) -> None:
        """Note what was read, or will never be."""
        with self._lock:
            self._change(call, -min(size, self._held.get(call, 0)))

    def _change(self, call: "Call", size: int) -> None:
        self._total += size
        self._held[call] = self._held.get(call, 0) + size
        if not self._held[call]:
            del self._held[call]


class Call:
    """The jobs of one request, and the events that come back, in the loop that waits."""

    def __init__(self, flow: int, backlog: Backlog) -> None:
        self.flow = flow
        self.loop = asyncio.get_running_loop()
        self.visit = CURRENT.get()
        self.gone = False  # nobody waits for more
        self._over = False
        self._events: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        self._backlog = backlog

    def tell(self, index: int, event: Event) -> None:
        """Tell what happened to a job, in the loop that waits."""
        if not self.gone:
            self._events.put_nowait((index, event))
            if isinstance(event, Chosen):
                self._backlog.add(self, _size(event))

    async def next(self) -> tuple[int, Event]:
        """Return the next event, and the index of its job."""
        index, event = await self._events.get()
        if isinstance(event, Chosen):
            self._backlog.take(self, _size(event))
        return index, event

    def end(self, error: InterlineaError | None = None) -> None:
        """Drop what was not read; the error of the first end is what is read next."""
        if self._over:
            return
        self.gone = self._over = True
        while not self._events.empty():
            _, event = self._events.get_nowait()
            if isinstance(event, Chosen):
                self._backlog.take(self, _size(event))
        if error is not None:
            self._events.put_nowait((0, error))


def _size(chosen: Chosen) -> int:
    return TOKEN + sum(rows.nbytes for rows in chosen.attention.values())
