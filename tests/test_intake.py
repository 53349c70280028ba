"""What waits for the encoder: batches of like lengths, a bounded number of them a turn."""

import asyncio
import random

from service.admission import Ticket
from service.calls import Backlog, Call
from service.intake import ROWS, TOKENS, TURN, Intake, cut
from service.timing import Times
from service.waiting import Sequence
from tests.counting import job


def tickets(*widths: int, beams: int = 1) -> list[Ticket]:
    async def made() -> list[Ticket]:
        call = Call(1, Backlog(1, lambda *_: None))
        return [
            Ticket(job(2), call, index, Sequence(index, 1, width, beams), Times(width, 0.0))
            for index, width in enumerate(widths)
        ]

    return asyncio.run(made())


def test_batches_are_of_like_lengths_and_bounded() -> None:
    draw = random.Random(1)
    made = tickets(*(4 * draw.randint(1, 100) for _ in range(60)))
    batches = list(cut(made))
    widths = [ticket.sequence.width for batch in batches for ticket in batch]
    assert widths == sorted(ticket.sequence.width for ticket in made)
    for batch in batches:
        assert len(batch) <= ROWS
        assert len(batch) * batch[-1].sequence.width <= TOKENS or len(batch) == 1


def test_short_sentences_are_encoded_at_once() -> None:
    intake, made = Intake(), tickets(*[16] * 32)
    intake.add(made)
    assert (intake.rows, intake.tokens) == (32, 512)
    assert [len(batch) for batch in intake.next_batches()] == [ROWS] * 4
    assert not intake
    assert intake.next_batches() == []


def test_of_long_ones_the_first_come_first_and_the_rest_waits() -> None:
    intake, made = Intake(), tickets(400, 8, 400, 400, 12, beams=2)
    intake.add(made)
    assert (intake.rows, intake.tokens) == (10, 2 * 1220)
    (first,) = intake.next_batches()
    assert made[0] in first
    assert len(first) * 400 >= TURN
    left = [ticket for ticket in made if ticket not in first]
    assert intake.rows == 2 * len(left)
    intake.withdraw(left[:1])
    second = [ticket for batch in intake.next_batches() for ticket in batch]
    assert set(map(id, second)) <= set(map(id, left[1:]))
    while intake:
        assert intake.next_batches()


def test_who_was_taken_first_never_waits_for_later_ones() -> None:
    intake = Intake()
    (long,) = tickets(400)
    intake.add([*tickets(*[200] * 20), long])
    for _ in range(10):
        done = [id(ticket) for batch in intake.next_batches() for ticket in batch]
        intake.add(tickets(200, 200, 200, 200, 200))
        if id(long) in done:
            break
    assert id(long) in done
