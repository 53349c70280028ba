"""Pace: learnt only while there was always more to do."""

import pytest

from service.pace import Pace


def test_nothing_is_known_at_first() -> None:
    assert Pace().seconds(1000, 0.0) == 0.0


def test_steady_work_is_learnt() -> None:
    pace = Pace()
    for tick in range(40):
        pace.finished(50, tick * 0.1, True)
    assert pace.seconds(1000, 4.0) == pytest.approx(2.0, rel=1e-6)


def test_idle_time_is_not_slowness() -> None:
    pace = Pace()
    for second in range(10):
        for tick in range(5):
            pace.finished(50, 10 * second + tick * 0.1, tick < 4)
    assert pace.seconds(500, 91.0) == pytest.approx(1.0, rel=1e-6)


def test_a_change_of_pace_is_followed() -> None:
    pace = Pace()
    for tick in range(200):
        pace.finished(50, tick * 0.1, True)
    for tick in range(200):
        pace.finished(10, 20 + tick * 0.1, True)
    assert pace.seconds(100, 40.0) == pytest.approx(1.0, rel=0.3)


def test_what_was_learnt_long_ago_refuses_nobody() -> None:
    pace = Pace()
    for tick in range(100):
        pace.finished(0, tick * 0.1, True)  # dropped work, and nothing else
    for tick in range(100):
        pace.finished(1, 10 + tick * 0.1, True)
    assert pace.seconds(1000, 20.0) > 50
    assert pace.seconds(1000, 30.0) == 0.0
    for tick in range(30):
        pace.finished(50, 30 + tick * 0.1, True)
    assert pace.seconds(1000, 33.0) < 4, "and what comes now counts for more"


def test_a_process_that_was_stopped_was_not_slow() -> None:
    pace = Pace()
    for tick in range(40):
        pace.finished(50, tick * 0.1, True)
    pace.finished(50, 60.0, True)
    assert pace.seconds(1000, 60.0) == pytest.approx(2.0, rel=1e-6)
