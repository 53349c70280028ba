"""The time between being told to end and refusing connections: not ready, and still serving.

A balancer that asks for `/health/ready` sends nothing new meanwhile, so that nothing new is lost
when the server stops listening.
"""

import time
from collections.abc import Callable


class Drain:
    """Begun once, over `seconds` later; `clock` counts seconds."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._ends: float | None = None

    def begin(self) -> None:
        """Begin, if it has not begun."""
        if self._ends is None:
            self._ends = self._clock() + self._seconds

    def begun(self) -> bool:
        """True from `begin` on."""
        return self._ends is not None

    def over(self) -> bool:
        """True once its seconds have gone by."""
        return self._ends is not None and self._clock() >= self._ends
