"""Gold alignments: how they are read, and alignment error rate by hand."""

import gzip
from pathlib import Path

import pytest

from model_export import gold
from model_export.gold import Gold


def pair(sure: set[tuple[int, int]], possible: set[tuple[int, int]]) -> Gold:
    return Gold(("a",), ("b",), frozenset(sure), frozenset(sure | possible))


def test_gold_is_read_with_its_sure_and_possible_links(tmp_path: Path) -> None:
    path = tmp_path / "gold.tsv.gz"
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.write("the old house\tla vieille maison\t0-0 2-2 | 1-1 0-1\n")
        out.write("yes\toui\t0-0 | \nno\tnon\t | 0-0\ndéjà\talready\t\n")
    first, second, third, fourth = gold.read_gold(path)
    assert first.source == ("the", "old", "house")
    assert first.target == ("la", "vieille", "maison")
    assert first.sure == {(0, 0), (2, 2)}
    assert first.possible == {(0, 0), (2, 2), (1, 1), (0, 1)}, "what is sure is possible"
    assert second.sure == second.possible == {(0, 0)}
    assert not third.sure
    assert third.possible == {(0, 0)}
    assert fourth == Gold(("déjà",), ("already",), frozenset(), frozenset())


def test_alignment_error_by_hand() -> None:
    """|A| 4, |S| 3, |A and S| 2, |A and P| 3: AER 1 - 5/7, precision 3/4, recall 2/3."""
    found = {(0, 0), (1, 1), (2, 1), (5, 5)}
    scored = gold.score([(found, pair({(0, 0), (1, 1), (3, 3)}, {(2, 1), (2, 2)}))])
    assert scored.aer == pytest.approx(100 * (1 - 5 / 7))
    assert scored.precision == pytest.approx(75)
    assert scored.recall == pytest.approx(100 * 2 / 3)


def test_a_possible_link_is_never_wrong_and_never_missed() -> None:
    links = pair({(0, 0)}, {(1, 1)})
    for found in ({(0, 0)}, {(0, 0), (1, 1)}):
        scored = gold.score([(found, links)])
        assert (scored.aer, scored.precision, scored.recall) == (0.0, 100.0, 100.0)
    assert gold.score([({(0, 0), (2, 2)}, links)]).aer == pytest.approx(100 / 3)


def test_counts_are_summed_before_they_are_divided() -> None:
    """One link right of one, and none of three: the mean of the two pairs would be 50."""
    right = ({(0, 0)}, pair({(0, 0)}, set()))
    wrong = ({(0, 0), (1, 1), (2, 2)}, pair({(5, 5), (6, 6), (7, 7)}, set()))
    scored = gold.score([right, wrong])
    assert scored.aer == pytest.approx(75)
    assert scored.precision == scored.recall == pytest.approx(25)


def test_finding_nothing_is_no_division_by_zero() -> None:
    nothing = gold.score([(set[tuple[int, int]](), pair({(0, 0)}, set()))])
    assert (nothing.aer, nothing.precision, nothing.recall) == (100.0, 0.0, 0.0)
    assert gold.score([]).aer == 100.0
