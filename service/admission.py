"""What waits for the workers of an engine, and who may join them: one owner, one lock.

A request is taken or refused as a whole before any of it starts, and by the same rule
whether it brings one sentence or a thousand: what counts is the work ahead of it. Workers
take sentences from here when they have rows to spare, so none idles while another is full.
"""

import itertools
import math
import threading
import time
from collections.abc import Sequence as Many
from dataclasses import dataclass, field

from service.calls import Backlog, Call
from service.deadline import Deadline
from service.errors import InterlineaError, QueueFull, ShuttingDown
from service.pace import Pace
from service.scheduler import LANES, lane_of
from service.search import Search
from service.tally import Tally
from service.timing import Times
from service.visit import CURRENT
from service.waiting import Sequence, Waiting

UNREAD = 32 * 2**20
"""Bytes of tokens that streams may leave unread, all together."""


@dataclass(slots=True, eq=False)
class Job:
    """A sentence to decode: ids with `</s>` last, and the search to run.

    If it is `watched`, every token is told as soon as it is chosen. `work` is what it has taken
    so far, in tokens: its padded source, and then a step of each of its rows.
    """

    source: Many[int]
    search: Search
    watched: bool = False
    work: int = 0


@dataclass(slots=True, eq=False)
class Ticket:
    """A job on its way: whose it is, where it stands, what it costs, and when it got where."""

    job: Job
    call: Call
    index: int
    sequence: Sequence
    times: Times
    worker: object = None
    """Who has taken it."""


@dataclass(slots=True, eq=False)
class _Lane:
    waiting: Waiting = field(default_factory=Waiting)
    on_board: int = 0  # rows of all workers


