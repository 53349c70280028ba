"""Everything at once that should not be sent, again and again, and what the memory says to it."""

import statistics
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.stress import abuses, bodies, shapes
from tests.stress.process import Process
from tests.stress.wire import ask

SETTINGS = {"HEADER_SECONDS": "3", "BODY_SECONDS": "3"}
"""Patience with those who never go on, short enough to wait for."""


@dataclass(slots=True)
class Fuzzed:
    """What came back, by code, and bytes in memory after each round."""

    answers: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Bodies and abuses that were answered, or hung up on."""
        return sum(self.answers.values())


def fuzz(process: Process, rounds: int, examples: int) -> Fuzzed:
    """In each round do all that is made by hand, and as many examples of hypothesis.

    Raises `AssertionError` where something is answered as it should not be.
    """
    found = Fuzzed()
    for turn in range(rounds):
        with ThreadPoolExecutor(len(abuses.slow())) as pool:
            slow = [pool.submit(_abuse, process.port, one) for one in abuses.slow()]
            for body in bodies.made_by_hand():
                found.answers[_ask(process.port, body.name, body.sent, body.codes)] += 1
            for one in abuses.quick():
                found.answers.update(_abuse(process.port, one))
            _examples(process.port, found.answers, examples, turn)
            for done in slow:
                found.answers.update(done.result())
        assert process.alive
        found.memory.append(process.settled()["process_resident_memory_bytes"])
    return found


def grown(samples: Sequence[float]) -> float:
    """By what share a figure grew from the middle fifth of its samples to the last.

    Until then caches fill, and the heap gets the shape that the longest texts need.
    """
    fifth = max(1, len(samples) // 5)
    early, late = samples[2 * fifth : 3 * fifth] or samples[:1], samples[-fifth:]
    return statistics.median(late) / statistics.median(early) - 1


def _ask(port: int, name: str, sent: bytes, codes: frozenset[str]) -> str:
    answer = ask(port, sent)
    assert answer is not None, f"{name}: the server hung up"
    assert answer.code in codes, f"{name}: {answer.status} {answer.body[:300]!r}"
    return answer.code


def _abuse(port: int, abuse: abuses.Abuse) -> list[str]:
    outcomes = abuse.happen(port)
    assert set(outcomes) <= abuse.outcomes, f"{abuse.name}: {outcomes}"
    return outcomes


def _examples(port: int, answers: Counter[str], count: int, turn: int) -> None:
    """Let hypothesis make bodies; a turn always makes the same."""

    @seed(turn)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(shapes.requests())
    def one(sent: bytes) -> None:
        answers[_ask(port, repr(sent), sent, shapes.ANSWERS)] += 1

    one()
