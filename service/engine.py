"""The loop of each worker thread, and the asyncio face of them all.

A worker owns a scheduler and slots; a sentence never moves between workers. Jobs come in
and answers go out by futures, from any thread. The queue has one bound for all workers: a
request's jobs are taken together or refused together, before any of them starts.

    batch = scheduler.next_batch() -> encode those that join -> one decoder step for all
    -> each search takes its rows -> those that are done leave -> next step

A cancelled job leaves before the next step. A failed step fails the jobs on board and no
others; the loop goes on.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.errors import InterlineaError, QueueFull, ShuttingDown, StepFailed
from service.runner import Runner
from service.scheduler import Batch, Scheduler
from service.scheduler import Sequence as Scheduled
from service.search import Outputs, Path, Search
from service.slots import Slots

Rows = NDArray[np.int64]

log = logging.getLogger("interlinea.engine")


@dataclass(slots=True, eq=False)
class Job:
    """A sentence to decode: ids with `</s>` last, the search to run, and who waits for it."""

    source: Sequence[int]
    search: Search
    future: Future[list[Path]] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What an engine holds: threads, rows and padded source tokens of each, and its queue."""

    workers: int
    slots: int
    batch_tokens: int
    queue: int


class Engine:
    """The workers of one bundle."""

    def __init__(self, runner: Runner, capacity: Capacity) -> None:
        self.capacity = capacity
        self._lock = threading.RLock()
        self._open = 0
        self._closing = False
        self._workers = [Worker(runner, capacity) for _ in range(capacity.workers)]

    @property
    def pending(self) -> int:
        """Sentences waiting or running."""
        return self._open

    async def run(self, jobs: Sequence[Job]) -> list[list[Path]]:
        """Decode jobs; if one fails or the caller is cancelled, the others are dropped.

        Raises `QueueFull` or `ShuttingDown` before any work starts, `StepFailed` after.
        """
        assert all(job.search.beams <= self.capacity.slots for job in jobs)
        self._admit(jobs)
        waiting = [asyncio.wrap_future(job.future) for job in jobs]
        try:
            return list(await asyncio.gather(*waiting))
        finally:
            for job in jobs:
                job.future.cancel()

    def _admit(self, jobs: Sequence[Job]) -> None:
        with self._lock:
            if self._closing:
                raise ShuttingDown("the server is shutting down")
            if self._open and self._open + len(jobs) > self.capacity.queue:
                raise QueueFull(
                    f"{self._open} sentences are waiting, and {len(jobs)} more are too many",
                    {"waiting": self._open, "limit": self.capacity.queue},
                )
            self._open += len(jobs)
            for job in jobs:  # within the lock, so that nothing comes in behind `close`
                job.future.add_done_callback(self._closed)
                min(self._workers, key=lambda worker: worker.load).submit(job)

    def _closed(self, _: Future[list[Path]]) -> None:
        with self._lock:
            self._open -= 1

    def close(self, grace: float) -> None:
        """Take nothing new, finish within `grace` seconds what is on board, fail the rest."""
        with self._lock:
            self._closing = True
        for worker in self._workers:
            worker.finish()
        deadline = time.monotonic() + grace
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))


