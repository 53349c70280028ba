"""What traffic is made of, and what its figures mean; nothing here is timed."""

import asyncio
import statistics
from collections.abc import Callable, Coroutine, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import pytest

from benchmarks.arrivals import poisson
from benchmarks.client import BadAnswer, ask, closed_loop, open_loop, post
from benchmarks.latency import Latency, percentile, summarise
from benchmarks.servers.batching import Batcher

ANSWER = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"
REFUSAL = b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nno"


def test_arrivals_are_the_same_for_a_seed_and_of_the_asked_rate() -> None:
    times = poisson(50, 100, 1)
    assert times == poisson(50, 100, 1) != poisson(50, 100, 2)
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < 100
    assert 4700 < len(times) < 5300


def test_gaps_of_arrivals_spread_as_far_as_they_are_long() -> None:
    times = poisson(10, 1000, 3)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert statistics.fmean(gaps) == pytest.approx(0.1, rel=0.05)
    assert statistics.pstdev(gaps) == pytest.approx(0.1, rel=0.05)


def test_arrivals_need_a_rate() -> None:
    with pytest.raises(ValueError, match="above zero"):
        poisson(0, 1, 1)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 10), (0.95, 19), (0.99, 20), (0.05, 1), (1.0, 20)]
)
def test_percentiles_are_values_that_occurred(share: float, expected: float) -> None:
    assert percentile(list(range(1, 21)), share) == expected


def test_latencies_are_told_in_milliseconds_in_any_order() -> None:
    assert summarise([0.003, 0.001, 0.002]) == Latency(2.0, 3.0, 3.0)
    with pytest.raises(ValueError, match="nothing"):
        summarise([])


def test_a_request_says_how_long_its_body_is() -> None:
    head, _, body = post("/translate", {"text": "é"}).partition(b"\r\n\r\n")
    assert body == '{"text": "é"}'.encode()
    assert f"Content-Length: {len(body)}".encode() in head


Result = TypeVar("Result")

Serve = Callable[[int], Coroutine[Any, Any, Sequence[bytes]]]
"""Given how many requests came before: the pieces of an answer, none of which hang up."""


async def against(serve: Serve, work: Callable[[int], Coroutine[Any, Any, Result]]) -> Result:
    """Run `work` with the port of a server of this process."""
    count = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        try:
            while True:
                await reader.readuntil(b"\r\n\r\nx")
                pieces = await serve(count)
                count += 1
                if not pieces:
                    break
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        return await work(server.sockets[0].getsockname()[1])


REQUESTS = [b"POST / HTTP/1.1\r\n\r\nx"]


async def at_once(_: int) -> Sequence[bytes]:
    return [ANSWER]


def test_an_open_loop_counts_every_answer() -> None:
    found = asyncio.run(
        against(at_once, lambda port: open_loop(port, 2, REQUESTS, [0.0, 0.0, 0.0, 0.01], 0.5))
    )
    assert (found.answered, found.errors, found.unanswered) == (4, 0, 0)
    assert found.bytes == 4 * len(ANSWER)
    assert len(found.latencies) == len(found.late) == 4
    assert found.rate == 8


def test_answers_may_come_in_pieces() -> None:
    async def in_pieces(_: int) -> Sequence[bytes]:
        return [ANSWER[:9], ANSWER[9:30], ANSWER[30:-3], ANSWER[-3:]]

    found = asyncio.run(
        against(in_pieces, lambda port: open_loop(port, 1, REQUESTS, [0.0, 0.0], 0.5))
    )
    assert (found.answered, found.errors) == (2, 0)


def test_refusals_are_errors_and_no_throughput() -> None:
    async def refuse(_: int) -> Sequence[bytes]:
        return [REFUSAL]

    found = asyncio.run(against(refuse, lambda port: open_loop(port, 1, REQUESTS, [0.0], 0.5)))
    assert (found.answered, found.errors, found.rate) == (1, 1, 0)


def test_a_latency_counts_from_the_scheduled_arrival() -> None:
    first = asyncio.Event()

    async def first_waits(count: int) -> Sequence[bytes]:
        if count == 0:
            asyncio.get_running_loop().call_later(0.1, first.set)
            await first.wait()
        return [ANSWER]

    found = asyncio.run(
        against(first_waits, lambda port: open_loop(port, 1, REQUESTS, [0.0, 0.0], 0.5))
    )
    assert min(found.latencies) >= 0.1, "the second waited for the connection of the first"


