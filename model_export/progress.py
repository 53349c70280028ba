"""What a person sees while training: loss, speed, time left, dev score."""

import time
from types import TracebackType

import rich.progress as bars
from torch import Tensor


class Progress:
    """A rich progress bar with running means; a context manager."""

    def __init__(self, steps: int, done: int) -> None:
        self._bar = bars.Progress(
            bars.TextColumn("[bold]training"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn("{task.fields[facts]}"),
            bars.TimeRemainingColumn(),
        )
        self._task = self._bar.add_task("train", total=steps, completed=done, facts="")
        self._means: dict[str, float] = {}
        self._last = time.monotonic()
        self._dev = ""
        self.rate = 0.0

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def step(self, losses: dict[str, Tensor], tokens: int) -> None:
        """Count one optimizer step over `tokens` real target tokens."""
        now = time.monotonic()
        speed = tokens / max(1e-6, now - self._last)
        self._last = now
        self.rate = speed if not self.rate else 0.98 * self.rate + 0.02 * speed
        for name, value in losses.items():
            old = self._means.get(name, float(value))
            self._means[name] = 0.98 * old + 0.02 * float(value)
        facts = f"loss {self._means['token']:.3f}  {self.rate:,.0f} tokens/s{self._dev}"
        self._bar.update(self._task, advance=1, facts=facts)

    def means(self) -> dict[str, float]:
        """Running mean of every loss."""
        return dict(self._means)

    def dev(self, score: float) -> None:
        """Show the newest dev score."""
        self._dev = f"  dev chrF {score:.1f}"
        self._last = time.monotonic()
