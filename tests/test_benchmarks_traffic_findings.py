"""Medians and bars of traffic, from rounds made up for the purpose."""

import json

import pytest

from benchmarks import findings
from benchmarks.findings import Cell, Round, Saturated
from benchmarks.latency import Latency
from benchmarks.offline import Rates
from benchmarks.servers import DYNAMIC, INTERLINEA


def cell(server: str, p95: float, unanswered: int = 0) -> Cell:
    return Cell(server, 0.75, 100, 99, Latency(1, p95, 2 * p95), 0, unanswered, 0.1, 1.0, 500)


def round_of(p95: float, other: float, rate: float) -> Round:
    return Round(
        [Rates(100, 200), Rates(120, 200)],
        [Saturated(INTERLINEA.name, 1, rate, Latency(1, 2, 3), 0, 0.1, 500, 200)],
        [cell(INTERLINEA.name, p95), cell(DYNAMIC.name, other, 1)],
    )


ROUNDS = [round_of(10, 40, 88), round_of(30, 40, 99), round_of(20, 50, 110)]


def test_bars_are_medians_of_ratios_within_rounds() -> None:
    tail, translator, engine = findings.bars(ROUNDS)
    assert tail.measured == pytest.approx(0.4)
    assert tail.met
    assert translator.measured == pytest.approx(99 / 110)
    assert translator.met
    assert engine.measured == pytest.approx(99 / 200)
    assert not engine.met


def test_cells_are_medians_and_what_went_unanswered_adds_up() -> None:
    ours, theirs = findings.cells(ROUNDS)
    assert (ours.latency.p95, ours.unanswered) == (20, 0)
    assert (theirs.latency.p95, theirs.unanswered) == (40, 3)
    assert findings.saturated(ROUNDS)[0].rate == 99


def test_the_file_says_how_and_the_tables_print(capsys: pytest.CaptureFixture[str]) -> None:
    content = findings.as_json(ROUNDS, {INTERLINEA.name: INTERLINEA.about})
    assert json.loads(json.dumps(content))["offline"] == {"translator": 110, "engine": 200}
    findings.show(ROUNDS)
    printed = capsys.readouterr().out
    assert "missed" in printed
    assert "≥ 40" in printed
