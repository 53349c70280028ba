import pytest

from benchmarks import report
from benchmarks.report import Bar


@pytest.mark.parametrize(
    ("measured", "at_most", "met"),
    [(2.0, False, True), (1.99, False, False), (2.0, True, True), (2.01, True, False)],
)
def test_a_bar_is_met_at_its_limit(measured: float, at_most: bool, met: bool) -> None:
    bar = Bar("twice as fast", measured, 2.0, at_most)
    assert bar.met is met
    assert bar.as_json()["met"] is met


def test_a_table_has_a_column_for_every_head() -> None:
    table = report.table("Speed", ["", "batch 1", "batch 8"], [["ours", "1", "2"]])
    assert [column.header for column in table.columns] == ["", "batch 1", "batch 8"]
    assert [column.justify for column in table.columns] == ["left", "right", "right"]
    assert table.row_count == 1


@pytest.mark.parametrize(
    ("value", "spelled"),
    [(0.1234, "0.12"), (1.5, "1.50"), (12.34, "12.3"), (1234.5, "1,234"), (-0.02, "-0.02")],
)
def test_figures_are_short(value: float, spelled: str) -> None:
    assert report.figure(value) == spelled
