"""Repetition: circles are seen, whatever their length, and the source says what is normal."""

import pytest

from service.repetition import LONGEST, Loops, allowed


def loops(tokens: list[int]) -> Loops:
    made = Loops()
    for token in tokens:
        made = made.after(token)
    return made


@pytest.mark.parametrize("length", range(1, LONGEST + 1))
@pytest.mark.parametrize("copies", [1, 2, 5])
def test_copies_of_a_block_are_counted(length: int, copies: int) -> None:
    block = list(range(10, 10 + length))
    assert loops([1, 2, *block * copies]).copies == copies


def test_only_the_end_counts() -> None:
    assert loops([7, 7, 7, 7, 8]).copies == 1
    assert loops([]).copies == 1


def test_longer_blocks_are_not_looked_for() -> None:
    assert loops(list(range(LONGEST + 1)) * 4).copies == 1


def test_what_the_source_repeats_may_be_repeated() -> None:
    assert allowed([1, 2, 3, 4]) == 4
    assert allowed([1, 5, 5, 5, 5, 5, 2]) == 8
