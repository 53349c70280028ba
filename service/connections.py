"""Connections with bounds: how many, how much of headers, and how long they may take to come.

uvicorn's parser takes headers of any size and waits for them for ever, and what it refuses it
refuses in plain text. Here each has a bound, and an answer in the one shape of every failure, which
whoever watches the requests is told of. Health checks and metrics are answered however many
connections there are, up to a quarter more than the bound; what comes beyond that is closed without
a word.
"""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service import request_ids
from service.crowds import MARK
from service.errors import HeadersTooLarge, HeaderTimeout, InterlineaError, MalformedRequest
from service.responses import failure
from service.settings import Settings
from service.shields import EVERYWHERE
from service.unread import Joined, Unread
from service.watching import Watcher, tell_refused
from service.written import to_json


def bounded(settings: Settings, watching: Sequence[Watcher]) -> type[asyncio.Protocol]:
    """A protocol for uvicorn that keeps to the settings, and tells who watches what it refuses."""

    class Bounded(Connection):
        bounds = settings
        watchers = watching
        unread = Unread(settings.max_unread_bytes)

    return Bounded


class Connection(HttpToolsProtocol):
    """One connection of a client.

    A clock runs while headers are awaited that have begun to come, or the rest of a body that was
    answered already; between two requests uvicorn's own does.
    """

    bounds: ClassVar[Settings]
    watchers: ClassVar[Sequence[Watcher]]
    unread: ClassVar[Unread]

    _clock: asyncio.TimerHandle | None = None
    _heading = False
    _received = 0  # bytes of which nothing has come yet: neither headers nor body
    _told = False  # whether what came last had all headers, or some of a body
    _wrong: InterlineaError | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; the first headers have a bound too."""
        super().connection_made(transport)
        joined = Joined(transport, self.loop, self.bounds.answer_seconds, self.unread)
        self.transport = cast(asyncio.Transport, joined)
        most = self.bounds.max_connections
        if len(self.connections) > most + most // 4:
            transport.abort()
        else:
            self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; what is neither body nor the end of anything has a bound."""
        self._told = False
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._told:
            self._received += len(data)
            if self._received > self.bounds.max_header_bytes:
                self._refuse(self._too_large())
        if self._clock is None and (self._heading or self._idle):
            self._start_clock()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._heading, self._received = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what comes behind a body in parts is no header of anybody's."""
        if self._heading:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._received, self._told = 0, True
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """The headers are there: let the application answer, or send a crowd away.

        What is raised here ends the parsing, and comes back as `send_400_response`.
        """
        self._heading, self._received, self._told = False, 0, True
        self._stop_clock()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.bounds.max_header_bytes:
            self._wrong = self._too_large()
            raise self._wrong
        limit = self.bounds.max_connections
        if len(self.connections) > limit:
            cast(dict[str, Any], self.scope)["state"][MARK] = limit
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what could not be parsed."""
        self._refuse(self._wrong or MalformedRequest("this is not HTTP/1.1 as it should be"))

    @property
    def _idle(self) -> bool:
        """True before the first request, and after each answer."""
        cycle = cast(RequestResponseCycle | None, self.cycle)
        return cycle is None or cycle.response_complete

    def _too_large(self) -> HeadersTooLarge:
        limit = self.bounds.max_header_bytes
        return HeadersTooLarge(
            f"the address and the headers have more than {limit} bytes", {"limit": limit}
        )

    def _start_clock(self) -> None:
        self._clock = self.loop.call_later(self.bounds.header_seconds, self._late)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _late(self) -> None:
        self._clock = None
        seconds = self.bounds.header_seconds
        if not self._idle:
            self._start_clock()  # it sent one request after another, and the first is at work
        elif self._heading:
            text = f"the headers did not come within {seconds:g} seconds"
            self._refuse(HeaderTimeout(text, {"seconds": seconds}))
        else:
            self.transport.close()

    def _refuse(self, error: InterlineaError) -> None:
        """Answer at once, unless the answer to a request before it is due, and hang up."""
        due = not self._idle and (self.cycle.response_started or not self.cycle.more_body)
        if not self.transport.is_closing() and not due:
            request_id = request_ids.new()
            self.transport.write(_spelled(error, request_id))
            tell_refused(self.watchers, request_id, error)
        self.transport.close()


def _spelled(error: InterlineaError, request_id: str) -> bytes:
    """A refusal as it goes over the wire, for what never became a request."""
    body = to_json(failure(error, request_id))
    headers = {
        request_ids.HEADER: request_id,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        "Cache-Control": "no-store",
        **EVERYWHERE,
    }
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
