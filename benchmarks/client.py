"""A light load generator: ready-made requests over keep-alive HTTP/1.1 connections.

It shares the machine with the server that it measures, so it does as little as it can: of an
answer it reads the status and the length, and counts the bytes. Two ways to load a server:

    open    requests come when the schedule says, however slow the answers are; a latency runs
            from the *scheduled* arrival, so waiting for a free connection counts
    closed  each of N connections sends the next request when it has its answer
"""

import asyncio
import gc
import json
import re
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

OK = 200
PATIENCE = 2.0
"""Seconds that an open loop waits for answers after its last arrival."""
DRAIN = 120.0
"""Most seconds that a server may take to work off what an overload left."""

_LENGTH = re.compile(rb"content-length:[ \t]*(\d+)", re.IGNORECASE)


class BadAnswer(Exception):
    """A server gave an answer that this client cannot read, or none at all."""


def post(path: str, content: object) -> bytes:
    """Return a POST of JSON, headers and all."""
    body = json.dumps(content, ensure_ascii=False).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(slots=True)
class Measured:
    """What a load found; times in seconds.

    `latencies` of an open loop hold, for each unanswered request, how long it had waited when
    the client gave up: a lower bound. `late` is how far behind the schedule requests were
    handed to a connection, or to the queue for one: the client's own lag.
    """

    seconds: float = 0.0
    answered: int = 0
    errors: int = 0
    unanswered: int = 0
    bytes: int = 0
    in_time: int = 0
    cpu: float = 0.0
    latencies: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Good answers a second, of those that came while the load was on."""
        return self.in_time / self.seconds

    @property
    def cpu_share(self) -> float:
        """The client's own share of one core."""
        return self.cpu / self.seconds


class Connection(asyncio.Protocol):
    """One connection with at most one request on its way, known by its number."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._left = -1  # bytes of the body still to come; -1: the head is not complete
        self._status = 0
        self.request: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to send."""
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: int, content: bytes) -> None:
        """Send a request; the load is told when its answer is complete."""
        assert self._transport is not None
        self.request = request
        self._transport.write(content)

    def data_received(self, data: bytes) -> None:
        """Count what comes, and report an answer when it is complete."""
        self._load.measured.bytes += len(data)
        if self._left < 0:
            data = self._read_head(data)
            if self._left < 0:
                return
        self._left -= len(data)
        if self._left > 0:
            return
        request, self.request = self.request, None
        self._head, self._left = b"", -1
        assert request is not None
        self._load.answered(self, request, self._status)

    def _read_head(self, data: bytes) -> bytes:
        """Take in the head; return what of the body came with it."""
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return b""
        length = _LENGTH.search(self._head, 0, end)
        if length is None:
            raise BadAnswer(f"an answer without a length: {self._head[:end]!r}")
        self._status, self._left = int(self._head[9:12]), int(length[1])
        return self._head[end + 4 :]

    def connection_lost(self, error: Exception | None) -> None:
        """Report it: a server may close what was idle for long."""
        self._load.lost(self)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()


