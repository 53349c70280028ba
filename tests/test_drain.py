"""Not ready, and still serving, for as long as was asked for."""

from service.drain import Drain


def test_it_is_over_after_its_seconds_and_begins_once() -> None:
    times = iter([100.0, 101.0, 102.9, 103.0])
    drain = Drain(3.0, lambda: next(times))
    assert not drain.begun()
    assert not drain.over()  # does not ask for the time
    drain.begin()  # 100
    drain.begin()
    assert drain.begun()
    assert [drain.over() for _ in range(3)] == [False, False, True]


def test_of_no_seconds_it_is_over_at_once() -> None:
    drain = Drain(0.0, lambda: 5.0)
    drain.begin()
    assert drain.over()
