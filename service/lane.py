"""The batch of sentences of about one length, in one worker: rows, state and searches.

    join   sentences that the worker took wait for the encoder
    encode some of them are encoded, and wait for rows or for a call
    step   those with rows make a decoder step together; each search takes its rows
    force  targets that are given are read at once, if the bundle can; `pairs` says whose turn it is

A sentence never moves between lanes. One whose request has gone leaves before the next step. A
failed step fails those on board of its lane and no others.
"""

import logging
import time
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from service.admission import Ticket
from service.calls import Event
from service.errors import InterlineaError, StepFailed
from service.hypotheses import Outputs
from service.intake import Intake
from service.pairs import LONGEST, Given, Pairs, padded, steps_after
from service.runner import Encoded, Runner, Scored
from service.scheduler import Batch, Scheduler
from service.search import Forced
from service.tally import Tally

Rows = NDArray[np.int64]
Post = tuple[Ticket, Event]

NOT_FINITE = "the model gave a number that is not finite"

log = logging.getLogger("interlinea.engine")


class Left:
    """What a step leaves behind: news for those who wait, and tickets that are done."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.tickets: list[Ticket] = []
        self.went_well: bool | None = None
        """Whether anybody got on by a step that was made; None where none was."""

    def end(self, ticket: Ticket, event: Event) -> None:
        """Note a ticket's last event."""
        self.posts.append((ticket, event))
        self.tickets.append(ticket)

    def fail(self, batch: Sequence[Ticket], error: Exception) -> None:
        """Note that a batch failed, and end those in it that have not ended yet."""
        self.went_well = False
        for ticket in batch:
            if ticket not in self.tickets:
                self.end(ticket, _typed(error))

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
        self._capacity = slots
        self._intake = Intake()
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
        return not (self.stepping or self._pairs or self._intake)

    @property
    def encoding(self) -> bool:
        """True when somebody waits for the encoder."""
        return bool(self._intake)

    @property
    def stepping(self) -> bool:
        """True when somebody goes step by step."""
        return not self._scheduler.idle

    @property
    def held(self) -> int:
        """Rows on board, rows that sentences wait for here, and pairs, a row's worth each."""
        return self._scheduler.held + self._intake.rows + len(self._pairs)

    def wanted(self) -> tuple[int, int]:
        """How many rows' worth of sentences to take now, and how many padded tokens of these."""
        rows, tokens = self._scheduler.wanted(self._intake.rows, self._intake.tokens)
        return max(0, rows - len(self._pairs)), tokens

    def join(self, tickets: Sequence[Ticket]) -> None:
        """Let sentences wait for the encoder."""
        self._intake.add(tickets)
        for ticket in tickets:
            self._tickets[ticket.sequence.key] = ticket

    def encode(self) -> Left:
        """Encode some of those that wait for it, and let them wait for rows."""
        left = Left()
        self._drop(left)
        ready: set[int] = set()
        for batch in self._intake.next_batches():
            begun = time.monotonic()
            try:
                encoded = self._runner.encode([ticket.job.source for ticket in batch])
            except Exception as error:
                log.exception("encoding failed", extra=_requests(batch))
                self._tally.failed_encodings += 1
                left.fail(batch, error)
                continue
            self._note_encoded(batch, begun)
            for ticket, one in zip(batch, encoded, strict=True):
                ticket.job.work += ticket.sequence.width
                if one.broken:
                    left.went_well = False
                    left.end(ticket, StepFailed(NOT_FINITE))
                    continue
                self._encoded[ticket.sequence.key] = one
                ready.add(ticket.sequence.key)
        self._release([ticket for ticket, _ in left.posts])
        for key in [key for key in self._tickets if key in ready]:  # in the order of their taking
            self._prepare(self._tickets[key])
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
            left.went_well = any(isinstance(event, list) for _, event in left.posts)
        except Exception as error:
            log.exception("reading given targets failed", extra=_requests(tickets))
            self._tally.failed_readings += 1
            left.fail(tickets, error)
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
            running = self._running()
            log.exception("a step failed", extra=_requests(running))
            self._tally.failed_steps += 1
            left.fail(running, error)
            self._slots = self._runner.slots(self._capacity)  # who knows what they hold now
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
        for ticket, pair in zip(tickets, batch, strict=True):
            ticket.times.boarded = begun
            ticket.job.work += pair.length
        real = sum(pair.length for pair in batch)
        self._tally.read(time.monotonic() - begun, real, padded(batch))

    def _note_left(self, ticket: Ticket) -> None:
        times = ticket.times
        if times.boarded and ticket.sequence.rows:
            times.steps = self._steps - times.step
            self._real -= times.source * ticket.sequence.beams

    def _board(self, batch: Batch, now: float) -> None:
        """Close gaps, which no newcomer's row is part of, and let the newcomers take their rows."""
        self._slots.move(batch.moves, self._scheduler.used)
        for sequence in batch.joining:
            times = self._tickets[sequence.key].times
            times.boarded, times.step = now, self._steps
            self._real += times.source * sequence.beams
            encoded = self._encoded.pop(sequence.key)
            self._slots.put(encoded.memory, encoded.state, sequence.rows)

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
        outputs = Outputs.of(stepped.scores, stepped.attention, *top)
        parents = self._advance(running, outputs, left)
        self._slots.scatter(stepped.state, parents)

    def _advance(self, running: Sequence[Ticket], outputs: Outputs, left: Left) -> Rows | None:
        """Show every search its rows; those whose numbers broke fail alone."""
        parents: Rows | None = None
        left.went_well = False
        for ticket in running:
            rows, search = ticket.sequence.rows, ticket.job.search
            ticket.job.work += len(rows)
            if not outputs.broken.isdisjoint(rows):
                left.end(ticket, StepFailed(NOT_FINITE))
                continue
            left.went_well = True
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
        self._intake.withdraw(tickets)
        self._pairs.withdraw(sequences)
        self._scheduler.withdraw([sequence for sequence in sequences if not sequence.rows])
        self._scheduler.release([sequence for sequence in sequences if sequence.rows])
        for ticket in tickets:
            ticket.job.search.forget()
        for sequence in sequences:
            del self._tickets[sequence.key]
            self._encoded.pop(sequence.key, None)

    def _running(self) -> list[Ticket]:
        return [self._tickets[sequence.key] for sequence in self._scheduler.running]


def _settled(search: Forced, scored: Scored) -> Event:
    """Return the paths of a target that was read at once; where numbers broke, it fails alone."""
    if any(np.isnan(one).any() for one in (scored.scores, *scored.attention.values())):
        return StepFailed(NOT_FINITE)
    return search.settle(scored.scores, scored.attention)


def _requests(tickets: Iterable[Ticket]) -> dict[str, object]:
    """Say in a log line whose sentences these are, as far as that is known."""
    visits = (ticket.call.visit for ticket in tickets)
    names = dict.fromkeys(visit.request_id for visit in visits if visit is not None)
    return {"facts": {"request_ids": list(names)}} if names else {}


def _typed(error: Exception) -> InterlineaError:
    return error if isinstance(error, InterlineaError) else StepFailed("the model failed")