def test_what_is_never_answered_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.client.PATIENCE", 0.05)

    async def never(_: int) -> Sequence[bytes]:
        await asyncio.Event().wait()
        return []

    found = asyncio.run(against(never, lambda port: open_loop(port, 1, REQUESTS, [0.0], 0.05)))
    assert (found.answered, found.unanswered) == (0, 1)
    assert found.latencies[0] >= 0.05


def test_a_request_goes_again_when_its_connection_was_closed() -> None:
    async def closes_once(count: int) -> Sequence[bytes]:
        return [ANSWER] if count else []

    found = asyncio.run(
        against(closes_once, lambda port: open_loop(port, 1, REQUESTS, [0.0, 0.0], 0.5))
    )
    assert (found.answered, found.errors, found.unanswered) == (2, 0, 0)


def test_a_closed_loop_keeps_its_connections_busy() -> None:
    busy = most = 0

    async def counted(_: int) -> Sequence[bytes]:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1
        return [ANSWER]

    found = asyncio.run(against(counted, lambda port: closed_loop(port, 3, REQUESTS, 0.02, 0.4)))
    assert most <= 3
    assert found.answered > 3
    assert 0 < found.in_time == len(found.latencies) <= found.answered


def test_asking_returns_the_body_or_says_what_went_wrong() -> None:
    async def in_turn(count: int) -> Sequence[bytes]:
        return [ANSWER, REFUSAL][count : count + 1]

    async def asks(port: int) -> bytes:
        body = await ask(port, REQUESTS[0])
        with pytest.raises(BadAnswer, match="no"):
            await ask(port, REQUESTS[0])
        with pytest.raises(BadAnswer, match="does not answer"):
            await ask(port, REQUESTS[0])
        return body

    assert asyncio.run(against(in_turn, asks)) == b"hello"


class Lane:
    """Notes its batches; each waits until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Semaphore(0)

    async def __call__(self, batch: list[int]) -> list[int]:
        self.batches.append(batch)
        await self.gate.acquire()
        if -1 in batch:
            raise ValueError("a bad batch")
        return [10 * item for item in batch]


async def turns(count: int = 5) -> None:
    """Let whatever is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_batch_closes_when_it_is_full() -> None:
    async def story() -> None:
        lane = Lane()
        batcher = Batcher([lane], 2, 60.0)
        asked = [asyncio.create_task(batcher.run([item])) for item in (1, 2, 3)]
        await turns()
        assert lane.batches == [[1, 2]], "3 waits for company and for the lane"
        lane.gate.release()
        assert await asyncio.gather(*asked[:2]) == [[10], [20]]
        asked[2].cancel()

    asyncio.run(story())


def test_a_batch_closes_when_its_first_has_waited() -> None:
    async def story() -> None:
        lane = Lane()
        lane.gate.release()
        assert await Batcher([lane], 8, 0.01).run([1, 2]) == [10, 20]
        assert lane.batches == [[1, 2]]

    asyncio.run(story())


def test_a_busy_lane_gathers_what_comes_meanwhile() -> None:
    async def story() -> None:
        lane = Lane()
        batcher = Batcher([lane], 8, 0.0)
        asked = [asyncio.create_task(batcher.run([item])) for item in (1, 2, 3)]
        await turns()
        assert lane.batches == [[1]]
        asked[1].cancel()
        await turns()
        lane.gate.release()
        lane.gate.release()
        assert await asked[0] == [10]
        assert await asked[2] == [30]
        assert lane.batches == [[1], [3]], "who has left is not worked on"

    asyncio.run(story())


def test_every_waiter_of_a_failed_batch_hears_of_it_and_the_lane_goes_on() -> None:
    async def story() -> None:
        lane = Lane()
        for _ in range(2):
            lane.gate.release()
        batcher = Batcher([lane], 2, 0.0)
        with pytest.raises(ValueError, match="bad batch"):
            await batcher.run([1, -1])
        assert await batcher.run([4]) == [40]

    asyncio.run(story())
