"""By when a request must be done, from its arrival to the end of its work."""

import time
from dataclasses import dataclass, field

from service.errors import DeadlineExceeded

SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """So many `seconds` after `since`, of `time.monotonic`; two that give as long are equal."""

    seconds: float = SECONDS
    since: float = field(default_factory=time.monotonic, compare=False)

    @property
    def spent(self) -> float:
        """Seconds that have passed."""
        return time.monotonic() - self.since

    @property
    def left(self) -> float:
        """Seconds that are left; not above 0 when it has passed."""
        return self.seconds - self.spent

    def missed(self) -> DeadlineExceeded:
        """Return what is told to those who waited for it."""
        return DeadlineExceeded(
            f"not done after {self.seconds:g} seconds", {"timeout": self.seconds}
        )

    def check(self) -> None:
        """Raise `DeadlineExceeded` when it has passed."""
        if self.left <= 0:
            raise self.missed()
