"""The asyncio face of a bundle's worker threads.

Jobs of a request go to `admission` together; `worker` decodes them; their events come back
to the loop that asked. `run` waits for all answers, `stream` tells every event as it comes.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from service.admission import Admission, Job
from service.calls import Call
from service.crew import Crew
from service.deadline import Deadline
from service.errors import InterlineaError
from service.hypotheses import Chosen, Path
from service.pulse import Pulse
from service.runner import Runner
from service.tally import Load, added
from service.worker import Worker


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
        self._pulse = Pulse()
        held = capacity.slots, capacity.batch_tokens
        make = partial(Worker, runner, self._admission, self._pulse, *held)
        try:
            self._crew = Crew(capacity.workers, make, self._admission, self._pulse)
        except BaseException:  # such as no thread to be had: those that were started end
            self._admission.close()
            raise

    @property
    def pending(self) -> int:
        """Sentences waiting or running."""
        return self._admission.pending

    def load(self) -> Load:
        """Return what is in hand, and what all threads have done so far."""
        waiting = self._admission.waiting
        done = added([self._admission.tally, *self._crew.tallies])
        return Load(waiting, max(0, self.pending - waiting), done)

    def trouble(self) -> str | None:
        """What keeps it from working, in words; threads that died are replaced first."""
        self._crew.mend()
        if dead := self._crew.dead:
            return f"{dead} of {self.capacity.workers} worker threads have died"
        return "its last steps all failed" if self._pulse.failing else None

    def check(self, deadline: Deadline | None) -> None:
        """Raise what a request that comes now would be refused with, before any work on it."""
        self._admission.check(deadline or Deadline())

    async def run(
        self, jobs: Sequence[Job], deadline: Deadline | None = None, begun: bool = False
    ) -> list[list[Path]]:
        """Decode jobs; if one fails or the caller is cancelled, the others are dropped.

        They may belong to a request that has `begun` its work before. Raises `QueueFull` or
        `ShuttingDown` before any work starts, `StepFailed` after, and `DeadlineExceeded` when the
        deadline passes.
        """
        answers: dict[int, list[Path]] = {}
        async with aclosing(self.stream(jobs, deadline, begun)) as events:
            async for index, event in events:
                if not isinstance(event, Chosen):
                    answers[index] = event
        return [answers[index] for index in range(len(jobs))]

    async def stream(
        self, jobs: Sequence[Job], deadline: Deadline | None = None, begun: bool = False
    ) -> AsyncGenerator[tuple[int, Chosen | list[Path]], None]:
        """Decode jobs and tell their events, by index, as they come; raises as `run` does.

        A `watched` job tells its tokens; every job ends with its paths. Closing the
        generator drops what is not done.
        """
        assert all(job.search.beams <= self.capacity.slots for job in jobs)
        deadline = deadline or Deadline()
        widths = [self._runner.width(len(job.source)) for job in jobs]
        try:
            call = self._admission.admit(jobs, widths, deadline, begun)
        finally:
            self._crew.mend()  # refused or not: nothing else may have looked after the threads
        end = call.loop.call_later(deadline.left, self._expire, call, deadline)
        left = len(jobs)
        try:
            while left:
                index, event = await call.next()
                if isinstance(event, InterlineaError):
                    raise event
                left -= not isinstance(event, Chosen)
                yield index, event
        finally:
            end.cancel()
            call.end()
            self._admission.withdraw(call)

    def _expire(self, call: Call, deadline: Deadline) -> None:
        """Drop a request that is late, though nobody may be reading what comes of it."""
        self._admission.drop(call, deadline.missed())

    def close(self, grace: float, why: InterlineaError | None = None) -> None:
        """Take nothing new, finish within `grace` seconds what is on board, fail the rest.

        `why` is what the rest fails with, `ShuttingDown` if it is not given.
        """
        self._admission.close()
        self._crew.end(grace, why)