class Worker:
    """One thread: its queue, its scheduler and its slots."""

    def __init__(self, runner: Runner, capacity: Capacity) -> None:
        self._runner = runner
        self._scheduler = Scheduler(capacity.slots, capacity.batch_tokens)
        self._slots = Slots(capacity.slots)
        self._jobs: dict[int, Job] = {}
        self._inbox: list[Job] = []
        self._wake = threading.Condition()
        self._finishing = False
        self._stopped = False
        self._next_key = 0
        self.load = 0
        self._thread = threading.Thread(target=self._loop, name="interlinea-worker", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Hand a job over; its future is the answer."""
        with self._wake:
            self.load += job.search.beams * len(job.source)
            self._inbox.append(job)
            self._wake.notify()

    def finish(self) -> None:
        """Let the thread end once it has nothing left to do."""
        with self._wake:
            self._finishing = True
            self._wake.notify()

    def join(self, grace: float) -> None:
        """Wait for the thread to end; after `grace` seconds what is left fails."""
        self._thread.join(grace)
        if self._thread.is_alive():
            self._stopped = True
            self._thread.join()

    def _loop(self) -> None:
        while self._collect():
            try:
                self._step()
            except Exception as error:
                log.exception("a step failed")
                self._fail(self._scheduler.running, error)
        self._fail(list(self._scheduler.running), ShuttingDown("the server has shut down"))
        self._fail(list(self._scheduler.waiting), ShuttingDown("the server has shut down"))

    def _collect(self) -> bool:
        """Take in new jobs, sleeping while there is nothing to do; False ends the thread."""
        with self._wake:
            while not self._inbox and self._scheduler.idle and not self._finishing:
                self._wake.wait()
            arrived, self._inbox = self._inbox, []
        for job in arrived:
            key, self._next_key = self._next_key, self._next_key + 1
            self._jobs[key] = job
            width = self._runner.width(len(job.source))
            self._scheduler.add(Scheduled(key, width, job.search.beams))
        return not self._stopped and not (self._finishing and self._scheduler.idle)

    def _step(self) -> None:
        self._drop_cancelled()
        batch = self._scheduler.next_batch()
        if batch.joining:
            self._join_batch(batch)
        running = self._scheduler.running
        if not running:
            return
        tokens = [0] * self._scheduler.used
        for sequence in running:
            for row, token in zip(sequence.rows, self._search(sequence).tokens, strict=True):
                tokens[row] = token
        stepped = self._runner.step(tokens, *self._slots.gather())
        outputs = Outputs.of(stepped.logits, stepped.attention)
        parents = self._advance(running, outputs)
        self._slots.scatter(stepped.state, parents)
        self._settle(outputs)

    def _join_batch(self, batch: Batch) -> None:
        """Encode the sentences that join and give them their rows."""
        try:
            encoded = self._runner.encode([self._job(s).source for s in batch.joining])
        except Exception as error:
            log.exception("encoding failed")
            encoded = []
            self._fail(batch.joining, error)
        for sequence, one in zip(batch.joining if encoded else (), encoded, strict=True):
            self._slots.put(one.memory, one.state, sequence.beams)

    def _advance(self, running: Sequence[Scheduled], outputs: Outputs) -> Rows | None:
        parents: Rows | None = None
        for sequence in running:
            origins = self._search(sequence).advance(outputs, sequence.rows)
            if origins is not None and origins != sequence.rows:
                if parents is None:
                    parents = np.arange(self._scheduler.used)
                parents[sequence.rows] = origins
        return parents

    def _settle(self, outputs: Outputs) -> None:
        """Answer those that are done; those whose numbers broke fail alone."""
        broken = ~np.isfinite(outputs.normalizers)
        done: list[Scheduled] = []
        for sequence in self._scheduler.running:
            job = self._job(sequence)
            if broken.any() and broken[sequence.rows].any():
                _answer(job, StepFailed("the model gave a number that is not finite"))
                done.append(sequence)
            elif job.search.paths is not None:
                _answer(job, job.search.paths)
                done.append(sequence)
        self._release(done)

    def _drop_cancelled(self) -> None:
        scheduler = self._scheduler
        self._release([s for s in scheduler.running if self._job(s).future.cancelled()])
        gone = [s for s in scheduler.waiting if self._job(s).future.cancelled()]
        if gone:
            scheduler.withdraw(gone)
            self._forget(gone)

    def _release(self, done: Sequence[Scheduled]) -> None:
        if done:
            moves = self._scheduler.release(done)
            self._slots.move(moves, self._scheduler.used)
            self._forget(done)

    def _fail(self, sequences: Sequence[Scheduled], error: Exception) -> None:
        failed = list(sequences)
        typed = error if isinstance(error, InterlineaError) else StepFailed("the model failed")
        for sequence in failed:
            _answer(self._job(sequence), typed)
        running = [s for s in failed if s.rows]
        self._release(running)
        waiting = [s for s in failed if s not in running]
        self._scheduler.withdraw(waiting)
        self._forget(waiting)

    def _forget(self, sequences: Sequence[Scheduled]) -> None:
        with self._wake:
            for sequence in sequences:
                job = self._jobs.pop(sequence.key)
                self.load -= job.search.beams * len(job.source)

    def _job(self, sequence: Scheduled) -> Job:
        return self._jobs[sequence.key]

    def _search(self, sequence: Scheduled) -> Search:
        return self._jobs[sequence.key].search


def _answer(job: Job, answer: list[Path] | Exception) -> None:
    try:
        if isinstance(answer, Exception):
            job.future.set_exception(answer)
        else:
            job.future.set_result(answer)
    except InvalidStateError:
        pass  # cancelled meanwhile: nobody waits
