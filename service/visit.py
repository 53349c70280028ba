"""What is known of a request while it is served, for those who watch: never its user or key.

The visit of the request that is being served is in `CURRENT`, wherever its work leads: so log
lines can name it, and the engine can stamp it, without being told of HTTP.
"""

import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from service.timing import Interval, Times, length, phases


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a request spent on what, in seconds, and what it was made of.

    The phases may overlap, and `total` holds what is in none of them too.
    """

    queue: float
    encode: float
    decode: float
    serialise: float
    total: float
    steps: int
    source_tokens: int
    target_tokens: int


@dataclass(slots=True, eq=False)
class Visit:
    """A request: who it is, where it went, and what came of it.

    `started` is when it came, `answered` when its answer was written, `ended` when that was sent,
    in seconds of `time.monotonic`, 0 where it has not been. `code` is that of its error; `status`
    0 means that no answer was begun. `attention_bytes` are of matrices as JSON, `reading` is how
    long its body was waited for.
    """

    request_id: str
    method: str = "GET"
    started: float = field(default_factory=time.monotonic)
    reading: float = 0.0
    answered: float = 0.0
    ended: float = 0.0
    route: str = ""
    status: int = 0
    code: str | None = None
    model: str | None = None
    streaming: bool = False
    attention_bytes: int = 0
    trace_id: str | None = None
    times: list[Times] = field(default_factory=list)
    texts: Sequence[object] = ()
    _timing: Timing | None = field(default=None, init=False, repr=False)

    @property
    def source_tokens(self) -> int:
        """Tokens of its sentences, `</s>` included."""
        return sum(one.source for one in self.times)

    @property
    def target_tokens(self) -> int:
        """Tokens of its sentences' translations, `</s>` included."""
        return sum(one.target for one in self.times)

    def serialising(self, now: float) -> Interval | None:
        """Return when its answer was written: since its last sentence was done."""
        done = max((one.done for one in self.times), default=0.0)
        return (done, self.answered or now) if done else None

    def timing(self) -> Timing:
        """Return its times up to now, or until it was answered."""
        if self._timing is not None:
            return self._timing
        timing = self._timed(self.answered or time.monotonic())
        if self.answered:
            self._timing = timing
        return timing

    def _timed(self, now: float) -> Timing:
        spent = phases(self.times, now)
        written = self.serialising(now)
        return Timing(
            length(spent.queue),
            length(spent.encode),
            length(spent.decode),
            length([written] if written else []),
            now - self.started,
            sum(one.steps for one in self.times),
            self.source_tokens,
            self.target_tokens,
        )


CURRENT: ContextVar[Visit | None] = ContextVar("interlinea_visit", default=None)
"""The request that is being served here; None where nothing is."""


def arrival() -> float:
    """Return when the request that is being served came; now, where none is."""
    visit = CURRENT.get()
    return time.monotonic() if visit is None else visit.started