class Load(ABC):
    """Requests to one server; `requests` are sent in turn and from the start again."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self.requests = requests
        self.measured = Measured()
        self.loop = asyncio.get_running_loop()
        self.start = 0.0
        self._port = 0
        self._connections: set[Connection] = set()

    async def run(self, port: int, connections: int) -> Measured:
        """Open connections, load the server, hang up and return what was found."""
        self._port = port
        for _ in range(connections):
            await self._connect()
        gc.collect()
        gc.disable()
        cpu = time.process_time()
        self.start = self.loop.time()
        try:
            await self.load(list(self._connections))
        finally:
            self.measured.cpu = time.process_time() - cpu
            gc.enable()
            self._hang_up()
        return self.measured

    @abstractmethod
    async def load(self, connections: Sequence[Connection]) -> None:
        """Send requests until enough are answered; set `measured`."""

    @abstractmethod
    def answered(self, connection: Connection, request: int, status: int) -> None:
        """Hear that an answer is complete and its connection free."""

    @abstractmethod
    def lost(self, connection: Connection) -> None:
        """Hear that the server closed a connection, with or without a request on it."""

    async def _connect(self) -> Connection:
        _, made = await self.loop.create_connection(
            lambda: Connection(self), "127.0.0.1", self._port
        )
        self._connections.add(made)
        return made

    def _hang_up(self) -> None:
        leaving, self._connections = self._connections, set()
        for connection in leaving:
            connection.close()

    def _content(self, request: int) -> bytes:
        return self.requests[request % len(self.requests)]


class OpenLoop(Load):
    """Requests at the times of a schedule, in seconds from the start, whatever comes back."""

    def __init__(
        self, requests: Sequence[bytes], schedule: Sequence[float], seconds: float
    ) -> None:
        super().__init__(requests)
        self._schedule = schedule
        self.measured.seconds = seconds
        self._next = 0
        self._idle: list[Connection] = []
        self._waiting: deque[int] = deque()
        self._open = set(range(len(schedule)))
        self._done = self.loop.create_future()

    async def load(self, connections: Sequence[Connection]) -> None:
        """Follow the schedule; requests that nobody answers in time are counted as such."""
        self._idle = list(connections)
        self._arrive()
        try:
            await asyncio.wait_for(self._done, self.measured.seconds + PATIENCE)
        except TimeoutError:
            now = self.loop.time() - self.start
            self.measured.unanswered = len(self._open)
            self.measured.latencies += [now - self._schedule[request] for request in self._open]

    def _arrive(self) -> None:
        """Take up every request that is due, and come back for the next."""
        now = self.loop.time() - self.start
        while self._next < len(self._schedule) and self._schedule[self._next] <= now:
            self.measured.late.append(now - self._schedule[self._next])
            self._take_up(self._next)
            self._next += 1
        if self._next < len(self._schedule):
            self.loop.call_at(self.start + self._schedule[self._next], self._arrive)

    def _take_up(self, request: int) -> None:
        if self._idle:
            self._idle.pop().send(request, self._content(request))
        else:
            self._waiting.append(request)

    def answered(self, connection: Connection, request: int, status: int) -> None:
        """Note the latency; the connection takes the next request that waits, if any."""
        now = self.loop.time() - self.start
        measured = self.measured
        measured.answered += 1
        measured.latencies.append(now - self._schedule[request])
        if status != OK:
            measured.errors += 1
        elif now <= measured.seconds:
            measured.in_time += 1
        self._open.discard(request)
        if not self._open and not self._done.done():
            self._done.set_result(None)
        if self._waiting:
            following = self._waiting.popleft()
            connection.send(following, self._content(following))
        else:
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """Replace it; a request that was on it goes again, since the server never took it."""
        if connection not in self._connections:
            return  # it was hung up here
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.request is not None:
            self._waiting.appendleft(connection.request)
        replacing = self.loop.create_task(self._replace())
        replacing.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _replace(self) -> None:
        connection = await self._connect()
        if self._waiting:
            request = self._waiting.popleft()
            connection.send(request, self._content(request))
        else:
            self._idle.append(connection)


class ClosedLoop(Load):
    """As much as the connections carry: `warm` seconds uncounted, then `seconds` that count."""

    def __init__(self, requests: Sequence[bytes], warm: float, seconds: float) -> None:
        super().__init__(requests)
        self._warm = warm
        self.measured.seconds = seconds
        self._sent: dict[Connection, float] = {}
        self._next = 0
        self._done = self.loop.create_future()

    async def load(self, connections: Sequence[Connection]) -> None:
        """Keep every connection busy to the end, then wait for what is on its way."""
        for connection in connections:
            self._send(connection)
        try:
            await asyncio.wait_for(self._done, self._warm + self.measured.seconds + DRAIN)
        except TimeoutError:
            raise BadAnswer("the server stopped answering") from None

    def _send(self, connection: Connection) -> None:
        self._sent[connection] = self.loop.time()
        connection.send(self._next, self._content(self._next))
        self._next += 1

    def answered(self, connection: Connection, request: int, status: int) -> None:
        """Count an answer if it came while it counts, and send the next request."""
        now = self.loop.time()
        since = now - self.start - self._warm
        sent = self._sent.pop(connection)
        measured = self.measured
        measured.answered += 1
        if status != OK:
            measured.errors += 1
        elif 0 <= since <= measured.seconds:
            measured.in_time += 1
            measured.latencies.append(now - sent)
        if since < measured.seconds:
            self._send(connection)
        elif not self._sent and not self._done.done():
            self._done.set_result(None)

    def lost(self, connection: Connection) -> None:
        """Fail: nobody may close a connection that is busy."""
        if connection in self._connections and not self._done.done():
            self._done.set_exception(BadAnswer("the server closed a busy connection"))


async def ask(port: int, request: bytes) -> bytes:
    """Return the body of one answer; raises `BadAnswer` unless its status is 200.

    Where requests are served in turn, this also waits until a server is done with those before.
    """
    try:
        async with asyncio.timeout(DRAIN):
            head, body = await _exchange(port, request)
    except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
        raise BadAnswer(f"the server does not answer: {error}") from error
    if int(head[9:12]) != OK:
        raise BadAnswer(body.decode(errors="replace"))
    return body


async def _exchange(port: int, request: bytes) -> tuple[bytes, bytes]:
    """Return head and body of an answer, on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        return head, await reader.readexactly(int(length[1]) if length else 0)
    finally:
        writer.close()
        await writer.wait_closed()


async def open_loop(
    port: int,
    connections: int,
    requests: Sequence[bytes],
    schedule: Sequence[float],
    seconds: float,
) -> Measured:
    """Load a server by a schedule of arrivals; see `OpenLoop`."""
    return await OpenLoop(requests, schedule, seconds).run(port, connections)


async def closed_loop(
    port: int, connections: int, requests: Sequence[bytes], warm: float, seconds: float
) -> Measured:
    """Load a server to saturation; see `ClosedLoop`."""
    return await ClosedLoop(requests, warm, seconds).run(port, connections)
