"""A deadline: what is left of it, what is told when it has passed, and which are equal."""

import time

import pytest

from service.deadline import Deadline
from service.errors import DeadlineExceeded


def test_what_has_passed_and_what_is_left_are_the_whole() -> None:
    deadline = Deadline(10, time.monotonic() - 4)
    spent, left = deadline.spent, deadline.left
    assert 4 <= spent <= 10 - left <= 5
    deadline.check()


def test_one_that_has_passed_says_what_was_asked_for() -> None:
    deadline = Deadline(2.5, time.monotonic() - 3)
    assert deadline.left < 0
    with pytest.raises(DeadlineExceeded) as caught:
        deadline.check()
    assert caught.value.detail == deadline.missed().detail == {"timeout": 2.5}
    assert "2.5 seconds" in caught.value.message


def test_those_that_give_as_long_are_equal() -> None:
    assert Deadline(3, 1.0) == Deadline(3, 2.0) != Deadline(4, 1.0)
    assert Deadline().spent < 60 < Deadline().left
