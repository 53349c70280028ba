"""The asyncio face of a bundle's worker threads.

Jobs of a request go to `admission` together; `worker` decodes them; their events come back
to the loop that asked. `run` waits for all answers, `stream` tells every event as it comes.
"""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from service.admission import Admission, Call, Job
from service.errors import DeadlineExceeded, InterlineaError
from service.hypotheses import Chosen, Path
from service.runner import Runner
from service.tally import Load, added
from service.worker import Worker

DEFAULT_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """What an engine holds.

    Threads; rows and padded source tokens of each lane of each thread; and how many
    sentences may wait before newcomers are refused.
    """

    workers: int
    slots: int
    batch_tokens: int
    queue: int


class Engine:
    """The workers of one bundle."""

    def __init__(self, runner: Runner, capacity: Capacity) -> None:
        self.capacity = capacity
        self._runner = runner
        self._admission = Admission(capacity.workers, capacity.queue)
        self._workers = [
            Worker(runner, self._admission, capacity.slots, capacity.batch_tokens)
            for _ in range(capacity.workers)
        ]

    @property
    def pending(self) -> int:
        """Sentences waiting or running."""
        return self._admission.pending

    def load(self) -> Load:
        """Return what is in hand, and what all threads have done so far."""
        waiting = self._admission.waiting
        done = added([self._admission.tally, *(worker.tally for worker in self._workers)])
        return Load(waiting, max(0, self.pending - waiting), done)

    async def run(self, jobs: Sequence[Job], timeout: float = DEFAULT_TIMEOUT) -> list[list[Path]]:
        """Decode jobs; if one fails or the caller is cancelled, the others are dropped.

        Raises `QueueFull` or `ShuttingDown` before any work starts, `StepFailed` after, and
        `DeadlineExceeded` when `timeout` seconds have passed.
        """
        answers: dict[int, list[Path]] = {}
        async with aclosing(self.stream(jobs, timeout)) as events:
            async for index, event in events:
                if not isinstance(event, Chosen):
                    answers[index] = event
        return [answers[index] for index in range(len(jobs))]

    async def stream(
        self, jobs: Sequence[Job], timeout: float = DEFAULT_TIMEOUT
    ) -> AsyncGenerator[tuple[int, Chosen | list[Path]], None]:
        """Decode jobs and tell their events, by index, as they come; raises as `run` does.

        A `watched` job tells its tokens; every job ends with its paths. Closing the
        generator drops what is not done.
        """
        assert all(job.search.beams <= self.capacity.slots for job in jobs)
        widths = [self._runner.width(len(job.source)) for job in jobs]
        call = self._admission.admit(jobs, widths, timeout)
        end = call.loop.call_later(timeout, _expire, call, timeout)
        left = len(jobs)
        try:
            while left:
                index, event = await call.events.get()
                if isinstance(event, InterlineaError):
                    raise event
                left -= not isinstance(event, Chosen)
                yield index, event
        finally:
            end.cancel()
            self._admission.withdraw(call)

    def close(self, grace: float) -> None:
        """Take nothing new, finish within `grace` seconds what is on board, fail the rest."""
        self._admission.close()
        deadline = time.monotonic() + grace
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))


def _expire(call: Call, timeout: float) -> None:
    error = DeadlineExceeded(f"not done after {timeout:g} seconds", {"timeout": timeout})
    call.events.put_nowait((0, error))
