"""The token bucket: never more than its size and its pace allow, and never a wait for ever."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.bucket import Bucket

SIZES = st.integers(1, 10**6)
COSTS = st.integers(1, 10**6)
STEPS = st.lists(st.tuples(st.floats(0, 1000), COSTS), min_size=1, max_size=40)


def full(size: int) -> Bucket:
    return Bucket(size, float(size), 0.0)


def test_a_full_bucket_gives_a_minute_at_once() -> None:
    bucket = full(60)
    assert bucket.wait(60, 0.0) == 0.0
    bucket.take(60, 0.0)
    assert bucket.wait(1, 0.0) == 1.0
    assert bucket.full_in(0.0) == 60.0
    assert bucket.wait(30, 10.0) == 20.0
    assert bucket.full_in(10.0) == 50.0


def test_what_is_given_back_can_be_taken_again_but_no_more_than_it_holds() -> None:
    bucket = full(60)
    bucket.take(50, 0.0)
    bucket.take(-20, 0.0)
    assert bucket.level == 30
    bucket.take(-100, 0.0)
    assert bucket.level == 60


def test_what_costs_more_than_a_minute_waits_for_a_full_bucket_and_leaves_a_debt() -> None:
    bucket = full(60)
    bucket.take(10, 0.0)
    assert bucket.wait(600, 0.0) == 10.0
    assert bucket.wait(600, 10.0) == 0.0
    bucket.take(600, 10.0)
    assert bucket.wait(1, 10.0) == pytest.approx(541)


def test_a_clock_that_goes_back_lets_in_nothing() -> None:
    bucket = Bucket(60, 0.0, 1000.0)
    bucket.fill(10.0)
    assert (bucket.level, bucket.at) == (0.0, 10.0)
    bucket.fill(20.0)
    assert bucket.level == 10.0


def test_nothing_costs_nothing() -> None:
    assert Bucket(60, -500.0, 0.0).wait(0, 0.0) == 0.0


@settings(deadline=None)
@given(SIZES, STEPS)
def test_no_stretch_of_time_gives_more_than_its_size_and_its_pace(
    size: int, steps: list[tuple[float, int]]
) -> None:
    bucket, now = full(size), 0.0
    taken: list[tuple[float, int]] = []
    for pause, cost in steps:
        now += pause
        if bucket.wait(cost, now) == 0.0:
            bucket.take(cost, now)
            taken.append((now, cost))
    for index, (begin, _) in enumerate(taken):
        total = 0
        for at, cost in taken[index:]:  # the last may leave a debt, which the next pay off
            assert total <= size + (at - begin) * size / 60 + 1e-3 * size
            total += cost


@settings(deadline=None)
@given(SIZES, STEPS, COSTS)
def test_after_the_wait_there_is_enough(
    size: int, steps: list[tuple[float, int]], cost: int
) -> None:
    bucket, now = full(size), 0.0
    for pause, spent in steps:
        now += pause
        bucket.take(spent, now)
        assert bucket.level <= size
    wait = bucket.wait(cost, now)
    assert bucket.wait(cost, now + wait) == pytest.approx(0.0, abs=1e-6)
    assert bucket.wait(cost, now + wait * 1.001 + 1e-3) == 0.0


@settings(deadline=None)
@given(SIZES, STEPS)
def test_how_often_it_is_looked_at_makes_no_difference(
    size: int, steps: list[tuple[float, int]]
) -> None:
    watched, left = full(size), full(size)
    now = 0.0
    for pause, cost in steps:
        for part in range(1, 4):
            watched.fill(now + pause * part / 4)
        now += pause
        watched.take(cost, now)
        left.take(cost, now)
    assert watched.level == pytest.approx(left.level, rel=1e-6, abs=1e-3)
