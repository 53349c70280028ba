"""When the sentences of a request got where, and how long the request spent on what.

Each sentence is stamped by whoever has it in hand, once per station; nothing is timed per step.
Only when all is over are the stamps of a request made into times.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Interval = tuple[float, float]


@dataclass(slots=True, eq=False)
class Times:
    """Where a sentence has been, in seconds of `time.monotonic`, 0 where it has not been yet.

    `source` and `target` are its tokens with `</s>`; `steps` the decoder steps that it was on
    board for, and `step` the step of its lane that was its first.
    """

    source: int
    admitted: float
    taken: float = 0.0
    encoding: float = 0.0
    encoded: float = 0.0
    boarded: float = 0.0
    done: float = 0.0
    step: int = 0
    steps: int = 0
    target: int = 0


@dataclass(frozen=True, slots=True)
class Phases:
    """When a request was in which phase: intervals in order, none of which meet."""

    queue: Sequence[Interval]
    encode: Sequence[Interval]
    decode: Sequence[Interval]


def phases(times: Sequence[Times], now: float) -> Phases:
    """Return when a request waited, was encoded and was decoded; what is not over ends `now`.

    It waits from its arrival until its first sentence is taken, and is encoded, or decoded, while
    at least one sentence is.
    """
    waiting = ((some[0].admitted, min(one.taken or now for one in some)) for some in calls(times))
    encoding = ((one.encoding, one.encoded or now) for one in times if one.encoding)
    decoding = ((one.boarded, one.done or now) for one in times if one.boarded)
    return Phases(merged(waiting), merged(encoding), merged(decoding))


def calls(times: Iterable[Times]) -> list[list[Times]]:
    """Return the sentences of a request by the calls of an engine that they came with.

    A request has more than one where a target is translated before it is aligned, and where two
    models are asked; what came at one instant came together.
    """
    found: dict[float, list[Times]] = {}
    for one in times:
        found.setdefault(one.admitted, []).append(one)
    return list(found.values())


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Return intervals in order, with those made one that meet."""
    found: list[Interval] = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def length(intervals: Iterable[Interval]) -> float:
    """Return the seconds of intervals that do not meet."""
    return sum(end - start for start, end in intervals)
