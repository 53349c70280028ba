"""Clients that leave: before the first event, in the middle of a stream, politely or not."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.stress import texts
from tests.stress.process import Process
from tests.stress.wire import Line, ask, post

SETTINGS = {"WORKERS": "2", "SLOTS": "8"}
ROWS = 16
EVENTS = {"Accept": "text/event-stream"}

CANCELLED = "interlinea_errors_total{cancelled}"
STEPS = "interlinea_decoder_steps_total{en-fr}"
FAILED = "interlinea_sentences_total{en-fr,failed}"


@dataclass(frozen=True, slots=True)
class Left:
    """What clients that left have left behind.

    `begun` left after some tokens had come; `cancelled` is how many the server counted; steps of
    a full batch, and bytes in memory, before and after.
    """

    clients: int
    begun: int
    cancelled: int
    steps: tuple[float, float]
    memory: tuple[float, float]


def leave(process: Process, clients: int, at_once: int = 16) -> Left:
    """Let clients leave, and see that nothing is left of them; raises `AssertionError` if it is."""
    _batch(process)
    before, steps = process.settled(), _batch(process)
    begun = 0
    with ThreadPoolExecutor(at_once) as pool:
        for came in pool.map(lambda number: _visit(process.port, number), range(clients)):
            begun += came
    after = process.settled()
    assert process.alive
    assert after.get(FAILED, 0) == before.get(FAILED, 0)
    return Left(
        clients,
        begun,
        round(after[CANCELLED] - before.get(CANCELLED, 0)),
        (steps, _batch(process)),
        (before["process_resident_memory_bytes"], after["process_resident_memory_bytes"]),
    )


def _batch(process: Process) -> float:
    """The steps that a full batch takes: a row that is not free makes them twice as many."""
    before = process.settled()[STEPS]
    answer = ask(process.port, post("/translate", {"text": [texts.WRITTEN[6]] * ROWS}))
    assert answer is not None
    assert answer.code == "ok"
    return process.settled()[STEPS] - before


def _visit(port: int, number: int) -> bool:
    """Ask for something and leave; returns whether any of it had come."""
    draw = random.Random(number)
    content: dict[str, object] = {"text": texts.text(draw, 12)}
    kind, leave = draw.random(), draw.choice(WAYS)
    tokens = draw.randrange(1, 20)
    with Line(port) as line:
        if kind < 0.05:
            line.send(post("/align", {"pairs": [{"source_text": texts.sentence(draw)}] * 8}))
        elif kind < 0.15:
            line.send(post("/translate", content | {"beam_size": 4}))
        else:
            line.send(post("/translate", content, EVENTS))
        came = kind > 0.3 and _read(line, tokens)
        leave(line)
    return came


def _read(line: Line, tokens: int) -> bool:
    """Read until so many tokens have come."""
    seen = 0
    while seen < tokens:
        some = line.some()
        assert some, "a stream ended before its time"
        seen += some.count(b"event: ")
    return True


def _stop_sending(line: Line) -> None:
    line.send_no_more()


def _go(line: Line) -> None:
    """Close the connection, whatever is still on its way."""


WAYS: tuple[Callable[[Line], None], ...] = (_go, _stop_sending, Line.break_off)
