"""Decoder state by slot: rows of the running batch, kept packed.

Rows 0 to n-1 are in use, so a step reads plain leading slices and nothing is gathered: a
row that becomes free is taken by the next sentence, or filled with the last row. Memory
tensors (R, W, ...) are written once, when a sentence joins; only the state tensors
(R, ...) change from step to step. W is the width of the widest sentence on board.

A *growing* state tensor (R, P, ...) is all entries (R, ...) that a row's steps gave so far,
with room for one more: an entry is written in place, and nothing else moves. P is a
multiple of `ROOM`; what lies behind a row's own entries is not for reading.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

ROOM = 16
"""By how many entries a growing state is made longer at once."""

SPARE = 1024
"""How many padded tokens the rows in use may hold beyond what their widest needs, for a while."""

Array = NDArray[np.generic]
Held = Mapping[str, Any]
"""Tensors by name: arrays, or what lies on a device. Only the runner that made the slots and
takes what they hold looks inside."""


class AnySlots(Protocol):
    """What a worker asks of the slots of a runner, wherever they are; `Slots` says what is what."""

    @property
    def width(self) -> int:
        """Padded source tokens that every row holds."""
        ...

    def put(
        self, memory: Mapping[str, Array], state: Mapping[str, Array], rows: Sequence[int]
    ) -> None:
        """Write one sentence onto rows of its own."""
        ...

    def move(self, moves: Sequence[tuple[int, int]], used: int) -> None:
        """Carry out the moves (from, to) that close gaps, and use the first `used` rows."""
        ...

    def gather(self) -> tuple[Held, Held]:
        """Return memory and state of the rows in use, as the runner takes them."""
        ...

    def scatter(self, state: Held, parents: NDArray[np.int64] | None) -> None:
        """Take the state after a step, as the runner gave it."""
        ...


class Slots:
    """Memory and state of up to `capacity` decoder rows of one worker."""

    def __init__(self, capacity: int, growing: Collection[str] = ()) -> None:
        self.capacity = capacity
        self.used = 0
        self._growing = growing
        self._memory: dict[str, Array] = {}
        self._state: dict[str, Array] = {}
        self._widths = np.zeros(capacity, np.int64)
        self._steps = np.zeros(capacity, np.int64)

    @property
    def width(self) -> int:
        """Padded source tokens that every row holds; 0 before the first sentence."""
        return next((array.shape[1] for array in self._memory.values()), 0)

    def put(
        self, memory: Mapping[str, Array], state: Mapping[str, Array], rows: Sequence[int]
    ) -> None:
        """Write one sentence onto rows of its own; memory (W', ...), state (...).

        All rows of a sentence share their memory and their first state.
        """
        width = len(next(iter(memory.values())))
        assert max(rows) < self.capacity
        self._widths[rows] = width
        self._steps[rows] = 0
        self.used = max(self.used, max(rows) + 1)
        self._fit(width, memory, state)
        for name, array in memory.items():
            assert array.shape[1:] == self._memory[name].shape[2:], name
            _write(self._memory[name], rows, array)
        for name, array in state.items():
            if name in self._growing:
                self._state[name][rows] = 0
            else:
                assert array.shape == self._state[name].shape[1:], name
                _write(self._state[name], rows, array)

    def move(self, moves: Sequence[tuple[int, int]], used: int) -> None:
        """Carry out the moves (from, to) that close gaps, and use the first `used` rows."""
        for origin, place in moves:
            width = self._widths[place] = self._widths[origin]
            for array in self._memory.values():
                array[place, :width] = array[origin, :width]
                array[place, width:] = 0
            self._steps[place] = self._steps[origin]
            for array in self._state.values():
                array[place] = array[origin]
        self._widths[used:] = 0
        self.used = used

    def gather(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return memory (n, W, ...) and state (n, ...) of the rows in use, without a copy."""
        memory = {name: array[: self.used] for name, array in self._memory.items()}
        if self._growing:
            self._make_room()
        return memory, {name: array[: self.used] for name, array in self._state.items()}

    def scatter(self, state: Mapping[str, Array], parents: NDArray[np.int64] | None) -> None:
        """Take the state after a step; row r goes on from row `parents[r]`, None: from itself.

        Of a growing tensor it is the new entry (n, ...).
        """
        for name, array in state.items():
            held = self._state[name]
            if name in self._growing:
                held[np.arange(self.used), self._steps[: self.used]] = array
                if parents is not None:
                    written = int(self._steps[: self.used].max(initial=0)) + 1
                    moved = np.flatnonzero(parents != np.arange(self.used))
                    held[moved, :written] = held[parents[moved], :written]
            elif parents is None:
                assert array.shape == (self.used, *held.shape[1:]), name
                _write(held, [0], array)
            else:
                held[: self.used] = array[parents]
        if self._growing:
            steps = self._steps[: self.used]
            self._steps[: self.used] = (steps if parents is None else steps[parents]) + 1

    def _make_room(self) -> None:
        """Let growing tensors hold one entry more than the longest row, and not far more."""
        needed = int(self._steps[: self.used].max(initial=0)) + 1
        room = -(-needed // ROOM) * ROOM
        for name in self._growing:
            held = self._state[name]
            if not room <= held.shape[1] <= 2 * room:
                longer = np.zeros((self.capacity, room, *held.shape[2:]), held.dtype)
                kept = min(room, held.shape[1])
                longer[: self.used, :kept] = held[: self.used, :kept]
                self._state[name] = longer

    def _fit(self, width: int, memory: Mapping[str, Array], state: Mapping[str, Array]) -> None:
        """Make the arrays as wide as the widest row, if they are too narrow or too wide."""
        needed = int(self._widths[: self.used].max())
        if not self._state:
            shapes = {name: (self.capacity, *array.shape) for name, array in state.items()}
            self._state = {n: np.zeros(shape, state[n].dtype) for n, shape in shapes.items()}
        spare = self.width - needed
        if 0 <= spare < needed and spare * self.used <= SPARE:
            return
        kept = min(needed, self.width)
        for name, array in memory.items():
            wide = np.zeros((self.capacity, needed, *array.shape[1:]), array.dtype)
            if name in self._memory:
                wide[: self.used, :kept] = self._memory[name][: self.used, :kept]
            self._memory[name] = wide


def _write(held: Array, rows: Sequence[int], array: Array) -> None:
    """Write an array over the beginning of rows, from each row on; the rest of a row is zero.

    numpy would let go of the interpreter for each such copy. Another thread takes it then, and
    keeps it for longer than the copy lasts.
    """
    whole, part = _bytes(held), _bytes(np.ascontiguousarray(array, held.dtype))
    row_size = len(whole) // len(held)
    behind = bytes(-len(part) % max(1, row_size))
    for row in rows:
        start = row * row_size
        whole[start : start + len(part)] = part
        whole[start + len(part) : start + len(part) + len(behind)] = behind


def _bytes(array: Array) -> memoryview:
    """Return the memory of an array without gaps."""
    return array.reshape(-1).view(np.uint8).data
