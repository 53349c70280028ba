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
from service.lingering import Lingering
from service.responses import failure
from service.settings import Settings
from service.shields import EVERYWHERE
from service.unframed import Unframed
from service.unread import Joined, Unread
from service.upgrades import Parser
from service.watching import Watcher, tell_refused
from service.written import to_json

DROPPED = 8
"""How many times as much as a body may hold is still read, and dropped, of one that is refused."""


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

    transport: Lingering  # type: ignore[assignment]
    parser: Parser  # type: ignore[assignment]

    _clock: asyncio.TimerHandle | None = None
    _heading = False
    _received = 0  # bytes of which nothing has come yet: neither headers nor body
    _told = False  # whether what came last had all headers, or some of a body
    _wrong: InterlineaError | None = None
    _owed: bytes | None = None  # a refusal of what came behind requests whose answers are due

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; the first headers have a bound too."""
        super().connection_made(transport)
        bounds = self.bounds
        joined = Joined(transport, self.loop, bounds.answer_seconds, self.unread)
        most_dropped = bounds.max_body_bytes * DROPPED
        self.transport = Lingering(joined, self.loop, bounds.body_seconds, most_dropped)
        self.parser = Parser(self)
        most = bounds.max_connections
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
        if self._hung_up():
            self.transport.drop(len(data))
            return
        self._told = False
        super().data_received(data)
        if self._hung_up():
            return
        if not self._told:
            self._received += len(data)
            if self._received > self.bounds.max_header_bytes:
                self._refuse(self._too_large())
        if self._clock is None and (self._heading or self._idle):
            self._start_clock()

    def eof_received(self) -> None:
        """Refuse a request of which no more will come; one that is whole was left by its client."""
        if self._hung_up():
            return
        self._stop_clock()
        self.transport.sending = False
        error = MalformedRequest("the connection ended in the middle of a request")
        if self._idle and self._heading:
            self._send_last(self._told_refusal(error))
        elif not self._idle and self.cycle.more_body and not self.pipeline:
            self._break_off(error)

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
        if self.parser.offers:
            return
        self._heading, self._received, self._told = False, 0, True
        self._stop_clock()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.bounds.max_header_bytes:
            self._wrong = self._too_large()
            raise self._wrong
        limit = self.bounds.max_connections
        if len(self.connections) > limit:
            cast(dict[str, Any], self.scope)["state"][MARK] = limit
        self.transport.sending = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is there."""
        if not self.parser.offers:
            self.transport.sending = False
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is out: begin with the next, or refuse what came behind the last."""
        last = not self.pipeline
        super().on_response_complete()
        if last and self._owed is not None and not self.transport.is_closing():
            self._send_last(self._owed)

    def send_400_response(self, msg: str) -> None:
        """Refuse what could not be parsed."""
        self._refuse(self._wrong or MalformedRequest("this is not HTTP/1.1 as it should be"))

    def _hung_up(self) -> bool:
        """True when what still comes will not be read."""
        return self._owed is not None or self.transport.is_closing()

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
        if self._hung_up():
            return
        if not self._idle:
            self._start_clock()  # it sent one request after another, and the first is at work
        elif self._heading:
            text = f"the headers did not come within {seconds:g} seconds"
            self._refuse(HeaderTimeout(text, {"seconds": seconds}))
        else:
            self.transport.close()

    def _refuse(self, error: InterlineaError) -> None:
        """Answer at once, or behind the answers that are due, and hang up."""
        self._stop_clock()
        self.transport.sending = True
        broken = not self._idle and self.cycle.more_body  # its body will never be whole
        if broken and not self.pipeline:
            self._break_off(error)
        elif self._idle:
            self._send_last(self._told_refusal(error))
        else:
            self._owed = self._told_refusal(error)
        if broken and self.pipeline:
            self.pipeline.popleft()

    def _break_off(self, error: InterlineaError) -> None:
        """Refuse the request whose body was coming, unless it has begun to be answered."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self.cycle.response_started:
            self.transport.close()
        else:
            self._send_last(self._told_refusal(error))

    def _told_refusal(self, error: InterlineaError) -> bytes:
        """A refusal that those who watch know of."""
        request_id = request_ids.new()
        tell_refused(self.watchers, request_id, error)
        return _spelled(error, request_id)

    def _send_last(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.scope["http_version"] < "1.1":
            app = Unframed(app, cycle)
        super()._start_asgi_task(cycle, app)


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
