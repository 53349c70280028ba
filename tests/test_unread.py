"""What is written to a client: sent at once, and not kept for ever for who does not read it."""

import asyncio
from typing import cast

from service.unread import Joined, Unread


def test_what_is_written_in_one_turn_is_sent_at_once() -> None:
    sent: list[bytes | str] = []

    class Wire(asyncio.Transport):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            sent.append(bytes(data))

        def close(self) -> None:
            sent.append("closed")

        def is_closing(self) -> bool:
            return "closed" in sent

        def get_write_buffer_size(self) -> int:
            return 0

    async def scenario() -> None:
        joined = Joined(Wire(), asyncio.get_running_loop(), 10.0, Unread(1000))
        joined.write(b"head ")
        joined.write(b"body")
        assert sent == []
        await asyncio.sleep(0)
        joined.write(b"more")
        joined.close()
        await asyncio.sleep(0)
        assert joined.is_closing()

    asyncio.run(scenario())
    assert sent == [b"head body", b"more", "closed"]


class Slow(asyncio.Transport):
    """To a client that takes of its answer what `take` says."""

    def __init__(self) -> None:
        self.waiting, self.aborted = 0, asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.waiting += len(data)

    def take(self, count: int) -> None:
        self.waiting -= count

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.waiting = 0
        self.aborted.set()

    def joined(self, unread: Unread, seconds: float) -> Joined:
        loop = asyncio.get_running_loop()
        return Joined(cast(asyncio.Transport, self), loop, seconds, unread)


def test_beyond_a_bound_who_has_kept_an_answer_waiting_for_longest_is_hung_up_on() -> None:
    async def scenario() -> None:
        unread, slow = Unread(100), [Slow() for _ in range(4)]
        for one, size in zip(slow, (30, 60, 5, 50), strict=True):
            one.joined(unread, 3600.0).write(b"x" * size)
            await asyncio.sleep(0)
        assert [one.aborted.is_set() for one in slow] == [True, True, False, False]
        slow[3].take(50)
        last = Slow()
        last.joined(unread, 3600.0).write(b"x" * 95)
        await asyncio.sleep(0)
        assert not any(one.aborted.is_set() for one in (*slow[2:], last))

    asyncio.run(scenario())


def test_who_takes_a_little_of_the_answer_now_and_then_is_waited_for() -> None:
    async def scenario() -> None:
        slow = Slow()
        joined = slow.joined(Unread(1000), 0.5)
        joined.write(b"0123456789")
        for _ in range(10):
            await asyncio.sleep(0.1)
            slow.take(1)
            joined.write(b"x")
        assert not slow.aborted.is_set()
        async with asyncio.timeout(10):
            await slow.aborted.wait()

    asyncio.run(scenario())
