"""One worker thread: its lanes, and the loop that steps them.

    tickets come from `admission` -> they are encoded -> one decoder step for all on board
    -> each search takes its rows -> who is done leaves -> the next lane, the next step

A sentence never moves between workers or lanes. One whose request has gone leaves before
the next step. A failed step fails those on board of its lane and no others; the loop goes
on. Answers go to the event loops that wait for them, once a step.
"""

import logging
import threading
from asyncio import AbstractEventLoop
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from service.admission import Admission, Event, Ticket
from service.errors import InterlineaError, ShuttingDown, StepFailed
from service.hypotheses import Outputs
from service.runner import Encoded, Runner
from service.scheduler import ENCODE_ROWS, ENCODE_TOKENS, LANES, Batch, Scheduler

Rows = NDArray[np.int64]
Post = tuple[Ticket, Event]

log = logging.getLogger("interlinea.engine")


class Worker:
    """A thread that decodes what `admission` hands out until nothing is left."""

    def __init__(self, runner: Runner, admission: Admission, slots: int, tokens: int) -> None:
        self._admission = admission
        self._lanes = [Lane(runner, slots, tokens) for _ in range(len(LANES) + 1)]
        self._stopped = False
        self._thread = threading.Thread(target=self._loop, name="interlinea-worker", daemon=True)
        self._thread.start()

    def join(self, grace: float) -> None:
        """Wait for the thread to end; after `grace` seconds what is left fails."""
        self._thread.join(grace)
        if self._thread.is_alive():
            self._stopped = True
            self._thread.join()

    def _loop(self) -> None:
        while not self._stopped:
            if all(lane.idle for lane in self._lanes):
                self._admission.sleep()
                if self._admission.over:
                    break
            for number, lane in enumerate(self._lanes):
                if wanted := lane.wanted():
                    self._deliver(lane.join(self._admission.take(number, lane.held, wanted)))
                self._deliver(lane.step())
        over = ShuttingDown("the server has shut down")
        for lane in self._lanes:
            self._deliver(lane.fail(over))
        _post((ticket, over) for ticket in self._admission.empty())

    def _deliver(self, left: "Left") -> None:
        self._admission.leave(left.tickets)  # first, so that who is answered counts no more
        _post(left.posts)


class Left:
    """What a step leaves behind: news for those who wait, and tickets that are done."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.tickets: list[Ticket] = []

    def end(self, ticket: Ticket, event: Event) -> None:
        """Note a ticket's last event."""
        self.posts.append((ticket, event))
        self.tickets.append(ticket)


