"""Patience: who takes too long is told so once, and who is done in time never is."""

import threading
import time

from service.patience import LOOKS, Patience


def test_who_takes_too_long_is_told_to_stop() -> None:
    patience, told = Patience(0.3), threading.Event()
    begun = time.monotonic()
    with patience.bounded(told.set):
        assert told.wait(10)
        assert time.monotonic() - begun >= 0.3
        told.clear()
        assert not told.wait(2 * LOOKS)  # once is enough


def test_who_is_done_in_time_is_left_alone() -> None:
    patience, told = Patience(2 * LOOKS), threading.Event()
    with patience.bounded(told.set):
        pass
    assert not told.wait(5 * LOOKS)


def test_each_has_a_time_of_its_own() -> None:
    patience, first, second = Patience(4 * LOOKS), threading.Event(), threading.Event()
    with patience.bounded(first.set):
        time.sleep(3 * LOOKS)
        with patience.bounded(second.set):
            assert first.wait(10)
            assert not second.is_set()
            assert second.wait(10)


def test_who_loses_patience_stops_all_that_is_under_way() -> None:
    patience, first, second = Patience(1000.0), threading.Event(), threading.Event()
    with patience.bounded(first.set), patience.bounded(second.set):
        patience.lose()
        assert first.is_set()
        assert second.is_set()
    with patience.bounded(first.clear):
        assert first.is_set()
