"""Bodies and clients: every way in which a body can be wrong, and who is still there."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from service.errors import (
    BodyTimeout,
    BodyTooLarge,
    Cancelled,
    InterlineaError,
    InvalidEncoding,
    MalformedBody,
    RequestError,
    Unavailable,
)
from service.requests import parse_json, read_json, unless_gone
from service.visit import CURRENT, Visit

GONE = {"type": "http.disconnect"}
HEADERS = [(b"content-type", b"application/json; charset=UTF-8")]


def request(*messages: MutableMapping[str, Any], headers: Any = HEADERS) -> Request:
    """A request whose messages come one by one, and then none."""
    waiting = iter(messages)

    async def receive() -> MutableMapping[str, Any]:
        for message in waiting:
            return message
        await asyncio.Event().wait()
        raise AssertionError("nothing sets it")

    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    return Request(scope, receive)


def part(body: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_may_come_in_parts() -> None:
    sent = request(part(b'{"text": "\xc3', True), part(b"", True), part(b'\xa9"}', False))
    assert asyncio.run(read_json(sent, 100, 60)) == {"text": "é"}


def test_a_body_is_read_up_to_its_limit() -> None:
    assert asyncio.run(read_json(request(part(b'"ab"', False)), 4, 60)) == "ab"
    with pytest.raises(BodyTooLarge):
        asyncio.run(read_json(request(part(b'"ab', True), part(b'c"', False)), 4, 60))


def test_a_body_without_end_is_left_unread() -> None:
    endless = (part(b" " * 10, True) for _ in range(100))
    with pytest.raises(BodyTooLarge):
        asyncio.run(read_json(request(*endless, GONE), 10, 60))


def test_a_body_that_says_it_is_too_large_is_not_read_at_all() -> None:
    said = [*HEADERS, (b"content-length", b"101")]
    with pytest.raises(BodyTooLarge):
        asyncio.run(read_json(request(headers=said), 100, 60))


def test_a_client_may_leave_before_the_end_of_its_body() -> None:
    with pytest.raises(Cancelled):
        asyncio.run(read_json(request(part(b"{", True), GONE), 100, 60))


def test_a_body_is_waited_for_so_long() -> None:
    with pytest.raises(BodyTimeout) as caught:
        asyncio.run(read_json(request(part(b"{", True)), 100, 0.01))
    assert caught.value.detail == {"seconds": 0.01}


def test_how_long_a_body_was_waited_for_is_noted() -> None:
    async def scenario() -> None:
        messages = [part(b"{", True), part(b"}", False)]

        async def receive() -> MutableMapping[str, Any]:
            await asyncio.sleep(0.05)
            return messages.pop(0)

        visit = Visit("1")
        CURRENT.set(visit)
        scope = {"type": "http", "method": "POST", "path": "/", "headers": HEADERS}
        assert await read_json(Request(scope, receive), 100, 60) == {}
        assert 0.09 < visit.reading < 10

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"\xef\xbb\xbf{}", {}),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\\ud800"', "\\ud800"),
        (rb'"\u0000"', "\0"),
        (b"1e999", float("inf")),
    ],
)
def test_unusual_json_is_json(body: bytes, value: object) -> None:
    assert parse_json(body) == value


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", MalformedBody),
        (b"{'a': 1}", MalformedBody),
        (b"{} {}", MalformedBody),
        (b"[NaN]", MalformedBody),
        (b"-Infinity", MalformedBody),
        (b"9" * 5000, MalformedBody),
        (b"[" * 5000 + b"]" * 5000, MalformedBody),
        (b'{"a": {"b": 1, "b": 1}}', MalformedBody),
        (b'"\x01"', MalformedBody),
        (b'"\xff"', InvalidEncoding),
        (b'"\xed\xa0\x80"', InvalidEncoding),
        ('{"text": "é"}'.encode("utf-16"), InvalidEncoding),
        (rb'"\ud800"', InvalidEncoding),
        (rb'[{"a": ["\ude00\ud83d"]}]', InvalidEncoding),
        (rb'{"\uD800": 1}', InvalidEncoding),
        (b"{" + b",".join(b'"%d": 0' % name for name in range(65)) + b"}", RequestError),
    ],
)
def test_what_is_not_json_is_refused(body: bytes, kind: type[InterlineaError]) -> None:
    with pytest.raises(kind) as caught:
        parse_json(body)
    assert type(caught.value) is kind


@given(st.binary(max_size=40) | st.text('{}[]",:\\u0d8ef-1.9tnN ').map(str.encode))
def test_no_body_is_a_surprise(body: bytes) -> None:
    try:
        parse_json(body)
    except RequestError as error:
        error.message.encode()


def test_work_is_done_while_somebody_waits() -> None:
    async def work() -> int:
        await asyncio.sleep(0)
        return 5

    assert asyncio.run(unless_gone(request(part(b"", False)), work())) == 5


def test_work_ends_when_nobody_waits() -> None:
    ended: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(Cancelled):
        asyncio.run(unless_gone(request(part(b"", False), GONE), work()))
    assert ended == [True]


def test_work_that_fails_or_is_dropped_says_so() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def drop() -> None:
        raise asyncio.CancelledError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(unless_gone(request(), fail()))
    with pytest.raises(Unavailable):
        asyncio.run(unless_gone(request(), drop()))


def test_a_server_that_stops_cancels_the_work() -> None:
    ended: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def stop() -> None:
        serving = asyncio.create_task(unless_gone(request(), work()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        serving.cancel()
        await serving

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(stop())
    assert ended == [True]
