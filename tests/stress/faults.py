"""Faults that are put into a running server, and what becomes of those who ask meanwhile."""

import json
import resource
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tests.stress.process import Process
from tests.stress.wire import Line, ask, post

FAULTY = ("tests.stress.faulty",)
SENTENCE = "The old man reads the red book every morning."


def tell(process: Process, line: str) -> None:
    """Tell a faulty server what is to go wrong, and see that it has heard."""
    assert process.popen.stdin is not None
    assert process.popen.stdout is not None
    process.popen.stdin.write(f"{line}\n")
    process.popen.stdin.flush()
    assert process.popen.stdout.readline() == f"{line}\n"


@contextmanager
def held(process: Process) -> Iterator[None]:
    """Nothing gets on inside."""
    tell(process, "hold")
    try:
        yield
    finally:
        tell(process, "release")


@contextmanager
def full_disk(process: Process) -> Iterator[None]:
    """Not a byte more may the process write to a file inside; others may."""
    before = resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE, before)


def outcomes(port: int, requests: Sequence[bytes]) -> Counter[str]:
    """The codes of the answers to requests that are sent together."""
    with ThreadPoolExecutor(len(requests)) as pool:
        return Counter(pool.map(lambda sent: code(port, sent), requests))


def code(port: int, sent: bytes) -> str:
    """The code of an answer, which must come."""
    answer = ask(port, sent)
    assert answer is not None, "the server hung up"
    return answer.code


def stream_broken_by(process: Process, fault: str) -> tuple[str, Any]:
    """The last event of a stream, and its data, where a fault comes after the first event.

    Each thread may meet it; for one that comes late nobody is there any more, so that a fault it
    has not met is called off at the end.
    """
    asked = {"text": " ".join([SENTENCE] * 60), "attention": "none"}
    headers = {"Accept": "text/event-stream", "Connection": "close"}
    with Line(process.port) as line:
        line.send(post("/translate", asked, headers))
        whole = line.some()
        while b"event: token" not in whole:
            whole += line.some()
        with held(process):
            tell(process, fault)
        whole += b"".join(iter(line.some, b""))
    tell(process, "calm")
    last = whole.decode().partition("\r\n\r\n")[2].rpartition("event: ")[2]
    event, _, data = last.partition("\ndata: ")
    return event, json.loads(data.partition("\n")[0])


def deaths(process: Process, threads: int, at_once: int = 8) -> Counter[str]:
    """Let threads die one after another while sentences are on board; return what was answered.

    Raises `AssertionError` where anything but a translation or `step_failed` comes back, or the
    server is not whole again afterwards.
    """
    answers: Counter[str] = Counter()
    requests = [post("/translate", {"text": SENTENCE}) for _ in range(at_once)]
    for _ in range(threads):
        said = len(process.lines)
        tell(process, "step die 1")
        found = outcomes(process.port, requests)
        assert found.keys() <= {"ok", "step_failed"}, found
        process.said("a worker thread died", said)
        answers += found
    whole(process)
    return answers


def whole(process: Process) -> None:
    """See that nothing is left of what went wrong."""
    process.settled()
    assert process.alive
    found = code(process.port, post("/translate", {"text": [SENTENCE] * 64}))
    assert found == "ok", found
    ready = ask(process.port, b"GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n")
    assert ready is not None
    assert ready.status == 200, ready.body
