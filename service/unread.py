"""Answers on their way to clients that take them slowly: how long they may lie, and how much.

Joined   a transport that sends what one turn of the loop wrote, and looks whether it is taken
Unread   what waits in all of them together
"""

import asyncio
from typing import Any


class Unread:
    """The answers of a server that wait for their readers, with a bound on their bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Joined, None] = {}  # in the order in which they began to wait

    def note(self, joined: "Joined") -> None:
        """Note who waits to be read; beyond the bound, hang up on who has waited for longest."""
        self._waiting.setdefault(joined)
        sizes = {one: size for one in self._waiting if (size := one.waiting)}
        self._waiting = dict.fromkeys(sizes)
        total = sum(sizes.values())
        for one, size in sizes.items():
            if total <= self._most:
                break
            one.abort()
            total -= size


class Joined:
    """A transport that sends at once what is written in one turn of the loop: head and body.

    Each call of the system lets go of the interpreter, and must wait for the workers to get it
    back. Who takes nothing of what waits to be sent, for `seconds`, is hung up on.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        seconds: float,
        unread: Unread,
    ) -> None:
        self._transport, self._loop, self._seconds = transport, loop, seconds
        self._unread = unread
        self._held: list[bytes] = []
        self._written = 0
        self._watched = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @property
    def waiting(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Hang up, whatever waits."""
        self._transport.abort()

    def write(self, data: bytes) -> None:
        """Send at the end of this turn."""
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)

    def write_eof(self) -> None:
        """Send what was written, and that nothing follows."""
        self._send()
        self._transport.write_eof()

    def close(self) -> None:
        """Send what was written, and hang up."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        held, self._held = self._held, []
        if held:
            whole = b"".join(held)
            self._written += len(whole)
            self._transport.write(whole)
            self._watch()

    def _watch(self) -> None:
        waiting = self.waiting
        if waiting:
            self._unread.note(self)
        if waiting and not self._watched:
            self._watched = True
            self._loop.call_later(self._seconds, self._look, self._written - waiting)

    def _look(self, taken: int) -> None:
        """Hang up, unless more has been taken since the last look."""
        self._watched = False
        if self._written - self.waiting > taken:
            self._watch()
        else:
            self._transport.abort()