class Lane:
    """The batch of sentences of about one length: their rows, their state, their searches."""

    def __init__(self, runner: Runner, slots: int, tokens: int) -> None:
        self._runner = runner
        self._scheduler = Scheduler(slots, tokens)
        self._slots = runner.slots(slots)
        self._tickets: dict[int, Ticket] = {}
        self._encoded: dict[int, Encoded] = {}

    @property
    def idle(self) -> bool:
        """True when nobody is on board."""
        return self._scheduler.idle

    @property
    def held(self) -> int:
        """Rows on board, and rows that encoded sentences wait for."""
        return self._scheduler.held

    def wanted(self) -> int:
        """How many rows' worth of sentences to encode now."""
        return self._scheduler.wanted()

    def join(self, tickets: Sequence[Ticket]) -> Left:
        """Encode sentences, a bounded batch at a time, and let them wait for rows."""
        left = Left()
        for batch in _encoder_batches(tickets):
            try:
                encoded = self._runner.encode([ticket.job.source for ticket in batch])
            except Exception as error:
                log.exception("encoding failed")
                for ticket in batch:
                    left.end(ticket, _typed(error))
                continue
            for ticket, one in zip(batch, encoded, strict=True):
                ticket.job.work += ticket.sequence.width
                self._tickets[ticket.sequence.key] = ticket
                self._encoded[ticket.sequence.key] = one
        sequences = (ticket.sequence for ticket in tickets)
        self._scheduler.prepare(one for one in sequences if one.key in self._encoded)
        return left

    def step(self) -> Left:
        """Make one decoder step with all who are on board."""
        left = Left()
        self._drop(left)
        batch = self._scheduler.next_batch()
        if not batch.running:
            return left
        try:
            self._board(batch)
            self._decode(left)
        except Exception as error:
            log.exception("a step failed")
            for ticket in self._running():
                if ticket not in left.tickets:
                    left.end(ticket, _typed(error))
        self._release([ticket for ticket in left.tickets if ticket.sequence.rows])
        return left

    def fail(self, error: InterlineaError) -> Left:
        """Take everybody off the batch."""
        left = Left()
        for ticket in self._tickets.values():
            left.end(ticket, error)
        self._release(left.tickets)
        return left

    def _drop(self, left: Left) -> None:
        """Let go of sentences whose request has gone."""
        gone = [ticket for ticket in self._tickets.values() if ticket.call.gone]
        left.tickets.extend(gone)
        self._release(gone)

    def _board(self, batch: Batch) -> None:
        for sequence in batch.joining:
            encoded = self._encoded.pop(sequence.key)
            self._slots.put(encoded.memory, encoded.state, sequence.rows)
        self._slots.move(batch.moves, self._scheduler.used)

    def _decode(self, left: Left) -> None:
        running = self._running()
        tokens = [0] * self._scheduler.used
        candidates = 0
        for ticket in running:
            search = ticket.job.search
            candidates = max(candidates, search.candidates)
            for row, token in zip(ticket.sequence.rows, search.tokens, strict=True):
                tokens[row] = token
        stepped = self._runner.step(tokens, *self._slots.gather())
        top = self._runner.top(stepped.scores, candidates)
        best = stepped.scores.argmax(axis=1)
        outputs = Outputs(stepped.scores, best, stepped.attention, *top)
        parents = self._advance(running, outputs, left)
        self._slots.scatter(stepped.state, parents)

    def _advance(self, running: Sequence[Ticket], outputs: Outputs, left: Left) -> Rows | None:
        """Show every search its rows; those whose numbers broke fail alone."""
        parents: Rows | None = None
        finite = np.isfinite(outputs.scores[np.arange(len(outputs.best)), outputs.best]).tolist()
        for ticket in running:
            rows, search = ticket.sequence.rows, ticket.job.search
            ticket.job.work += len(rows)
            if not all(finite[row] for row in rows):
                left.end(ticket, StepFailed("the model gave a number that is not finite"))
                continue
            origins = search.advance(outputs, rows)
            if origins is not None and origins != rows:
                if parents is None:
                    parents = np.arange(len(outputs.best))
                parents[rows] = origins
            if ticket.job.watched and (chosen := search.chosen()) is not None:
                left.posts.append((ticket, chosen))
            if search.paths is not None:
                left.end(ticket, search.paths)
        return parents

    def _release(self, tickets: Collection[Ticket]) -> None:
        if not tickets:
            return
        sequences = [ticket.sequence for ticket in tickets]
        self._scheduler.withdraw([sequence for sequence in sequences if not sequence.rows])
        self._scheduler.release([sequence for sequence in sequences if sequence.rows])
        for sequence in sequences:
            del self._tickets[sequence.key]
            self._encoded.pop(sequence.key, None)

    def _running(self) -> list[Ticket]:
        return [self._tickets[sequence.key] for sequence in self._scheduler.running]


def _encoder_batches(tickets: Sequence[Ticket]) -> Iterable[list[Ticket]]:
    """Cut into batches of like lengths, at most `ENCODE_TOKENS` padded tokens each."""
    batch: list[Ticket] = []
    for ticket in sorted(tickets, key=lambda ticket: ticket.sequence.width):
        rows = len(batch) + 1
        if batch and (rows > ENCODE_ROWS or ticket.sequence.width * rows > ENCODE_TOKENS):
            yield batch
            batch = []
        batch.append(ticket)
    if batch:
        yield batch


def _typed(error: Exception) -> InterlineaError:
    return error if isinstance(error, InterlineaError) else StepFailed("the model failed")


def _post(posts: Iterable[Post]) -> None:
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
        ticket.call.events.put_nowait((ticket.index, event))
