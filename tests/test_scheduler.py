"""Scheduler: order, budgets, and rows that stay packed."""

import random

from service.scheduler import Scheduler, Sequence


def test_waiting_sequences_join_in_order_while_rows_are_free() -> None:
    scheduler = Scheduler(capacity=4, token_budget=1000)
    sequences = [Sequence(key, width=8, beams=beams) for key, beams in enumerate((1, 2, 2, 1))]
    for sequence in sequences:
        scheduler.add(sequence)
    batch = scheduler.next_batch()
    assert [s.key for s in batch.joining] == [0, 1]  # the third needs two rows, and waits
    assert [s.rows for s in batch.running] == [[0], [1, 2]]
    scheduler.release([sequences[0]])
    assert [s.key for s in scheduler.next_batch().joining] == [2]
    assert [s.key for s in scheduler.next_batch().joining] == []


def test_a_padded_token_budget_bounds_the_batch() -> None:
    scheduler = Scheduler(capacity=64, token_budget=40)
    for key, width in enumerate((8, 8, 16, 8)):
        scheduler.add(Sequence(key, width, 1))
    assert [s.key for s in scheduler.next_batch().joining] == [0, 1]  # 3 rows x 16 > 40


def test_a_sentence_over_the_budget_runs_alone_and_never_starves() -> None:
    scheduler = Scheduler(capacity=8, token_budget=40)
    scheduler.add(Sequence(0, 8, 1))
    long = Sequence(1, 200, 1)
    scheduler.add(long)
    for key in range(2, 20):
        scheduler.add(Sequence(key, 8, 1))
    first = scheduler.next_batch()
    assert [s.key for s in first.joining] == [0]
    scheduler.release(first.joining)
    assert scheduler.next_batch().joining == (long,)


def test_rows_stay_packed_through_random_joins_and_leaves() -> None:
    rng = random.Random(0)
    scheduler = Scheduler(capacity=16, token_budget=10_000)
    where: dict[int, list[int]] = {}  # what the slots would hold: row -> key
    held: list[int | None] = [None] * 16
    for key in range(300):
        scheduler.add(Sequence(key, 8, rng.randint(1, 4)))
        for sequence in scheduler.next_batch().joining:
            for row in sequence.rows:
                held[row] = sequence.key
        done = [s for s in scheduler.running if rng.random() < 0.4]
        for origin, place in scheduler.release(done):
            held[place] = held[origin]
        rows = sorted(row for s in scheduler.running for row in s.rows)
        assert rows == list(range(scheduler.used))
        for sequence in scheduler.running:
            assert [held[row] for row in sequence.rows] == [sequence.key] * sequence.beams
            where[sequence.key] = sequence.rows
    assert where


def test_a_withdrawn_sequence_never_runs() -> None:
    scheduler = Scheduler(capacity=1, token_budget=100)
    sequences = [Sequence(key, 8, 1) for key in range(3)]
    for sequence in sequences:
        scheduler.add(sequence)
    scheduler.withdraw([sequences[0], sequences[1]])
    assert scheduler.next_batch().joining == (sequences[2],)
    scheduler.release([sequences[2]])
    assert scheduler.idle
