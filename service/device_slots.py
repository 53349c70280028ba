"""Decoder state by slot, on a device; a copy on the host is changed when rows come and go.

Between two steps the host and the device may each hold what the other lacks:

    a sentence joins or moves   state comes home; memory and state go up at the next step
    a step, no row moved        the new state stays on the device and is the next step's input
    a beam reorders its rows    state comes home in its new order, and goes up; memory stays

What is copied is copied whole: memory or state of all rows, though one of them changed. A growing
state comes home by its new entry and goes up whole at every step.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from service.device import Array, Device, Tensor
from service.slots import Slots


class DeviceSlots:
    """Memory and state of up to `capacity` decoder rows of one worker; shapes as in `Slots`."""

    def __init__(self, capacity: int, device: Device, growing: Collection[str] = ()) -> None:
        self._device = device
        self._host = Slots(capacity, growing)
        self._grows = bool(growing)
        self._memory: Mapping[str, Tensor] | None = None  # None: the host's has to go up
        self._state: Mapping[str, Tensor] | None = None  # the same
        self._ahead = False  # the state on the device is newer than the host's

    @property
    def width(self) -> int:
        """Padded source tokens that every row holds."""
        return self._host.width

    def put(
        self, memory: Mapping[str, Array], state: Mapping[str, Array], rows: Sequence[int]
    ) -> None:
        """Write one sentence onto rows of its own; memory (W', ...), state (...)."""
        self._come_home()
        self._host.put(memory, state, rows)

    def move(self, moves: Sequence[tuple[int, int]], used: int) -> None:
        """Carry out the moves (from, to) that close gaps, and use the first `used` rows."""
        if moves or used != self._host.used:
            self._come_home()
        self._host.move(moves, used)

    def gather(self) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """Return memory (n, W, ...) and state (n, ...) of the rows in use, on the device."""
        memory, state = self._host.gather()
        if self._memory is None:
            self._memory = self._go_up(memory)
        if self._state is None:
            self._state = self._go_up(state)
        return self._memory, self._state

    def scatter(self, state: Mapping[str, Tensor], parents: NDArray[np.int64] | None) -> None:
        """Take the state after a step; row r goes on from row `parents[r]`, None: from itself."""
        self._state, self._ahead = state, True
        if parents is not None or self._grows:
            self._bring(parents)

    def _come_home(self) -> None:
        """Make the host's copies those that count, because their rows are about to change."""
        self._memory = None
        self._bring(None)

    def _bring(self, parents: NDArray[np.int64] | None) -> None:
        """Let the host have the state; if this fails, so do all on board, and nothing is left."""
        state, ahead = self._state, self._ahead
        self._state, self._ahead = None, False
        if ahead and state is not None:
            arrays = {name: self._device.download(tensor) for name, tensor in state.items()}
            self._host.scatter(arrays, parents)

    def _go_up(self, arrays: Mapping[str, Array]) -> dict[str, Tensor]:
        return {name: self._device.upload(array) for name, array in arrays.items()}
