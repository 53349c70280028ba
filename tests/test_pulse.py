"""Pulse: failures in a row tell of a fault, single ones do not."""

from service.pulse import FAILURES, Pulse


def test_failures_in_a_row_are_a_fault() -> None:
    pulse = Pulse()
    for count in range(FAILURES + 2):
        assert pulse.failing == (count >= FAILURES)
        pulse.bad()


def test_one_step_that_goes_well_mends_all() -> None:
    pulse = Pulse()
    for _ in range(10):
        for _ in range(FAILURES - 1):
            pulse.bad()
        pulse.good()
        assert not pulse.failing
