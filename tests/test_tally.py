"""Tallies: values fall into the right bounds, and those of several owners add up."""

import pytest

from service.tally import FILL_BOUNDS, Distribution, Tally, added


@pytest.mark.parametrize(
    ("value", "counts"),
    [(0.0, [1, 0, 0]), (1.0, [1, 0, 0]), (1.01, [0, 1, 0]), (2.0, [0, 1, 0]), (9.0, [0, 0, 1])],
)
def test_a_value_falls_to_the_first_bound_that_it_does_not_exceed(
    value: float, counts: list[int]
) -> None:
    distribution = Distribution((1.0, 2.0))
    distribution.add(value)
    assert (distribution.counts, distribution.total) == (counts, value)


def test_batches_are_noted() -> None:
    tally = Tally()
    tally.encoded(0.004, 10, 16)
    tally.stepped(0.001, 0.25, 30, 48)
    tally.stepped(0.002, 1.0, 30, 64)
    assert (tally.encoder_real, tally.encoder_tokens) == (10, 16)
    assert (tally.decoder_real, tally.decoder_tokens) == (60, 112)
    assert sum(tally.encodings.counts) == 1
    assert sum(tally.steps.counts) == 2
    assert tally.steps.total == pytest.approx(0.003)
    filled = [bound for bound, n in zip(FILL_BOUNDS, tally.fill.counts, strict=False) if n]
    assert filled == [0.25, 1.0]


def test_tallies_add_up_and_stay_as_they_are() -> None:
    one, other = Tally(done=2, target_tokens=5), Tally(done=1, failed_steps=1)
    one.waits.add(0.002)
    other.waits.add(0.2)
    both = added([one, other])
    assert (both.done, both.target_tokens, both.failed_steps) == (3, 5, 1)
    assert sum(both.waits.counts) == 2
    assert both.waits.total == pytest.approx(0.202)
    assert (one.done, sum(one.waits.counts)) == (2, 1)
    assert sum(added([]).waits.counts) == 0
