"""Candidates timed in turns, so that a host that changes its speed changes it for all of them."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

PAUSE = 0.25
"""Seconds between candidates: idle threads of some libraries spin for up to 0.2 s."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that does the work once when called."""

    name: str
    run: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to look: rounds over all candidates, and seconds of each sample."""

    rounds: int
    seconds: float
    pause: float = PAUSE


FULL, QUICK = Effort(7, 0.4), Effort(2, 0.05, 0.05)

Samples = Mapping[str, Sequence[float]]
"""Seconds a call of every candidate, one number a round."""


def measure(candidates: Sequence[Candidate], effort: Effort) -> Samples:
    """Time the candidates in turns; a sample is as many calls as fill `effort.seconds`.

    Every sample begins with a call that does not count, and every second round goes
    backwards, so that no candidate always follows the same one.
    """
    assert len({candidate.name for candidate in candidates}) == len(candidates)
    calls = {one.name: _calls(one, effort.seconds) for one in candidates}
    samples: dict[str, list[float]] = {one.name: [] for one in candidates}
    for turn in range(effort.rounds):
        for one in reversed(candidates) if turn % 2 else candidates:
            time.sleep(effort.pause)
            one.run()
            samples[one.name].append(_time(one, calls[one.name]))
    return samples


def ratio(slow: Sequence[float], fast: Sequence[float]) -> float:
    """Return how many times longer `slow` took: the median over rounds of each one's ratio."""
    return statistics.median(s / f for s, f in zip(slow, fast, strict=True))


def quickest(samples: Samples, names: Sequence[str]) -> str:
    """Return the name with the smallest median."""
    return min(names, key=lambda name: statistics.median(samples[name]))


def _calls(candidate: Candidate, seconds: float) -> int:
    """Return how many calls fill a sample; the first call warms up."""
    candidate.run()
    return max(1, round(seconds / max(_time(candidate, 1), 1e-9)))


def _time(candidate: Candidate, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        candidate.run()
    return (time.perf_counter() - start) / calls
