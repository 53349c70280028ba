"""How fast the work of an engine gets done, as far as its own past tells."""

from dataclasses import dataclass

REMEMBERED = 8.0
"""Seconds of work that the estimate leans on."""

ENOUGH = 1.0
"""Seconds of work that tell something; what is older than it remembers counts for no more."""


@dataclass(slots=True)
class Pace:
    """Cost finished a second while there was always more to do; otherwise nobody can tell."""

    _rate: float = 0.0
    _known: float = 0.0
    _since: float | None = None
    _last: float = 0.0

    def finished(self, cost: float, now: float, busy: bool) -> None:
        """Note `cost` finished at `now` seconds; `busy`: more is waiting for its turn."""
        since, self._since = self._since, now if busy else None
        if since is None:
            return
        passed = max(now - since, 1e-6)
        if now - self._last > REMEMBERED:
            self._known = min(self._known, ENOUGH)
        self._last = now
        if passed > REMEMBERED:  # the process was stopped, as like as not
            return
        self._known = min(REMEMBERED, self._known + passed)
        self._rate += (cost / passed - self._rate) * min(1.0, passed / self._known)

    def seconds(self, cost: float, now: float) -> float:
        """How long `cost` will take; 0 where nothing is known, not yet or not any more.

        What was learnt is forgotten where nothing came after it: an engine that once was slow would
        else refuse everybody, and never learn that it is not.
        """
        known = self._known >= ENOUGH and now - self._last <= REMEMBERED
        return cost / self._rate if known and self._rate > 0 else 0.0
