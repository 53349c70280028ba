"""The end of a connection: with the answer at once, and without a reset."""

import asyncio
from contextlib import suppress
from typing import cast

import pytest

from service.lingering import Lingering
from service.settings import Settings
from service.unread import Joined, Unread
from tests.sockets import LIVE, POST, House, emptied, serve

MIB = 2**20


def test_a_body_that_says_it_is_too_large_need_not_be_sent() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(POST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")
        assert await client.refused(413, "body_too_large") == {"limit": MIB}

    serve(visit)


@pytest.mark.parametrize("framing", [b"Content-Length: 5242880", b"Transfer-Encoding: chunked"])
def test_who_sends_it_all_the_same_gets_the_answer_too(framing: bytes) -> None:
    """More than sockets hold comes before the client reads, as many clients do it."""

    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(POST + framing + b"\r\n\r\n" + b"500000\r\n")
        for _ in range(80):
            await client.send(b"a" * 2**16)
        await client.refused(413, "body_too_large")

    serve(visit)


def test_nothing_behind_the_answer_is_served_and_the_rest_has_a_bound() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(POST + b"Content-Length: 2000\r\n\r\n")
        await client.refused(413, "body_too_large")
        with suppress(ConnectionError):
            for _ in range(100):
                await client.send(LIVE * 50)
        await emptied(house)
        assert house.traffic().requests.keys() == {("POST", "/translate", "413")}

    serve(visit, Settings(max_body_bytes=1000, body_seconds=3600))


class Wire(asyncio.Transport):
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.done.append(bytes(data))

    def write_eof(self) -> None:
        self.done.append("end")

    def resume_reading(self) -> None:
        self.done.append("read")

    def close(self) -> None:
        self.done.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.done

    def get_write_buffer_size(self) -> int:
        return 0

    def lingering(self, seconds: float = 3600.0) -> Lingering:
        loop = asyncio.get_running_loop()
        joined = Joined(cast(asyncio.Transport, self), loop, 3600.0, Unread(1000))
        return Lingering(joined, loop, seconds, 100)


def test_who_has_sent_all_is_hung_up_on() -> None:
    async def scenario() -> None:
        wire = Wire()
        lingering = wire.lingering()
        lingering.write(b"answer")
        lingering.close()
        assert wire.done == [b"answer", "closed"]

    asyncio.run(scenario())


@pytest.mark.parametrize("seconds", [3600.0, 0.0])
def test_who_is_sending_is_heard_out_for_a_while(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.lingering.QUIET_SECONDS", 0.05)

    async def scenario() -> None:
        wire = Wire()
        lingering = wire.lingering(seconds)
        lingering.sending = True
        lingering.write(b"answer")
        for _ in range(2):
            lingering.close()
        lingering.write(b"nobody reads this")
        assert lingering.is_closing()
        assert wire.done == [b"answer", "end", "read"]
        lingering.drop(10)
        async with asyncio.timeout(10):
            while not wire.is_closing():
                await asyncio.sleep(0.01)
        assert wire.done[-1] == "closed"

    asyncio.run(scenario())


def test_who_sends_too_much_is_hung_up_on() -> None:
    async def scenario() -> None:
        wire = Wire()
        lingering = wire.lingering()
        lingering.sending = True
        lingering.close()
        lingering.drop(60)
        assert not wire.is_closing()
        lingering.drop(60)
        assert wire.is_closing()

    asyncio.run(scenario())
