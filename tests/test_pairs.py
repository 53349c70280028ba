"""Pairs: who is read at once with whom, and how much at a time."""

import random

import pytest

from service.hypotheses import Source
from service.pairs import (
    FORCE_TOKENS,
    LONGEST,
    PADDING,
    TOKENS_A_STEP,
    Given,
    Pairs,
    padded,
    steps_after,
)
from service.search import Forced
from service.waiting import Sequence

ABOUT = Source(length=3, eos=0, bos=1, delays={})


def pair(key: int, length: int, width: int = 8) -> Given:
    """A pair whose target has so many tokens, `</s>` included."""
    return Given(Sequence(key, 0, width, 1), Forced(ABOUT, [2] * (length - 1)))


def filled(*lengths: int, budget: int = 4096) -> Pairs:
    made = Pairs(budget)
    for key, length in enumerate(lengths):
        made.add(pair(key, length))
    return made


def keys(batch: list[Given]) -> list[int]:
    return [one.sequence.key for one in batch]


def test_nobody_waits_at_first() -> None:
    made = filled()
    assert len(made) == 0
    assert made.next_batch() == []
    assert steps_after([]) == 0


def test_the_oldest_goes_first_with_those_nearest_to_its_length() -> None:
    made = filled(10, 40, 11, 41, 9, 12)
    assert keys(made.next_batch()) == [0, 2, 4, 5]
    assert len(made) == 2
    assert keys(made.next_batch()) == [1, 3]
    assert made.next_batch() == []


def test_a_call_is_bounded_and_so_is_its_padding() -> None:
    rng = random.Random(1)
    for _ in range(50):
        lengths = [min(LONGEST, 1 + int(rng.expovariate(0.03))) for _ in range(40)]
        made = filled(*lengths)
        seen: list[int] = []
        while batch := made.next_batch():
            assert keys(batch)[0] == min(set(range(40)) - set(seen)), "nobody is forgotten"
            seen += keys(batch)
            assert padded(batch) <= FORCE_TOKENS or len(batch) == 1
            assert sum(one.length for one in batch) >= (1 - PADDING) * padded(batch)
        assert sorted(seen) == list(range(40))


def test_the_longest_goes_alone() -> None:
    made = filled(LONGEST, LONGEST, FORCE_TOKENS, FORCE_TOKENS // 2, FORCE_TOKENS // 2)
    assert [keys(made.next_batch()) for _ in range(4)] == [[0], [1], [2], [3, 4]]
    with pytest.raises(AssertionError):
        made.add(pair(9, LONGEST + 1))


def test_wide_sources_are_bounded_too() -> None:
    made = Pairs(token_budget=64)
    for key, width in enumerate((16, 16, 32, 400)):
        made.add(pair(key, 5, width))
    assert keys(made.next_batch()) == [0, 1]
    assert keys(made.next_batch()) == [2]
    assert keys(made.next_batch()) == [3], "one that exceeds the budget goes alone"


def test_who_has_gone_is_not_read() -> None:
    made = filled(5, 5, 5)
    made.withdraw([Sequence(1, 0, 8, 1), Sequence(77, 0, 8, 1)])
    assert keys(made.next_batch()) == [0, 2]


def test_a_call_is_paid_back_in_steps() -> None:
    assert steps_after([pair(0, 12), pair(1, 20), pair(2, 16)]) == 60 // TOKENS_A_STEP
    assert steps_after([pair(0, LONGEST)]) == LONGEST // TOKENS_A_STEP > 0