class Admission:
    """The queue of one engine; every method may be called from any thread."""

    def __init__(self, workers: int, limit: int) -> None:
        self.tally = Tally()
        self._workers, self._limit = workers, limit
        self._backlog = Backlog(UNREAD, self.drop)
        self._changed = threading.Condition()
        self._lanes = [_Lane() for _ in range(len(LANES) + 1)]
        self._tickets: dict[int, Ticket] = {}
        self._keys = itertools.count()
        self._pace = Pace()
        self._open = 0
        self._taken = 0
        self._cost = 0
        self._closing = False

    @property
    def pending(self) -> int:
        """Sentences waiting or on board."""
        return self._open

    @property
    def waiting(self) -> int:
        """Sentences that no worker has taken yet."""
        return self._open - self._taken

    def admit(
        self, jobs: Many[Job], widths: Many[int], deadline: Deadline, begun: bool = False
    ) -> Call:
        """Queue the jobs of one request; raises as `check` does instead, whatever is behind it.

        A request that has `begun` is not refused because much is waiting: its work was let in.
        """
        call = Call(next(self._keys), self._backlog)
        tickets = self._tickets_of(call, jobs, widths)  # before the lock, which workers wait for
        with self._changed:
            if begun and not self._closing:
                deadline.check()
            else:
                self._check(deadline, 0.0)
            now = time.monotonic()
            for ticket in tickets:
                ticket.times.admitted = now
                sequence = ticket.sequence
                self._tickets[sequence.key] = ticket
                self._lanes[lane_of(sequence.width)].waiting.add(sequence)
                self._cost += sequence.cost
            self._open += len(tickets)
            self._changed.notify_all()
        if call.visit is not None:
            call.visit.times.extend(ticket.times for ticket in tickets)
        return call

    def _tickets_of(self, call: Call, jobs: Many[Job], widths: Many[int]) -> list[Ticket]:
        made = []
        for index, (job, width) in enumerate(zip(jobs, widths, strict=True)):
            sequence = Sequence(next(self._keys), call.flow, width, job.search.beams)
            made.append(Ticket(job, call, index, sequence, Times(len(job.source), 0.0)))
        return made

    def check(self, deadline: Deadline) -> None:
        """Raise `ShuttingDown`, `DeadlineExceeded` or `QueueFull` where one that comes is too much.

        The way out is taken to be as long as the way in was, which is long where many wait for
        the thread that speaks HTTP: what would come too late is better refused at once. That a
        client took its time to send a body says nothing of it; nor does what has passed when a
        request goes to the queue again.
        """
        visit = CURRENT.get()
        sending = 0.0 if visit is None else visit.reading
        self._check(deadline, max(0.0, deadline.spent - sending))

    def _check(self, deadline: Deadline, way_out: float) -> None:
        if self._closing:
            raise ShuttingDown("the server is shutting down")
        deadline.check()
        wait = self._pace.seconds(self._cost, time.monotonic())
        if self._open < self._limit and wait + way_out <= deadline.left:
            return
        detail = {"waiting": self._open, "limit": self._limit, "seconds": round(wait, 1)}
        error = QueueFull("more is waiting than can be done in time", detail)
        error.retry_after = min(60, max(1, math.ceil(wait / 2)))
        raise error

    def sleep(self) -> None:
        """Wait until something is queued, or there will never be anything again."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or any(lane.waiting for lane in self._lanes)
            )

    @property
    def over(self) -> bool:
        """True when nothing waits and nothing will."""
        return self._closing and not any(lane.waiting for lane in self._lanes)

    def take(self, worker: object, lane: int, held: int, rows: int, tokens: int) -> list[Ticket]:
        """Hand out up to `rows` rows' worth of sentences to a worker that holds `held` rows.

        Once they have `tokens` padded tokens together, it gets no more of them. A worker fills up
        to its share of all rows, so that a few sentences spread over all.
        """
        if not self._lanes[lane].waiting:
            return []  # looked at without the lock: what comes now is seen a step later
        taken: list[Ticket] = []
        with self._changed:
            here = self._lanes[lane]
            share = math.ceil((here.on_board + here.waiting.rows) / self._workers)
            count = 0
            while count < rows and tokens > 0 and held + count < share:
                sequence = here.waiting.first()
                if sequence is None or (count and count + sequence.beams > rows):
                    break
                here.waiting.pop()
                ticket = self._tickets[sequence.key]
                ticket.worker = worker
                here.on_board += sequence.beams
                taken.append(ticket)
                count += sequence.beams
                tokens -= sequence.cost
            self._note_taken(taken)
        return taken

    def _note_taken(self, tickets: Many[Ticket]) -> None:
        self._taken += len(tickets)
        now = time.monotonic()
        for ticket in tickets:
            ticket.times.taken = now
            self.tally.waits.add(now - ticket.times.admitted)

    def abandon(self, worker: object) -> list[Ticket]:
        """Forget, and return, whatever a worker has taken and will not bring back."""
        with self._changed:
            left = [ticket for ticket in self._tickets.values() if ticket.worker is worker]
            self._note_done(left, time.monotonic())
            self.tally.failed += len(left)
            return left

    def leave(self, tickets: Many[Ticket]) -> None:
        """Note sentences that were taken and are done, whatever came of them.

        Those that were dropped got nothing done: by them an engine that is late for everybody
        would seem a fast one.
        """
        if not tickets:
            return
        now = time.monotonic()
        with self._changed:
            self._note_done(tickets, now)
            cost = sum(ticket.sequence.cost for ticket in tickets if not ticket.call.gone)
            busy = any(lane.waiting for lane in self._lanes)
            self._pace.finished(cost, now, busy)

    def _note_done(self, tickets: Many[Ticket], now: float) -> None:
        self._taken -= len(tickets)
        for ticket in tickets:
            ticket.times.done = now
            sequence = ticket.sequence
            self._lanes[lane_of(sequence.width)].on_board -= sequence.beams
            self._forget(sequence)

    def withdraw(self, call: Call) -> None:
        """Drop what is left of a request: what waits at once, what runs before the next step."""
        call.gone = True
        with self._changed:
            for lane in self._lanes:
                for sequence in lane.waiting.withdraw(call.flow):
                    self.tally.dropped += 1
                    self._forget(sequence)

    def drop(self, call: Call, error: InterlineaError) -> None:
        """Drop what is left of a request, in its loop, and tell it why."""
        call.end(error)
        self.withdraw(call)

    def close(self) -> None:
        """Take nothing new; the workers end when nothing is left."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def empty(self) -> list[Ticket]:
        """Take out whatever still waits, for nobody will do it."""
        with self._changed:
            left: list[Ticket] = []
            for lane in self._lanes:
                while lane.waiting:
                    sequence = lane.waiting.pop()
                    left.append(self._tickets[sequence.key])
                    self._forget(sequence)
            return left

    def _forget(self, sequence: Sequence) -> None:
        del self._tickets[sequence.key]
        self._open -= 1
        self._cost -= sequence.cost
