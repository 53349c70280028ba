"""A token bucket: what may be taken now, and what fills up again; plain numbers, no clock.

It holds a minute's worth and fills at a steady pace. What costs more than the bucket holds needs
a full one and leaves a debt, so that nothing has to wait for ever.
"""

from dataclasses import dataclass

MINUTE = 60.0


@dataclass(slots=True)
class Bucket:
    """`size` for each minute, of which `level` was there at `at`, in seconds of some clock."""

    size: int
    level: float
    at: float

    def fill(self, now: float) -> None:
        """Let in what has come since the last time; a clock that went back lets in nothing."""
        come = max(0.0, now - self.at) * self.size / MINUTE
        self.level = min(float(self.size), self.level + come)
        self.at = now

    def wait(self, cost: float, now: float) -> float:
        """Return after how many seconds `cost` may be taken; 0 is now."""
        self.fill(now)
        missing = min(cost, self.size) - self.level
        return max(0.0, missing) * MINUTE / self.size if cost > 0 else 0.0

    def take(self, cost: float, now: float) -> None:
        """Take `cost`, whatever is there; a negative cost gives back."""
        self.fill(now)
        self.level = min(float(self.size), self.level - cost)

    def full_in(self, now: float) -> float:
        """Return after how many seconds it is full."""
        self.fill(now)
        return (self.size - self.level) * MINUTE / self.size
