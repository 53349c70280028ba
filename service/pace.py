"""How fast the work of an engine gets done, as far as its own past tells."""

from dataclasses import dataclass

REMEMBERED = 8.0
"""Seconds of work that the estimate leans on."""


@dataclass(slots=True)
class Pace:
    """Cost finished a second while there was always more to do; otherwise nobody can tell."""

    _rate: float = 0.0
    _known: float = 0.0
    _since: float | None = None

    def finished(self, cost: float, now: float, busy: bool) -> None:
        """Note `cost` finished at `now` seconds; `busy`: more is waiting for its turn."""
        since, self._since = self._since, now if busy else None
        if since is None:
            return
        passed = max(now - since, 1e-6)
        self._known = min(REMEMBERED, self._known + passed)
        self._rate += (cost / passed - self._rate) * min(1.0, passed / self._known)

    def seconds(self, cost: float) -> float:
        """How long `cost` will take; 0 where nothing is known yet."""
        return cost / self._rate if self._known >= 1.0 and self._rate > 0 else 0.0
