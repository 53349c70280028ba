"""Sequences that wait for a row, in an order that is fair between requests.

Each request is a flow. Weighted fair queueing (Demers, Keshav and Shenker 1989) puts a tag
on every sequence: a virtual clock runs the slower the more requests wait, and the k-th
sequence of a request is tagged as if the request had an equal share all along. So one
sentence does not wait behind a whole book, and the book still moves on: newcomers are
tagged by a clock that passes every tag in the end.
"""

import heapq
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Sequence:
    """A sentence to decode: `width` padded source tokens, on `beams` rows of the batch."""

    key: int
    flow: int
    width: int
    beams: int
    rows: list[int] = field(default_factory=list)

    @property
    def cost(self) -> int:
        """Padded tokens that it puts on board."""
        return self.width * self.beams


@dataclass(slots=True)
class _Flow:
    finish: float
    waiting: int = 0


class Waiting:
    """The queue of one lane."""

    def __init__(self) -> None:
        self.rows = 0
        self._clock = 0.0
        self._heap: list[tuple[float, int, Sequence]] = []
        self._flows: dict[int, _Flow] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._flows)

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence behind those of its own request, and beside the others'."""
        flow = self._flows.setdefault(sequence.flow, _Flow(self._clock))
        heapq.heappush(self._heap, (flow.finish, self._count, sequence))
        flow.finish += sequence.cost
        flow.waiting += 1
        self._count += 1
        self.rows += sequence.beams

    def first(self) -> Sequence | None:
        """Whose turn it is."""
        while self._heap and self._heap[0][2].flow not in self._flows:
            heapq.heappop(self._heap)  # its request has gone
        return self._heap[0][2] if self._heap else None

    def pop(self) -> Sequence:
        """Take the first sequence out; there must be one."""
        sequence = self.first()
        assert sequence is not None
        heapq.heappop(self._heap)
        self._clock += sequence.cost / len(self._flows)
        flow = self._flows[sequence.flow]
        flow.waiting -= 1
        if not flow.waiting:
            del self._flows[sequence.flow]
        self.rows -= sequence.beams
        return sequence

    def withdraw(self, flow: int) -> list[Sequence]:
        """Take out whatever a request still has here."""
        if self._flows.pop(flow, None) is None:
            return []
        gone = [sequence for _, _, sequence in self._heap if sequence.flow == flow]
        self._heap = [entry for entry in self._heap if entry[2].flow != flow]
        heapq.heapify(self._heap)
        self.rows -= sum(sequence.beams for sequence in gone)
        return gone
