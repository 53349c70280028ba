"""Sentences that a lane has taken and not encoded yet, and which of them are encoded next.

Batches are of like lengths, and there are only so many between two steps: those on board do not
stand still for long while a book of long sentences comes in.
"""

from collections.abc import Collection, Iterable, Sequence

from service.admission import Ticket

ROWS = 8
"""Sentences in a batch of the encoder; larger ones gain little."""

TOKENS = 1024
"""Padded source tokens in a batch of the encoder."""

TURN = 512
"""Padded source tokens from which on the rest waits for the next step."""


class Intake:
    """What waits for the encoder in one lane."""

    def __init__(self) -> None:
        self._waiting: list[Ticket] = []  # in the order in which they were taken

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def rows(self) -> int:
        """Rows that they will have."""
        return sum(ticket.sequence.beams for ticket in self._waiting)

    @property
    def tokens(self) -> int:
        """Padded source tokens of these rows."""
        return sum(ticket.sequence.cost for ticket in self._waiting)

    def add(self, tickets: Iterable[Ticket]) -> None:
        """Let more wait."""
        self._waiting.extend(tickets)

    def withdraw(self, tickets: Collection[Ticket]) -> None:
        """Let some wait no more."""
        gone = set(map(id, tickets))
        self._waiting = [ticket for ticket in self._waiting if id(ticket) not in gone]

    def next_batches(self) -> list[list[Ticket]]:
        """Take what is to be encoded before the next step; who was taken first is among these."""
        places = {id(ticket): place for place, ticket in enumerate(self._waiting)}
        batches = sorted(cut(self._waiting), key=lambda b: min(places[id(one)] for one in b))
        turn: list[list[Ticket]] = []
        tokens = 0
        while batches and tokens < TURN:
            turn.append(batches.pop(0))
            tokens += len(turn[-1]) * turn[-1][-1].sequence.width
        self.withdraw([ticket for batch in turn for ticket in batch])
        return turn


def cut(tickets: Sequence[Ticket]) -> Iterable[list[Ticket]]:
    """Cut into batches of like lengths, at most `ROWS` and `TOKENS` padded tokens each."""
    batch: list[Ticket] = []
    for ticket in sorted(tickets, key=lambda ticket: ticket.sequence.width):
        rows = len(batch) + 1
        if batch and (rows > ROWS or ticket.sequence.width * rows > TOKENS):
            yield batch
            batch = []
        batch.append(ticket)
    if batch:
        yield batch
