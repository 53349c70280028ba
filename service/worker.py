"""One worker thread: its lanes, and the loop that steps them.

    tickets come from `admission` -> a lane encodes some of them -> it makes a step, or reads
    given targets -> who is done leaves -> the next lane, the next step

A sentence never moves between workers. Whatever fails in a lane, the loop goes on. Answers go to
the event loops that wait for them, once a step.
"""

import logging
import threading
from asyncio import AbstractEventLoop
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from service.admission import Admission, Ticket
from service.errors import InterlineaError, ShuttingDown
from service.lane import Lane, Left, Post
from service.pulse import Pulse
from service.runner import Runner
from service.scheduler import LANES
from service.tally import Tally

log = logging.getLogger("interlinea.engine")


class Worker:
    """A thread that decodes what `admission` hands out until nothing is left."""

    def __init__(
        self,
        runner: Runner,
        admission: Admission,
        pulse: Pulse,
        slots: int,
        tokens: int,
        died: Callable[["Worker"], None],
    ) -> None:
        """Start the thread, which calls `died` as its last act if something escapes its loop."""
        self._admission, self._pulse, self._died = admission, pulse, died
        self.tally = Tally()
        self._lanes = [Lane(runner, slots, tokens, self.tally) for _ in range(len(LANES) + 1)]
        self._stopped: InterlineaError | None = None
        self.ended = False
        """Whether its loop is known to be over, though its thread may run on for a moment."""
        self.useful = False
        """Whether it ever took a sentence."""
        self.leaving: Sequence[Ticket] = ()
        """Tickets that count no more and may not have been answered yet."""
        self._thread = threading.Thread(target=self._live, name="interlinea-worker", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs, and takes what is queued."""
        return not self.ended and self._thread.is_alive()

    def join(self, seconds: float) -> None:
        """Wait some time for the thread to end."""
        self._thread.join(seconds)

    def stop(self, why: InterlineaError) -> None:
        """Fail what is on board before the next step, and end."""
        self._stopped = why

    def _live(self) -> None:
        try:
            self._loop()
        except BaseException:  # whatever it is, there are those who wait for an answer
            log.exception("a worker thread died")
            self._died(self)

    def _loop(self) -> None:
        while not self._stopped:
            if all(lane.idle for lane in self._lanes):
                self._admission.sleep()
                if self._admission.over:
                    break
            for number, lane in enumerate(self._lanes):
                rows, tokens = lane.wanted()
                if rows:
                    lane.join(self._take(number, lane.held, rows, tokens))
                if lane.encoding:
                    self._deliver(lane.encode())
                if not lane.idle:
                    self._turn(lane)
        for lane in self._lanes:
            self._deliver(lane.fail(self._stopped or ShuttingDown("the server has shut down")))

    def _take(self, number: int, held: int, rows: int, tokens: int) -> list[Ticket]:
        taken = self._admission.take(self, number, held, rows, tokens)
        self.useful |= bool(taken)
        return taken

    def _turn(self, lane: Lane) -> None:
        """Read given targets of a lane, unless it is for others to step; then make a step."""
        if lane.rest <= 0 or not any(one.stepping for one in self._lanes):
            self._deliver(lane.force())
        for one in self._lanes:
            one.rest -= lane.stepping
        self._deliver(lane.step())

    def _deliver(self, left: Left) -> None:
        if left.went_well is not None:
            (self._pulse.good if left.went_well else self._pulse.bad)()
        self.leaving = left.tickets
        self._admission.leave(left.tickets)  # first, so that who is answered counts no more
        if left.tickets:
            left.count(self.tally)
        post(left.posts)
        self.leaving = ()


def post(posts: Iterable[Post]) -> None:
    """Hand events to the loops that wait for them, all of a loop at once."""
    by_loop: dict[AbstractEventLoop, list[Post]] = defaultdict(list)
    for ticket, event in posts:
        if not ticket.call.gone:
            by_loop[ticket.call.loop].append((ticket, event))
    for loop, those in by_loop.items():
        try:
            loop.call_soon_threadsafe(_put, those)
        except RuntimeError:
            log.debug("a loop has closed before its answers came")


def _put(posts: Iterable[Post]) -> None:
    for ticket, event in posts:
        ticket.call.tell(ticket.index, event)
