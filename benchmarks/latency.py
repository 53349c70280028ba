"""What many latencies amount to: percentiles by nearest rank, so each is one that occurred."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds."""

    p50: float
    p95: float
    p99: float


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the ascending values do not exceed."""
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summarise(seconds: Sequence[float]) -> Latency:
    """Return the percentiles of latencies that are given in seconds, in any order."""
    ordered = sorted(seconds)
    p50, p95, p99 = (round(1000 * percentile(ordered, share), 3) for share in SHARES)
    return Latency(p50, p95, p99)
