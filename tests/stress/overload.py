"""Requests that come when they come, many more than the server can do, whatever is answered."""

import asyncio
import json
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.arrivals import poisson
from tests.stress import texts
from tests.stress.process import SECONDS, Process
from tests.stress.wire import STATUSES, ask, post

MOST_CONNECTIONS = 600
"""More than the server serves, and fewer than it hangs up on."""

QUEUE, RUNNING = "interlinea_queue_sentences{en-fr}", "interlinea_running_sentences{en-fr}"
REFUSALS = ("queue_full", "too_many_connections", "deadline_exceeded")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Offered:
    """What became of requests: seconds from the moment when each was sent to its answer, by code.

    `late` is how far behind the schedule each was sent: what this client lacks, since it shares
    the machine with the server; `unsent` came when all connections were busy. `pending` are the
    sentences that the server had in hand, as it said once a second, and `recovered` is how long
    after the last answer a lone request was done.
    """

    rate: float
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    late: list[float] = field(default_factory=list)
    unsent: int = 0
    pending: list[float] = field(default_factory=list)
    recovered: float = 0.0

    @property
    def total(self) -> int:
        """Requests that were answered."""
        return sum(map(len, self.seconds.values()))


def requests(count: int, seed: int, timeout: float | None) -> list[bytes]:
    """Requests of a sentence each, with so much patience."""
    draw = random.Random(seed)
    return [
        post("/translate", {"text": texts.sentence(draw), "timeout": timeout}) for _ in range(count)
    ]


def capacity(process: Process, seconds: float, connections: int = 32) -> float:
    """Requests of a sentence that the server answers in a second, when always some wait."""
    sent = requests(200, 1, None)
    return asyncio.run(_saturate(Client(process.port), sent, seconds, connections))


def offer(
    process: Process, rate: float, seconds: float, timeout: float | None, seed: int = 2
) -> Offered:
    """Send requests at Poisson arrivals, and see how they end.

    Raises `AssertionError` where one is neither translated nor refused as `REFUSALS` are.
    """
    found = Offered(rate)
    sent = requests(500, seed, timeout)
    asyncio.run(_arrive(process, found, sent, poisson(rate, seconds, seed)))
    assert found.seconds.keys() <= {"ok", *REFUSALS}, found.seconds.keys()
    last = time.monotonic()
    answer = ask(process.port, sent[0])
    assert answer is not None
    assert answer.code == "ok", answer.body
    found.recovered = time.monotonic() - last
    process.settled()
    assert process.alive
    return found


class Client:
    """Connections that are kept, as many as it takes up to a bound."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Streams] = []
        self._open = 0

    @property
    def busy(self) -> bool:
        """Whether no connection can be had."""
        return not self._idle and self._open >= MOST_CONNECTIONS

    async def ask(self, sent: bytes) -> str:
        """Send a request and return the code of its answer, which is checked."""
        streams = self._idle.pop() if self._idle else await self._connect()
        head, body = await _exchange(streams, sent)
        if b"connection: close" in head:
            streams[1].close()
            self._open -= 1
        else:
            self._idle.append(streams)
        return _checked(head, body)

    def close(self) -> None:
        """Hang up."""
        for _, writer in self._idle:
            writer.close()

    async def _connect(self) -> Streams:
        self._open += 1
        return await asyncio.open_connection("127.0.0.1", self._port)


async def _exchange(streams: Streams, sent: bytes) -> tuple[bytes, bytes]:
    reader, writer = streams
    writer.write(sent)
    async with asyncio.timeout(SECONDS):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, _, rest = head.partition(b"content-length: ")
        return head, await reader.readexactly(int(rest.partition(b"\r\n")[0]))


def _checked(head: bytes, body: bytes) -> str:
    """The code of an answer; a refusal must say when to come back."""
    status = int(head[9:12])
    if status == 200:
        return "ok"
    code: str = json.loads(body)["error"]["code"]
    assert STATUSES[code] == status
    assert b"\r\nretry-after: " in head, head
    return code


async def _saturate(
    client: Client, sent: Sequence[bytes], seconds: float, connections: int
) -> float:
    loop = asyncio.get_running_loop()
    end, done = loop.time() + seconds, 0

    async def ask_on(number: int) -> None:
        nonlocal done
        while loop.time() < end:
            number += connections
            assert await client.ask(sent[number % len(sent)]) == "ok"
            done += loop.time() < end

    await asyncio.gather(*(ask_on(number) for number in range(connections)))
    client.close()
    return done / seconds


async def _arrive(
    process: Process, found: Offered, sent: Sequence[bytes], schedule: Sequence[float]
) -> None:
    loop, client, under_way = asyncio.get_running_loop(), Client(process.port), []
    begin = loop.time()

    async def one(number: int, due: float) -> None:
        if client.busy:
            found.unsent += 1
            return
        sending = loop.time()
        found.late.append(sending - due)
        code = await client.ask(sent[number % len(sent)])
        found.seconds[code].append(loop.time() - sending)

    watching = asyncio.create_task(_watch(process, found))
    for number, at in enumerate(schedule):
        await asyncio.sleep(max(0.0, begin + at - loop.time()))
        under_way.append(asyncio.create_task(one(number, begin + at)))
    await asyncio.gather(*under_way)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    client.close()


async def _watch(process: Process, found: Offered) -> None:
    """Ask once a second what is in hand, if the crowd lets anyone ask."""
    while True:
        with suppress(AssertionError):  # that the figures, too, are refused
            said = await asyncio.to_thread(process.figures)
            found.pending.append(said[QUEUE] + said[RUNNING])
        await asyncio.sleep(1.0)
