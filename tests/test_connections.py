"""Connections: their bounds, with a real server and real sockets."""

import asyncio
import json
from contextlib import suppress
from typing import Any, cast

import pytest

from service.settings import Settings
from service.unread import Joined, Unread
from tests.sockets import LANGUAGES, LIVE, METRICS, POST, House, emptied, serve


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


@pytest.mark.parametrize("end", [0, 4, 40, -4, None])
def test_a_request_that_ends_in_the_middle_is_refused(end: int | None) -> None:
    whole = POST + b"Content-Length: 100\r\n\r\n{"

    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(whole[:end])
        client.writer.write_eof()
        if end == 0:
            assert await client.rest() == b"", "nothing was asked"
        else:
            await client.refused(400, "malformed_request")

    serve(visit)


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
        await client.send(b"X-A: " + b"a" * 1000)
        while connection._owed is None:
            await asyncio.sleep(0)
        assert not connection.transport.is_closing(), "nothing may come before the first answer"

    serve(visit, Settings(max_header_bytes=1000))


GARBAGE = b"\x16\x03\x01\x02 hello\r\n\r\n"


@pytest.mark.parametrize("apart", [False, True])
def test_garbage_behind_a_request_takes_no_answer_away(apart: bool) -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        whole = POST + b'Content-Length: 14\r\n\r\n{"text": "Hi"}' + LANGUAGES
        for part in [whole, GARBAGE, GARBAGE] if apart else [whole + GARBAGE]:
            await client.send(part)
        assert "translations" in (await client.answer())[2]
        assert (await client.answer())[0] == 200
        await client.refused(400, "malformed_request")
        assert house.traffic().errors == {("malformed_request",): 1}

    serve(visit)


def test_a_body_that_breaks_off_is_refused_in_its_turn() -> None:
    async def visit(house: House) -> None:
        for before in ([], [LANGUAGES], [LANGUAGES, LIVE]):
            client = await house.connect()
            broken = POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nnot a size\r\n"
            await client.send(b"".join(before) + broken)
            for _ in before:
                assert (await client.answer())[0] == 200
            await client.refused(400, "malformed_request")

    serve(visit)


def test_what_is_not_http_is_refused() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(GARBAGE)
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
