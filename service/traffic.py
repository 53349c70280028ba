"""What came of the requests, in plain numbers; `metrics` tells them to who asks.

Counted as each request ends, in the one event loop that serves them all. What they are counted by
are names of ours only: methods, route templates, statuses, error codes and models.
"""

from collections import Counter
from collections.abc import Mapping
from functools import partial

from service.tally import Distribution
from service.visit import Visit

Labels = tuple[str, ...]

REQUEST_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
PHASE_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
PHASES = ("queue", "encode", "decode", "serialise")

NO_STATUS = "none"
"""The status of what was broken off before there was an answer."""


class Traffic:
    """Counts requests: open ones, and those that are over.

    `requests` are by method, route and status, `seconds` by method and route, `errors` by code,
    `phases` by model and phase, of answered requests alone, and `attention_bytes` by model.
    """

    def __init__(self) -> None:
        self.requests: Counter[Labels] = Counter()
        self.seconds = _Distributions(REQUEST_BOUNDS)
        self.errors: Counter[Labels] = Counter()
        self.phases = _Distributions(PHASE_BOUNDS)
        self.attention_bytes: Counter[Labels] = Counter()
        self._open: set[Visit] = set()

    @property
    def open(self) -> int:
        """Requests that are being served."""
        return len(self._open)

    @property
    def streams(self) -> int:
        """Those of them that are streams of events under way."""
        return sum(visit.streaming for visit in self._open)

    def begin(self, visit: Visit, headers: Mapping[str, str]) -> None:
        """Count a request as open."""
        self._open.add(visit)

    def end(self, visit: Visit) -> None:
        """Count a request that is over."""
        self._open.discard(visit)
        status = str(visit.status) if visit.status else NO_STATUS
        self.requests[visit.method, visit.route, status] += 1
        self.seconds[visit.method, visit.route].add(visit.ended - visit.started)
        if visit.code is not None:
            self.errors[(visit.code,)] += 1
        if visit.model is None:
            return
        self.attention_bytes[(visit.model,)] += visit.attention_bytes
        if visit.answered:
            spent = visit.timing()
            for phase in PHASES:
                self.phases[visit.model, phase].add(getattr(spent, phase))


class _Distributions(dict[Labels, Distribution]):
    """Distributions by labels, each made when its labels first come."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        super().__init__()
        self._new = partial(Distribution, bounds)

    def __missing__(self, labels: Labels) -> Distribution:
        return self.setdefault(labels, self._new())
