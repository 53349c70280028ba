"""How the last decoder steps of an engine went: whether one of them came to anything."""

import threading

FAILURES = 3
"""So many failures in a row, of steps, encodings or threads, are a fault of the engine."""


class Pulse:
    """Counts failures since the last step that went well; any thread may tell it of either."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0

    def good(self) -> None:
        """Note a step that gave at least one sentence its token."""
        self._failures = 0

    def bad(self) -> None:
        """Note a step or an encoding that failed for all its sentences, or a thread that died."""
        with self._lock:
            self._failures += 1

    @property
    def failing(self) -> bool:
        """True if nothing has gone well for some time."""
        return self._failures >= FAILURES
