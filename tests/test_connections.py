"""Connections: their bounds, with a real server and real sockets."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from service.connections import bounded
from service.settings import Settings
from service.traffic import Traffic
from service.unread import Joined, Unread
from tests.served import app_of
from tests.stand_ins import FakeCatalog

LIVE = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
METRICS = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
LANGUAGES = b"GET /languages HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /translate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Read one answer: status, headers, and its body, if it is JSON what that says."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in pairs}
            body = await self.reader.readexactly(int(headers["content-length"]))
        is_json = headers["content-type"] == "application/json"
        return int(head[0].split()[1]), headers, json.loads(body) if is_json else body

    async def ask(self, request: bytes) -> int:
        """Send a request, and return the status of its answer."""
        await self.send(request)
        return (await self.answer())[0]

    async def refused(self, status: int, code: str) -> Any:
        """Read a refusal, after which the server hangs up; return its detail."""
        found, headers, body = await self.answer()
        assert (found, body["error"]["code"]) == (status, code)
        assert body["error"]["request_id"] == headers["x-request-id"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["connection"] == "close"
        assert await self.rest() == b""
        return body["error"].get("detail")

    async def rest(self) -> bytes:
        """What comes until the server hangs up."""
        async with asyncio.timeout(10):
            return await self.reader.read()


class House:
    """A server, and the clients that connect to it."""

    def __init__(self, settings: Settings) -> None:
        self.catalog = FakeCatalog()
        self.state = ServerState()
        self.app = app_of(self.catalog, settings)
        self.config = uvicorn.Config(
            self.app,
            ws="none",
            log_config=None,
            http=bounded(settings, self.app.state.watchers),
            proxy_headers=False,
        )
        self.config.load()
        self.port = 0
        self.clients: list[Client] = []

    def traffic(self) -> Traffic:
        """What was counted of the requests."""
        (found,) = (one for one in self.app.state.watchers if isinstance(one, Traffic))
        return found

    def protocol(self) -> asyncio.Protocol:
        kind = cast(Any, self.config.http_protocol_class)
        made: asyncio.Protocol = kind(config=self.config, server_state=self.state, app_state={})
        return made

    async def connect(self) -> Client:
        self.clients.append(Client(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.clients[-1]

    async def live(self, visit: "Visit") -> None:
        loop = asyncio.get_running_loop()
        async with self.app.router.lifespan_context(self.app):
            server = await loop.create_server(self.protocol, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            try:
                await visit(self)
            finally:
                for client in self.clients:
                    client.writer.close()
                server.close()
                async with asyncio.timeout(10):
                    await asyncio.gather(*self.state.tasks)


async def emptied(house: House) -> None:
    """Wait until the server has seen that everybody has gone."""
    async with asyncio.timeout(10):
        while house.state.connections:
            await asyncio.sleep(0)


Visit = Callable[[House], Awaitable[None]]


def serve(visit: Visit, settings: Settings | None = None) -> None:
    """Let `visit` connect to a server with these settings."""
    asyncio.run(House(settings or Settings()).live(visit))


def test_requests_within_the_bounds_are_served_one_after_another() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        for part in (LIVE, LANGUAGES, POST + b'Content-Length: 14\r\n\r\n{"text": "Hi"}'):
            assert await client.ask(part) == 200
        await client.send(LIVE + LANGUAGES)
        assert [(await client.answer())[0] for _ in range(2)] == [200, 200]

    serve(visit)


@pytest.mark.parametrize("path", ["/languages", "/" + "a" * 700])
def test_headers_have_a_size(path: str) -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        start = f"GET {path} HTTP/1.1\r\nHost: a\r\n".encode()
        await client.send(start + b"X-A: " + b"a" * 400 + b"\r\nX-B: " + b"a" * 600 + b"\r\n\r\n")
        assert await client.refused(431, "headers_too_large") == {"limit": 1000}

    serve(visit, Settings(max_header_bytes=1000))


@pytest.mark.parametrize(
    "parts",
    [
        [b"X-A: " + b"a" * 600, b"a" * 600],
        [b"X-A: a\r\n" * 80, b"X-A: a\r\n" * 80],
    ],
)
def test_headers_without_end_are_not_waited_for(parts: list[bytes]) -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        for part in [b"GET / HTTP/1.1\r\n", *parts]:
            await client.send(part)
        assert await client.refused(431, "headers_too_large") == {"limit": 1000}

    serve(visit, Settings(max_header_bytes=1000))


def test_an_address_beyond_what_the_parser_takes_is_too_large_as_well() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(b"GET /" + b"a" * 66_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.refused(431, "headers_too_large")

    serve(visit)


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\nHost:", POST])
def test_headers_have_a_time(begun: bytes) -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(begun)
        assert await client.refused(408, "header_timeout") == {"seconds": 0.05}

    serve(visit, Settings(header_seconds=0.05))


def test_so_have_those_of_the_second_request() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        assert await client.ask(LIVE) == 200
        await client.send(LIVE[:-2])
        await client.refused(408, "header_timeout")

    serve(visit, Settings(header_seconds=0.05))


def test_who_says_nothing_is_hung_up_on() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        assert await client.rest() == b""

    serve(visit, Settings(header_seconds=0.05))


def test_a_body_has_a_time() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(POST + b"Content-Length: 100\r\n\r\n{")
        assert await client.refused(408, "body_timeout") == {"seconds": 0.05}

    serve(visit, Settings(body_seconds=0.05))


@pytest.mark.parametrize("last", [b"a: b\r\n", b"a" * 64, b"0;a=" + b"b" * 64])
def test_what_comes_behind_a_body_in_parts_has_a_size(last: bytes) -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n")
        (connection,) = cast(set[Any], house.state.connections)
        with suppress(ConnectionError):
            for _ in range(100):
                await client.send(last * 32)
        await emptied(house)
        assert len(connection.headers) == 3, "trailers are nobody's headers"

    serve(visit, Settings(max_header_bytes=4096, body_seconds=3600, header_seconds=3600))


def test_a_body_in_many_small_parts_is_a_body() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        text = b'{"text": "' + b"a" * 2000 + b'"}'
        for number in range(0, len(text), 10):
            await client.send(b"a\r\n" + text[number : number + 10].ljust(10) + b"\r\n")
        await client.send(b"0\r\nDigest: none\r\n\r\n")
        assert (await client.answer())[0] == 200
        assert await client.ask(LANGUAGES) == 200

    serve(visit, Settings(max_header_bytes=1000))


def test_many_requests_at_once_are_no_long_header() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(LIVE * 100)
        for _ in range(100):
            assert (await client.answer())[0] == 200

    serve(visit, Settings(max_header_bytes=1000))


def test_the_rest_of_a_body_that_was_answered_has_a_time_too() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(b"PUT /languages HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\na")
        assert (await client.answer())[0] == 405
        await client.send(b"a")
        assert await client.rest() == b""

    serve(visit, Settings(header_seconds=0.05))


def test_a_request_behind_another_is_not_late_while_that_one_is_served() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(POST + b'Content-Length: 16\r\n\r\n{"text": "wait"}' + LIVE[:-2])
        await asyncio.wait_for(house.catalog.translator.started.wait(), 10)
        (connection,) = cast(set[Any], house.state.connections)
        for _ in range(2):
            assert connection._clock is not None
            connection._late()
        assert not connection.transport.is_closing()
        connection.data_received(b"X-A: " + b"a" * 1000)
        assert await client.rest() == b"", "that one has no answer, so nothing else may come first"

    serve(visit, Settings(max_header_bytes=1000))


def test_what_is_not_http_is_refused() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(b"\x16\x03\x01\x02 hello\r\n\r\n")
        await client.refused(400, "malformed_request")
        other = await house.connect()
        assert await other.ask(METRICS) == 200
        traffic = house.traffic()
        assert traffic.requests["OTHER", "unknown", "400"] == 1
        assert traffic.errors == {("malformed_request",): 1}

    serve(visit)


def test_a_crowd_is_sent_away_and_counted_but_for_health_checks_and_metrics() -> None:
    async def visit(house: House) -> None:
        first = [await house.connect() for _ in range(4)]
        for client in first:
            assert await client.ask(LANGUAGES) == 200
        fifth = await house.connect()
        assert await fifth.ask(LIVE) == 200
        await fifth.send(LANGUAGES)
        status, headers, body = await fifth.answer()
        assert (status, headers["retry-after"]) == (503, "1")
        assert body["error"]["code"] == "too_many_connections"
        assert body["error"]["detail"] == {"limit": 4}
        assert body["error"]["request_id"] == headers["x-request-id"]
        assert headers["x-content-type-options"] == "nosniff"
        assert await fifth.rest() == b""
        traffic = house.traffic()
        assert traffic.requests["GET", "/languages", "503"] == 1
        assert traffic.errors == {("too_many_connections",): 1}
        assert await (await house.connect()).ask(METRICS) == 200

    serve(visit, Settings(max_connections=4))


def test_beyond_a_quarter_more_nobody_is_answered_and_then_there_is_room_again() -> None:
    async def visit(house: House) -> None:
        crowd = [await house.connect() for _ in range(5)]
        for client in crowd:
            assert await client.ask(LIVE) == 200
        sixth = await house.connect()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await sixth.ask(LIVE)
        for client in crowd:
            client.writer.close()
            await client.writer.wait_closed()
        await emptied(house)
        again = await house.connect()
        assert await again.ask(LANGUAGES) == 200

    serve(visit, Settings(max_connections=4))


def test_head_and_body_of_an_answer_are_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    class Noted(Joined):
        def __init__(
            self,
            transport: asyncio.Transport,
            loop: asyncio.AbstractEventLoop,
            seconds: float,
            unread: Unread,
        ) -> None:
            genuine = transport.write

            def write(data: bytes) -> None:
                sent.append(data)
                genuine(data)

            monkeypatch.setattr(transport, "write", write)
            super().__init__(transport, loop, seconds, unread)

    async def visit(house: House) -> None:
        client = await house.connect()
        assert await client.ask(LIVE) == 200
        (whole,) = sent
        head, _, body = whole.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert json.loads(body) == {"status": "live"}

    monkeypatch.setattr("service.connections.Joined", Noted)
    serve(visit)


def test_who_takes_nothing_of_its_answers_is_hung_up_on() -> None:
    """Forty answers of a megabyte are more than sockets hold."""

    async def visit(house: House) -> None:
        client = await house.connect()
        bundle = b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n"
        client.writer.write(bundle * 40)
        await emptied(house)
        again = await house.connect()
        assert await again.ask(LANGUAGES) == 200

    serve(visit, Settings(answer_seconds=0.5))
