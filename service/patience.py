"""Work that takes too long is told to stop: a stranger's graph may hold a loop without an end.

    with patience.bounded(stop):
        work()                   # `stop` is called, in another thread, when its time is over

What is told to stop has to notice by itself; ONNX Runtime looks between two operators.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType

LOOKS = 0.25
"""How long a look at the clock may be late, in seconds."""

Stop = Callable[[], None]


class Patience:
    """Bounds how long work may take, in seconds; its one thread begins with the first work."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._ends: dict[object, tuple[float, Stop]] = {}
        self._thread: threading.Thread | None = None

    def bounded(self, stop: Stop) -> "_Bounded":
        """Return a context; whoever is in it for too long is told so by `stop`, once."""
        return _Bounded(self, stop)

    def lose(self) -> None:
        """Stop all work that is under way."""
        with self._lock:
            self._stop(time.monotonic() + self.seconds)

    def begin(self, work: object, stop: Stop) -> None:
        """Note that some work begins."""
        with self._lock:
            self._ends[work] = time.monotonic() + self.seconds, stop
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._watch, name="interlinea-patience", daemon=True
                )
                self._thread.start()

    def end(self, work: object) -> None:
        """Note that it is done: it is not stopped from now on."""
        with self._lock:
            self._ends.pop(work, None)

    def _watch(self) -> None:
        while True:
            time.sleep(LOOKS)
            with self._lock:
                self._stop(time.monotonic())

    def _stop(self, now: float) -> None:
        for work in [work for work, (end, _) in self._ends.items() if end <= now]:
            _, stop = self._ends.pop(work)
            stop()


class _Bounded:
    def __init__(self, patience: Patience, stop: Stop) -> None:
        self._patience, self._stop = patience, stop

    def __enter__(self) -> None:
        self._patience.begin(self, self._stop)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._patience.end(self)
