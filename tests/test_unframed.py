"""Answers to HTTP/1.0: no chunks, and the end of the connection is the end of the answer."""

import pytest

from tests.sockets import House, serve

OLD = b"POST /translate HTTP/1.0\r\nContent-Length: 14\r\n"
BODY = b'\r\n{"text": "Hi"}'


def test_a_stream_comes_without_chunks_and_ends_with_the_connection() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(OLD + b"Accept: text/event-stream\r\n" + BODY)
        head, _, body = (await client.rest()).partition(b"\r\n\r\n")
        assert b" 200 " in head.splitlines()[0]
        assert b"transfer-encoding" not in head.lower()
        assert b"connection: close" in head.lower().splitlines()
        assert [block.split(b"\n")[0] for block in body.split(b"\n\n")[:-1]] == [
            b"event: token",
            b"event: sentence",
            b"event: done",
        ]

    serve(visit)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_answer_of_known_length_says_its_length(version: bytes) -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(OLD.replace(b"1.0", version) + b"Connection: close\r\n" + BODY)
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.rest() == b""

    serve(visit)


def test_a_stream_to_newer_clients_has_chunks() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        request = OLD.replace(b"1.0", b"1.1") + b"Host: a\r\nAccept: text/event-stream\r\n" + BODY
        await client.send(request)
        assert b"transfer-encoding: chunked" in await client.reader.readuntil(b"\r\n\r\n")
        await client.reader.readuntil(b"\r\n0\r\n\r\n")

    serve(visit)
