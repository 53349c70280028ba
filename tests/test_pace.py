"""Pace: learnt only while there was always more to do."""

import pytest

from service.pace import Pace


def test_nothing_is_known_at_first() -> None:
    assert Pace().seconds(1000) == 0.0


def test_steady_work_is_learnt() -> None:
    pace = Pace()
    for tick in range(40):
        pace.finished(50, tick * 0.1, True)
    assert pace.seconds(1000) == pytest.approx(2.0, rel=1e-6)


def test_idle_time_is_not_slowness() -> None:
    pace = Pace()
    for second in range(10):
        for tick in range(5):
            pace.finished(50, 10 * second + tick * 0.1, tick < 4)
    assert pace.seconds(500) == pytest.approx(1.0, rel=1e-6)


def test_a_change_of_pace_is_followed() -> None:
    pace = Pace()
    for tick in range(200):
        pace.finished(50, tick * 0.1, True)
    for tick in range(200):
        pace.finished(10, 20 + tick * 0.1, True)
    assert pace.seconds(100) == pytest.approx(1.0, rel=0.3)
