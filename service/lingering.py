"""The end of a connection whose client is still sending: it is heard out, and not listened to.

A server that hangs up on a client which is sending takes its own answer away from it: the system
then resets the connection (RFC 9112, 9.6). So the answer is sent, and that nothing follows; what
still comes is dropped, within bounds.
"""

import asyncio
from typing import Any

from service.unread import Joined

QUIET_SECONDS = 1.0
"""After so long a silence nothing more is awaited, and the answer has long arrived."""


class Lingering:
    """A transport that lingers when it is closed while `sending`.

    It reads on for `seconds` and `most` bytes at most.
    """

    def __init__(
        self, joined: Joined, loop: asyncio.AbstractEventLoop, seconds: float, most: int
    ) -> None:
        self.sending = False
        """Whether more of a request is to come."""
        self._joined, self._loop = joined, loop
        self._seconds, self._most = seconds, most
        self._until: float | None = None
        self._dropped = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._joined, name)

    def is_closing(self) -> bool:
        """Whether nothing will be sent any more."""
        return self._until is not None or bool(self._joined.is_closing())

    def write(self, data: bytes) -> None:
        """Send, unless it is closed."""
        if self._until is None:
            self._joined.write(data)

    def close(self) -> None:
        """Send what was written, and hang up as soon as the client has ended too."""
        if not self.sending or self._joined.is_closing():
            self._joined.close()
        elif self._until is None:
            self._until = self._loop.time() + self._seconds
            self._joined.write_eof()
            self._joined.resume_reading()
            self._loop.call_later(QUIET_SECONDS, self._look, 0)

    def drop(self, count: int) -> None:
        """Note that so many bytes came which nobody reads."""
        self._dropped += count
        if self._dropped > self._most:
            self._joined.close()

    def _look(self, before: int) -> None:
        """Hang up, unless more has come since the last look, and it is not too late."""
        if self._until is None or self._dropped == before or self._loop.time() > self._until:
            self._joined.close()
        elif not self._joined.is_closing():
            self._loop.call_later(QUIET_SECONDS, self._look, self._dropped)
