"""One worker thread: its lanes, and the loop that steps them.

    tickets come from `admission` -> they are encoded -> one decoder step for all on board
    -> each search takes its rows -> who is done leaves -> the next lane, the next step

Where the target is given and the bundle can, all its steps are made in one call instead, with
other pairs and between two steps; `pairs` says when.

A sentence never moves between workers or lanes. One whose request has gone leaves before
the next step. A failed step fails those on board of its lane and no others; the loop goes
on. Answers go to the event loops that wait for them, once a step.
"""

import logging
import threading
import time
from asyncio import AbstractEventLoop
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from service.admission import Admission, Event, Ticket
from service.errors import InterlineaError, ShuttingDown, StepFailed
from service.hypotheses import Outputs
from service.pairs import LONGEST, Given, Pairs, padded, steps_after
from service.runner import Encoded, Runner, Scored
from service.scheduler import ENCODE_ROWS, ENCODE_TOKENS, LANES, Batch, Scheduler
from service.search import Forced
from service.tally import Tally

Rows = NDArray[np.int64]
Post = tuple[Ticket, Event]

NOT_FINITE = "the model gave a number that is not finite"

log = logging.getLogger("interlinea.engine")


class Worker:
    """A thread that decodes what `admission` hands out until nothing is left."""

    def __init__(self, runner: Runner, admission: Admission, slots: int, tokens: int) -> None:
        self.tally = Tally()
        self._admission = admission
        self._lanes = [Lane(runner, slots, tokens, self.tally) for _ in range(len(LANES) + 1)]
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
                self._turn(lane)
        over = ShuttingDown("the server has shut down")
        for lane in self._lanes:
            self._deliver(lane.fail(over))
        _post((ticket, over) for ticket in self._admission.empty())

    def _turn(self, lane: "Lane") -> None:
        """Read given targets of a lane, unless it is for others to step; then make a step."""
        if lane.rest <= 0 or not any(one.stepping for one in self._lanes):
            self._deliver(lane.force())
        for one in self._lanes:
            one.rest -= lane.stepping
        self._deliver(lane.step())

    def _deliver(self, left: "Left") -> None:
        self._admission.leave(left.tickets)  # first, so that who is answered counts no more
        if left.tickets:
            left.count(self.tally)
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

    def count(self, tally: Tally) -> None:
        """Note what came of the tickets; those without a last event were dropped."""
        dropped = len(self.tickets)
        for ticket, event in self.posts:
            if isinstance(event, list):
                ticket.times.target = len(event[0].tokens)
                tally.source_tokens += ticket.times.source
                tally.target_tokens += ticket.times.target
                tally.done += 1
                dropped -= 1
            elif isinstance(event, InterlineaError):
                tally.failed += 1
                dropped -= 1
        tally.dropped += dropped


