from collections.abc import Callable

import pytest

from benchmarks import interleave
from benchmarks.interleave import Candidate, Effort


def test_every_candidate_has_a_sample_of_every_round() -> None:
    called: list[str] = []

    def work(name: str) -> Callable[[], None]:
        return lambda: called.append(name)

    candidates = [Candidate(name, work(name)) for name in "ab"]
    samples = interleave.measure(candidates, Effort(rounds=3, seconds=0.0, pause=0.0))
    assert {name: len(seconds) for name, seconds in samples.items()} == {"a": 3, "b": 3}
    assert "".join(called) == "aabb" + "aabb" + "bbaa" + "aabb"


def test_ratio_is_the_median_of_the_rounds_ratios() -> None:
    slow_host = ([2.0, 20.0, 6.0], [1.0, 10.0, 2.0])
    assert interleave.ratio(*slow_host) == pytest.approx(2.0)


def test_quickest_goes_by_the_median() -> None:
    samples = {"a": [1.0, 9.0, 9.0], "b": [5.0, 5.0, 5.0], "c": [0.1, 0.1, 0.1]}
    assert interleave.quickest(samples, ["a", "b"]) == "b"
