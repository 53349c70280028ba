"""What an engine has done, in plain numbers that cost a decoder step next to nothing.

A tally has one owner, who alone writes it: a worker thread, or whoever holds the lock of
`admission`. Anybody may read it, and adds up the tallies of all owners.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

WAIT_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH_BOUNDS = (0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.5)
FILL_BOUNDS = (0.0625, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)


class Distribution:
    """How many values fell between each bound and the one before, or beyond all; and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def __add__(self, other: "Distribution") -> "Distribution":
        both = Distribution(self.bounds)
        both.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        both.total = self.total + other.total
        return both


def _seconds_of_batches() -> Distribution:
    return Distribution(BATCH_BOUNDS)


@dataclass(slots=True)
class Tally:
    """Counts of one owner, or of several; seconds, sentences, and tokens with `</s>`.

    `encoder_tokens` and `decoder_tokens` are source tokens that were computed, padding included,
    and `encoder_real` and `decoder_real` how many of them were no padding; `forced_tokens` and
    `forced_real` are the same of given targets that were read at once.
    """

    waits: Distribution = field(default_factory=lambda: Distribution(WAIT_BOUNDS))
    encodings: Distribution = field(default_factory=_seconds_of_batches)
    steps: Distribution = field(default_factory=_seconds_of_batches)
    readings: Distribution = field(default_factory=_seconds_of_batches)
    fill: Distribution = field(default_factory=lambda: Distribution(FILL_BOUNDS))
    encoder_tokens: int = 0
    encoder_real: int = 0
    decoder_tokens: int = 0
    decoder_real: int = 0
    forced_tokens: int = 0
    forced_real: int = 0
    failed_encodings: int = 0
    failed_steps: int = 0
    failed_readings: int = 0
    done: int = 0
    failed: int = 0
    dropped: int = 0
    source_tokens: int = 0
    target_tokens: int = 0

    def encoded(self, seconds: float, real: int, tokens: int) -> None:
        """Note a batch of the encoder."""
        self.encodings.add(seconds)
        self.encoder_real += real
        self.encoder_tokens += tokens

    def read(self, seconds: float, real: int, tokens: int) -> None:
        """Note given targets that were read at once; `tokens` are theirs, padding included."""
        self.readings.add(seconds)
        self.forced_real += real
        self.forced_tokens += tokens

    def stepped(self, seconds: float, fill: float, real: int, tokens: int) -> None:
        """Note a decoder step; `fill` is the share of rows that were in use."""
        self.steps.add(seconds)
        self.fill.add(fill)
        self.decoder_real += real
        self.decoder_tokens += tokens


@dataclass(frozen=True, slots=True)
class Load:
    """What an engine has in hand, in sentences, and what it has done."""

    waiting: int
    running: int
    tally: Tally


def added(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    total = Tally()
    for tally in tallies:
        for one in fields(Tally):
            setattr(total, one.name, getattr(total, one.name) + getattr(tally, one.name))
    return total