class Lane:
    """The batch of sentences of about one length: their rows, their state, their searches."""

    def __init__(self, runner: Runner, slots: int, tokens: int, tally: Tally) -> None:
        self._runner = runner
        self._scheduler = Scheduler(slots, tokens)
        self._pairs = Pairs(tokens)
        self.rest = 0  # steps of those on board before targets are read at once again
        self._slots = runner.slots(slots)
        self._tally = tally
        self._steps = 0
        self._real = 0  # source tokens of all rows on board, without padding
        self._tickets: dict[int, Ticket] = {}
        self._encoded: dict[int, Encoded] = {}

    @property
    def idle(self) -> bool:
        """True when nobody is on board."""
        return not (self.stepping or self._pairs)

    @property
    def stepping(self) -> bool:
        """True when somebody goes step by step."""
        return not self._scheduler.idle

    @property
    def held(self) -> int:
        """Rows on board, rows that encoded sentences wait for, and pairs, a row's worth each."""
        return self._scheduler.held + len(self._pairs)

    def wanted(self) -> int:
        """How many rows' worth of sentences to encode now."""
        return max(0, self._scheduler.wanted() - len(self._pairs))

    def join(self, tickets: Sequence[Ticket]) -> Left:
        """Encode sentences, a bounded batch at a time, and let them wait for rows."""
        left = Left()
        for batch in _encoder_batches(tickets):
            begun = time.monotonic()
            try:
                encoded = self._runner.encode([ticket.job.source for ticket in batch])
            except Exception as error:
                log.exception("encoding failed", extra=_requests(batch))
                self._tally.failed_encodings += 1
                for ticket in batch:
                    left.end(ticket, _typed(error))
                continue
            self._note_encoded(batch, begun)
            for ticket, one in zip(batch, encoded, strict=True):
                self._tickets[ticket.sequence.key] = ticket
                self._encoded[ticket.sequence.key] = one
        for ticket in tickets:
            if ticket.sequence.key in self._encoded:
                self._prepare(ticket)
        return left

    def _prepare(self, ticket: Ticket) -> None:
        """Let an encoded sentence wait for rows, or for a call that reads its target at once."""
        search = ticket.job.search
        at_once = self._runner.forces and not ticket.job.watched
        if at_once and isinstance(search, Forced) and len(search.target) <= LONGEST:
            self._pairs.add(Given(ticket.sequence, search))
        else:
            self._scheduler.prepare([ticket.sequence])

    def force(self) -> Left:
        """Read some given targets at once, if any wait."""
        left = Left()
        self._drop(left)
        batch = self._pairs.next_batch()
        self.rest = steps_after(batch)
        if not batch:
            return left
        tickets = [self._tickets[pair.sequence.key] for pair in batch]
        begun = time.monotonic()
        try:
            encoded = [self._encoded[pair.sequence.key] for pair in batch]
            scored = self._runner.force(encoded, [pair.search.target for pair in batch])
            for ticket, pair, said in zip(tickets, batch, scored, strict=True):
                left.end(ticket, _settled(pair.search, said))
        except Exception as error:
            log.exception("reading given targets failed", extra=_requests(tickets))
            self._tally.failed_readings += 1
            for ticket in tickets:
                if ticket not in left.tickets:
                    left.end(ticket, _typed(error))
        self._note_read(tickets, batch, begun)
        self._release(tickets)
        return left

    def step(self) -> Left:
        """Make one decoder step with all who are on board."""
        left = Left()
        self._drop(left)
        batch = self._scheduler.next_batch()
        if not batch.running:
            return left
        begun = time.monotonic()
        try:
            self._board(batch, begun)
            self._decode(left)
        except Exception as error:
            log.exception("a step failed", extra=_requests(self._running()))
            self._tally.failed_steps += 1
            for ticket in self._running():
                if ticket not in left.tickets:
                    left.end(ticket, _typed(error))
        self._note_step(time.monotonic() - begun)
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

    def _note_encoded(self, batch: Sequence[Ticket], begun: float) -> None:
        now = time.monotonic()
        for ticket in batch:
            ticket.times.encoding, ticket.times.encoded = begun, now
        real = sum(ticket.times.source for ticket in batch)
        self._tally.encoded(now - begun, real, len(batch) * batch[-1].sequence.width)

    def _note_step(self, seconds: float) -> None:
        self._steps += 1
        rows = self._scheduler.used
        fill = rows / self._scheduler.capacity
        self._tally.stepped(seconds, fill, self._real, rows * self._slots.width)

    def _note_read(self, tickets: Sequence[Ticket], batch: Sequence[Given], begun: float) -> None:
        for ticket in tickets:
            ticket.times.boarded = begun
        real = sum(pair.length for pair in batch)
        self._tally.read(time.monotonic() - begun, real, padded(batch))

    def _note_left(self, ticket: Ticket) -> None:
        times = ticket.times
        if times.boarded and ticket.sequence.rows:
            times.steps = self._steps - times.step
            self._real -= times.source * ticket.sequence.beams

    def _board(self, batch: Batch, now: float) -> None:
        for sequence in batch.joining:
            times = self._tickets[sequence.key].times
            times.boarded, times.step = now, self._steps
            self._real += times.source * sequence.beams
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
            if not all(finite[row] for row in rows):
                left.end(ticket, StepFailed(NOT_FINITE))
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
        for ticket in tickets:
            self._note_left(ticket)
        sequences = [ticket.sequence for ticket in tickets]
        self._pairs.withdraw(sequences)
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


def _settled(search: Forced, scored: Scored) -> Event:
    """Return the paths of a target that was read at once; where numbers broke, it fails alone."""
    if np.isnan(scored.scores).any():
        return StepFailed(NOT_FINITE)
    return search.settle(scored.scores, scored.attention)


def _requests(tickets: Iterable[Ticket]) -> dict[str, object]:
    """Say in a log line whose sentences these are, as far as that is known."""
    visits = (ticket.call.visit for ticket in tickets)
    names = dict.fromkeys(visit.request_id for visit in visits if visit is not None)
    return {"facts": {"request_ids": list(names)}} if names else {}


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
