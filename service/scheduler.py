"""Which sequences run in the next step of a batch; plain data, no thread, no tensor.

    rows, tokens = scheduler.wanted()   # how much more to take and encode now
    scheduler.prepare(encoded)          # they are encoded and wait for rows
    batch = scheduler.next_batch()      # who joins on which rows, which rows move
    scheduler.release(done)             # who leaves; newcomers take the free rows

Rows that leave stay empty until the next batch: who joins takes them first, and only what
is then still empty is closed with rows from the end, so that a full batch moves nothing.

Sentences of very different lengths do not share a batch, for every row is padded to the
longest: each *lane* has a scheduler of its own, and a long sentence never waits for short
ones. Within a lane nobody is overtaken: who does not fit holds up those behind.
"""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from service.waiting import Sequence

LANES = (128,)
"""Widest padded source of each lane but the last, in tokens.

Up to here a wider source hardly costs a step anything; at 400 tokens it costs twice.
"""

AHEAD = 16
"""Rows' worth of sentences to encode at once, though fewer rows are free: enough to pick
batches of like lengths from, which cost half of what sentences in order of arrival do."""


def lane_of(width: int) -> int:
    """Return the lane of a padded width."""
    return sum(width > widest for widest in LANES)


@dataclass(frozen=True, slots=True)
class Batch:
    """What the next step runs: who joins, then the moves (from, to), then who is on board."""

    joining: tuple[Sequence, ...]
    moves: tuple[tuple[int, int], ...]
    running: tuple[Sequence, ...]


class Scheduler:
    """The rows of one lane of one worker, and the encoded sentences that wait for them."""

    def __init__(self, capacity: int, token_budget: int) -> None:
        self.capacity = capacity
        self.token_budget = token_budget
        self.running: list[Sequence] = []
        self.ready: deque[Sequence] = deque()
        self._owners: list[Sequence | None] = []
        self._free: list[int] = []
        self._tokens = 0

    @property
    def used(self) -> int:
        """Rows up to the last one in use."""
        return len(self._owners)

    @property
    def held(self) -> int:
        """Rows in use, and rows that encoded sentences wait for."""
        return self.used - len(self._free) + sum(sequence.beams for sequence in self.ready)

    @property
    def idle(self) -> bool:
        """True when nothing runs and nothing is ready to."""
        return not self.running and not self.ready

    def wanted(self, rows: int = 0, tokens: int = 0) -> tuple[int, int]:
        """Rows' worth of sentences to take now, and their padded tokens, where some are coming.

        None while those that are ready or coming suffice.
        """
        free = self.capacity - self.held - rows
        room = self.token_budget - self._tokens - tokens
        return (max(free, AHEAD), room) if free > 0 and room > 0 else (0, 0)

    def prepare(self, encoded: Iterable[Sequence]) -> None:
        """Let encoded sequences wait for their rows."""
        for sequence in encoded:
            assert 0 < sequence.beams <= self.capacity
            self.ready.append(sequence)
            self._tokens += sequence.cost

    def next_batch(self) -> Batch:
        """Let ready sequences join while they fit, close the gaps, and return what runs."""
        joining: list[Sequence] = []
        width = max((running.width for running in self.running), default=0)
        while self.ready:
            width = max(width, self.ready[0].width)
            if not self._fits(self.ready[0].beams, width):
                break
            sequence = self.ready.popleft()
            sequence.rows = [self._take(sequence) for _ in range(sequence.beams)]
            self.running.append(sequence)
            joining.append(sequence)
        moves = self._close_gaps()
        return Batch(tuple(joining), tuple(moves), tuple(self.running))

    def release(self, done: Collection[Sequence]) -> None:
        """Take sequences off the batch."""
        gone = {sequence.key for sequence in done}
        self.running = [sequence for sequence in self.running if sequence.key not in gone]
        for sequence in done:
            self._tokens -= sequence.cost
            for row in sequence.rows:
                self._owners[row] = None
            self._free.extend(sequence.rows)
            sequence.rows = []
        self._free.sort(reverse=True)

    def withdraw(self, dropped: Collection[Sequence]) -> None:
        """Take out sequences that wait for their rows."""
        gone = {sequence.key for sequence in dropped}
        self._tokens -= sum(one.cost for one in self.ready if one.key in gone)
        self.ready = deque(sequence for sequence in self.ready if sequence.key not in gone)

    def _fits(self, beams: int, width: int) -> bool:
        rows = self.used - len(self._free) + beams
        if rows > self.capacity:
            return False
        return not self.running or rows * width <= self.token_budget

    def _take(self, sequence: Sequence) -> int:
        if self._free:
            row = self._free.pop()
            self._owners[row] = sequence
            return row
        self._owners.append(sequence)
        return self.used - 1

    def _close_gaps(self) -> list[tuple[int, int]]:
        moves: list[tuple[int, int]] = []
        while self._free:
            last = self.used - 1
            owner = self._owners.pop()
            if owner is None:
                self._free.remove(last)
                continue
            row = self._free.pop()
            self._owners[row] = owner
            owner.rows[owner.rows.index(last)] = row
            moves.append((last, row))
        return moves
