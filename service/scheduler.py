"""Which sequences run in the next step; plain data, no thread, no tensor.

    batch = scheduler.next_batch()      # who joins, who runs
    outcome = ...                       # the engine runs it
    moves = scheduler.release(done)     # who leaves, and which rows close the gaps

Waiting sequences join in the order they came, as long as rows and padded source tokens
stay within the budget, so none is overtaken and none starves.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Sequence:
    """A sentence to decode: `width` source tokens, on as many rows as it has hypotheses."""

    key: int
    width: int
    beams: int
    rows: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Batch:
    """What the next step runs; those that join stand at the end of `running` as well."""

    joining: tuple[Sequence, ...]
    running: tuple[Sequence, ...]


class Scheduler:
    """Queue and running batch of one worker."""

    def __init__(self, capacity: int, token_budget: int) -> None:
        self.capacity = capacity
        self.token_budget = token_budget
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self._owners: list[Sequence] = []

    @property
    def used(self) -> int:
        """Rows in use."""
        return len(self._owners)

    @property
    def idle(self) -> bool:
        """True when nothing waits and nothing runs."""
        return not self.waiting and not self.running

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence."""
        assert 0 < sequence.beams <= self.capacity
        self.waiting.append(sequence)

    def next_batch(self) -> Batch:
        """Let waiting sequences join while they fit, and return what runs now."""
        joining: list[Sequence] = []
        while self.waiting and self._fits(self.waiting[0]):
            sequence = self.waiting.popleft()
            sequence.rows = list(range(self.used, self.used + sequence.beams))
            self._owners.extend([sequence] * sequence.beams)
            self.running.append(sequence)
            joining.append(sequence)
        return Batch(tuple(joining), tuple(self.running))

    def release(self, done: Iterable[Sequence]) -> list[tuple[int, int]]:
        """Take sequences off the batch; return the row moves (from, to) that close the gaps."""
        moves: list[tuple[int, int]] = []
        for sequence in done:
            self.running.remove(sequence)
            for row in sorted(sequence.rows, reverse=True):
                last = len(self._owners) - 1
                owner = self._owners.pop()
                if row != last:
                    self._owners[row] = owner
                    owner.rows[owner.rows.index(last)] = row
                    moves.append((last, row))
            sequence.rows = []
        return moves

    def withdraw(self, dropped: Iterable[Sequence]) -> None:
        """Take sequences out of the queue before they ever ran."""
        gone = {id(sequence) for sequence in dropped}
        self.waiting = deque(s for s in self.waiting if id(s) not in gone)

    def _fits(self, sequence: Sequence) -> bool:
        rows = self.used + sequence.beams
        if rows > self.capacity:
            return False
        width = max([sequence.width, *(running.width for running in self.running)])
        return not self.running or rows * width <= self.token_budget
