"""Ordinary traffic for a long time: every kind of request, and what the memory says to it."""

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.stress import texts
from tests.stress.process import Process
from tests.stress.wire import Answer, Line, post, request

KINDS = {"text": 35, "list": 20, "beam": 8, "stream": 17, "align": 10, "words": 5, "query": 5}
"""Kinds of requests, and how many of a hundred are such."""

SAMPLES = 50
"""How often memory is looked at."""

EVENTS = {"Accept": "text/event-stream", "Connection": "close"}


@dataclass(slots=True)
class Soaked:
    """What was done: sentences, requests by kind, bytes in memory along the way."""

    sentences: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Question:
    """A request of so many sentences."""

    kind: str
    sentences: int
    sent: bytes


def soak(process: Process, sentences: int, at_once: int = 8) -> Soaked:
    """Ask until so many sentences are done; the first questions get the same answers at the end.

    Raises `AssertionError` where anything is refused, fails or differs.
    """
    found, questions = Soaked(), _questions(random.Random(7))
    first = [next(questions) for _ in range(2 * at_once)]
    with ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(lambda one: _ask(process.port, one), first))
        for turn in range(1, SAMPLES + 1):
            wanted = sentences * turn // SAMPLES
            while found.sentences < wanted:
                some = list(itertools.islice(questions, 4 * at_once))
                list(pool.map(lambda one: _ask(process.port, one), some))
                found.requests.update(one.kind for one in some)
                found.sentences += sum(one.sentences for one in some)
            found.memory.append(process.settled()["process_resident_memory_bytes"])
        again = list(pool.map(lambda one: _ask(process.port, one), first))
    assert again == answers, "an answer has changed"
    return found


def _questions(draw: random.Random) -> Iterator[Question]:
    """Every kind in turn, as mixed as its share."""
    while True:
        count = draw.choice((1, 1, 1, 2, 3, 5, 12))
        many = [texts.sentence(draw) for _ in range(count)]
        (kind,) = draw.choices(tuple(KINDS), tuple(KINDS.values()))
        yield _question(kind, many)


def _question(kind: str, many: list[str]) -> Question:
    count, text = len(many), " ".join(many)
    match kind:
        case "list":
            sent = post("/translate", {"text": many, "attention": "alignment"})
        case "beam":
            sent = post("/translate", {"text": many, "beam_size": 4, "n_best": 2})
        case "stream":
            sent = post("/translate", {"text": text}, EVENTS)
        case "align":
            pairs = [{"source_text": one, "target_text": "Il lit un livre."} for one in many]
            sent = post("/align", {"pairs": pairs, "unit": "word", "diagnostics": True})
        case "words":
            sent = post("/align", {"pairs": [{"source_text": one.split()} for one in many]})
        case "query":
            sent, count = request("GET", "/align?source_text=Good+morning."), 1
        case _:
            sent = post("/translate", {"text": text, "matrix": "integers", "diagnostics": True})
    return Question(kind, count, sent)


def _ask(port: int, question: Question) -> bytes:
    """The answer, as bytes; of a stream its last event."""
    with Line(port) as line:
        line.send(question.sent)
        if question.kind == "stream":
            whole = b"".join(iter(line.some, b""))
            _, done, last = whole.rpartition(b"event: done\ndata: ")
            assert done, whole[-300:]
            return last.partition(b"\n")[0]
        answer = line.answer()
    assert isinstance(answer, Answer)
    assert answer.code == "ok", answer.body
    assert json.loads(answer.body)["model"]["name"] == "en-fr"
    return answer.body
