"""Waiting: an order that is fair between requests and starves nobody."""

import random

from service.waiting import Sequence, Waiting


def drain(waiting: Waiting) -> list[int]:
    order = []
    while waiting:
        order.append(waiting.pop().key)
    return order


def test_one_request_keeps_its_order() -> None:
    waiting = Waiting()
    for key in range(5):
        waiting.add(Sequence(key, 0, 8, 1))
    assert waiting.rows == 5
    assert drain(waiting) == [0, 1, 2, 3, 4]
    assert waiting.rows == 0


def test_a_sentence_does_not_wait_behind_a_book() -> None:
    waiting = Waiting()
    for key in range(1000):
        waiting.add(Sequence(key, 0, 8, 1))
    for _ in range(10):
        waiting.pop()
    waiting.add(Sequence(5000, 1, 8, 1))
    first = [waiting.pop().key for _ in range(3)]
    assert 5000 in first


def test_two_books_take_turns() -> None:
    waiting = Waiting()
    for key in range(20):
        waiting.add(Sequence(key, 0, 8, 1))
    for key in range(100, 120):
        waiting.add(Sequence(key, 1, 8, 1))
    order = drain(waiting)
    assert abs(sum(key < 100 for key in order[:20]) - 10) <= 1


def test_shares_are_of_tokens_not_of_sentences() -> None:
    waiting = Waiting()
    for key in range(40):
        waiting.add(Sequence(key, 0, 32, 1))
        waiting.add(Sequence(1000 + key, 1, 8, 1))
    order = drain(waiting)[:25]
    assert sum(key >= 1000 for key in order) > 2.5 * sum(key < 1000 for key in order)


def test_a_book_moves_on_under_a_flood_of_single_sentences() -> None:
    """As many newcomers come as are served; each book sentence then waits for its share."""
    waiting = Waiting()
    for key in range(30):
        waiting.add(Sequence(key, 0, 40, 1))
    taken: list[int] = []
    flood = 1000
    while 29 not in taken:
        for _ in range(2 * (len(taken) % 2)):
            flood += 1
            waiting.add(Sequence(flood, flood, 8, 1))
        taken.append(waiting.pop().key)
        assert len(taken) < 3000, "the book starves"


def test_a_withdrawn_request_leaves_nothing() -> None:
    waiting = Waiting()
    for key in range(6):
        waiting.add(Sequence(key, key % 2, 8, 2))
    assert [s.key for s in waiting.withdraw(1)] in ([1, 3, 5], [1, 5, 3])
    assert waiting.withdraw(1) == []
    assert waiting.rows == 6
    assert drain(waiting) == [0, 2, 4]
    assert waiting.first() is None


def test_rows_are_counted_through_any_mixture() -> None:
    rng = random.Random(3)
    waiting, held = Waiting(), {}
    for key in range(500):
        sequence = Sequence(key, rng.randrange(20), 4 * rng.randint(1, 8), rng.randint(1, 4))
        waiting.add(sequence)
        held[key] = sequence
        if rng.random() < 0.4:
            del held[waiting.pop().key]
        if rng.random() < 0.05:
            for gone in waiting.withdraw(rng.randrange(20)):
                del held[gone.key]
        assert waiting.rows == sum(s.beams for s in held.values())
    assert sorted(drain(waiting)) == sorted(held)
