"""The worker threads of an engine: one that dies is replaced, and those it left are told.

What fails in a step stays in the worker. What escapes from its loop ends the thread: its last act
is to come here, where its sentences fail with a type and another thread takes its place, with
rows and state of its own. A thread that ended without a word is found by `mend`.
"""

import logging
import threading
import time
from collections.abc import Callable

from service.admission import Admission
from service.errors import BundleError, InterlineaError, ShuttingDown, StepFailed
from service.pulse import Pulse
from service.worker import Worker, post

LAST_SECONDS = 3.0
"""How long a thread may take to end once it was stopped: a step, unless it hangs."""

log = logging.getLogger("interlinea.engine")

Make = Callable[[Callable[[Worker], None]], Worker]
"""Starts a worker that calls what it is given when it dies."""


class Crew:
    """Worker threads, of which there are always as many, until `end`."""

    def __init__(self, size: int, make: Make, admission: Admission, pulse: Pulse) -> None:
        """Start so many threads; raises `BundleError` if the system does not have them."""
        self._make, self._admission, self._pulse = make, admission, pulse
        self._lock = threading.RLock()
        self._ending = False
        self._workers: list[Worker] = []
        self._start(size)
        self.tallies = [worker.tally for worker in self._workers]
        """What every thread has done, those that are replaced included."""

    @property
    def dead(self) -> int:
        """How many threads have ended and were not replaced."""
        return sum(not worker.alive for worker in self._workers)

    def mend(self) -> None:
        """Replace threads that ended, also those without a word; whom they left is told.

        To be called after something was queued: a thread that had ended before is seen here, and
        the last one that ends later empties the queue itself.
        """
        if all(worker.alive for worker in self._workers):
            return
        with self._lock:
            for worker in [worker for worker in self._workers if not worker.alive]:
                self._fail(worker)
                self._replace(worker)
            self._fail_all_if_alone()

    def end(self, grace: float, why: InterlineaError | None = None) -> None:
        """Wait `grace` seconds for what is on board, then fail what is left, and stop all."""
        with self._lock:
            self._ending = True
            workers = list(self._workers)
        _join(workers, grace)
        why = why or ShuttingDown("the server has shut down")
        for worker in workers:
            worker.stop(why)
        _join(workers, LAST_SECONDS)
        for worker in [worker for worker in workers if worker.alive]:
            log.error("a worker thread does not end; it is left behind")
            post((ticket, why) for ticket in self._admission.abandon(worker))
        post((ticket, why) for ticket in self._admission.empty())
        self._workers = []  # they know this crew: nobody is to wait for a collector of circles

    def _start(self, size: int) -> None:
        try:
            while len(self._workers) < size:
                self._workers.append(self._make(self._died))
        except RuntimeError as error:
            raise BundleError(
                f"only {len(self._workers)} of {size} worker threads could be started: {error}; "
                "set INTERLINEA_WORKERS lower, or allow the server more threads (pids_limit of a "
                "container, ulimit -u)"
            ) from error

    def _died(self, worker: Worker) -> None:
        """Take note, in the thread of a worker, that it is about to end."""
        self._pulse.bad()
        self._fail(worker)
        with self._lock:
            worker.ended = True  # its thread takes a while to end, and takes nothing any more
            if worker.useful:  # or it would die, and be replaced, without end
                self._replace(worker)
            self._fail_all_if_alone()

    def _replace(self, worker: Worker) -> None:
        if self._ending or worker not in self._workers:
            return
        try:
            made = self._make(self._died)
            self._workers[self._workers.index(worker)] = made
            self.tallies.append(made.tally)
        except (RuntimeError, MemoryError):  # no thread to be had; the next request tries again
            log.exception("a worker thread could not be replaced")

    def _fail(self, worker: Worker) -> None:
        error = StepFailed("the thread that worked on this died")
        post((ticket, error) for ticket in (*self._admission.abandon(worker), *worker.leaving))

    def _fail_all_if_alone(self) -> None:
        """Empty the queue if no thread is left to do so."""
        if self._ending or any(worker.alive for worker in self._workers):
            return
        error = StepFailed("no thread is left to work on this")
        post((ticket, error) for ticket in self._admission.empty())


def _join(workers: list[Worker], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
