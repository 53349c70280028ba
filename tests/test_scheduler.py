"""Scheduler: order, budgets, lanes, and rows that stay packed."""

import random

import pytest

from service.scheduler import AHEAD, LANES, Scheduler, lane_of
from service.waiting import Sequence


def sequence(key: int, width: int = 8, beams: int = 1) -> Sequence:
    return Sequence(key, 0, width, beams)


def test_ready_sequences_join_in_order_while_rows_are_free() -> None:
    scheduler = Scheduler(capacity=4, token_budget=1000)
    made = [sequence(key, beams=beams) for key, beams in enumerate((1, 2, 2, 1))]
    scheduler.prepare(made)
    assert scheduler.held == 6
    batch = scheduler.next_batch()
    assert [s.key for s in batch.joining] == [0, 1]  # the third needs two rows, and waits
    assert [s.rows for s in batch.running] == [[0], [1, 2]]
    scheduler.release([made[0]])
    batch = scheduler.next_batch()
    assert [s.key for s in batch.joining] == [2]
    assert sorted(made[2].rows) == [0, 3]
    assert batch.moves == ()
    assert scheduler.next_batch().joining == ()


def test_a_padded_token_budget_bounds_the_batch() -> None:
    scheduler = Scheduler(capacity=64, token_budget=40)
    scheduler.prepare(sequence(key, width) for key, width in enumerate((8, 8, 16, 8)))
    assert [s.key for s in scheduler.next_batch().joining] == [0, 1]  # 3 rows x 16 > 40


def test_a_sentence_over_the_budget_runs_alone_and_holds_up_those_behind() -> None:
    scheduler = Scheduler(capacity=8, token_budget=40)
    first, long = sequence(0), sequence(1, 200)
    scheduler.prepare([first, long, *(sequence(key) for key in range(2, 20))])
    assert scheduler.next_batch().joining == (first,)
    scheduler.release([first])
    assert scheduler.next_batch().joining == (long,)


def test_what_is_encoded_ahead_is_bounded() -> None:
    scheduler = Scheduler(capacity=4, token_budget=1000)
    assert scheduler.wanted() == (AHEAD, 1000)
    assert scheduler.wanted(rows=3, tokens=24) == (AHEAD, 976)
    assert scheduler.wanted(rows=4, tokens=32) == (0, 0)
    scheduler.prepare(sequence(key) for key in range(3))
    assert scheduler.wanted() == (AHEAD, 976)  # one row is free
    scheduler.prepare([sequence(3)])
    assert scheduler.wanted() == (0, 0)
    batch = scheduler.next_batch()
    assert scheduler.wanted() == (0, 0)
    scheduler.release(batch.running[:1])
    assert scheduler.wanted() == (AHEAD, 976)


def test_no_more_is_taken_than_the_budget_has_room_for() -> None:
    scheduler = Scheduler(capacity=8, token_budget=40)
    made = [sequence(key, 16) for key in range(3)]
    scheduler.prepare(made[:2])
    assert scheduler.wanted() == (AHEAD, 8)
    scheduler.prepare(made[2:])
    assert scheduler.wanted() == (0, 0)
    scheduler.withdraw(made[2:])
    assert scheduler.wanted() == (AHEAD, 8)
    scheduler.next_batch()
    scheduler.release(made[:1])
    assert scheduler.wanted() == (AHEAD, 24)
    assert scheduler.wanted(rows=1, tokens=24) == (0, 0)


def test_newcomers_take_free_rows_and_only_what_is_left_moves() -> None:
    scheduler = Scheduler(capacity=6, token_budget=1000)
    made = [sequence(key) for key in range(6)]
    scheduler.prepare(made)
    scheduler.next_batch()
    scheduler.release([made[1], made[3]])
    newcomer = sequence(9)
    scheduler.prepare([newcomer])
    batch = scheduler.next_batch()
    assert newcomer.rows == [1]
    assert batch.moves == ((5, 3),)
    assert scheduler.used == 5


def test_rows_stay_packed_through_random_joins_and_leaves() -> None:
    rng = random.Random(0)
    scheduler = Scheduler(capacity=16, token_budget=10_000)
    held: list[int | None] = [None] * 16  # what the slots would hold: row -> key
    for key in range(400):
        scheduler.prepare([sequence(key, beams=rng.randint(1, 4))])
        batch = scheduler.next_batch()
        for joined in batch.joining:
            for row in joined.rows:
                held[row] = joined.key
        for origin, place in batch.moves:
            held[place] = held[origin]
        rows = sorted(row for s in scheduler.running for row in s.rows)
        assert rows == list(range(scheduler.used))
        for running in scheduler.running:
            assert {held[row] for row in running.rows} == {running.key}
        scheduler.release([s for s in scheduler.running if rng.random() < 0.4])
        scheduler.withdraw([s for s in scheduler.ready if rng.random() < 0.2])


def test_a_withdrawn_sequence_never_runs() -> None:
    scheduler = Scheduler(capacity=1, token_budget=100)
    made = [sequence(key) for key in range(3)]
    scheduler.prepare(made)
    scheduler.withdraw(made[:2])
    assert scheduler.next_batch().joining == (made[2],)
    scheduler.release([made[2]])
    assert scheduler.idle


@pytest.mark.parametrize("width", [4, 128, 132, 4000])
def test_every_width_has_a_lane(width: int) -> None:
    assert lane_of(width) == (0 if width <= LANES[0] else 1)
