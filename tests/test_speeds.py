"""Speeds side by side: real toy runs, and turns that a script can predict."""

import math
from pathlib import Path

import pytest
import torch

from model_export import speeds
from model_export import train as training
from model_export.run import Run
from model_export.speeds import ROUNDS


def files(run: Run) -> dict[Path, bytes]:
    """What lies in the folder of a run."""
    return {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}


def test_learning_is_timed_and_leaves_the_runs_as_they_were(
    toy_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "faster_in_bf16", lambda _: False)
    monkeypatch.setattr(speeds, "BATCHES", 2)
    before = files(toy_run)
    found = speeds.training([toy_run, toy_run], torch.device("cpu"))
    assert len(found) == 2
    assert all(0 < speed < math.inf for speed in found)
    assert files(toy_run) == before


def test_serving_is_timed(toy_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "SENTENCES", 4)
    found = speeds.serving([toy_run, toy_run])
    assert len(found) == 2
    assert all(0 < speed < math.inf for speed in found)


def test_all_take_turns_and_the_first_round_does_not_count() -> None:
    asked: list[str] = []
    given = {"a": iter([1e9, 5.0, 1.0, 3.0, 2.0, 4.0]), "b": iter([0.0] * 3 + [10.0] * 3)}

    def speed(name: str) -> float:
        asked.append(name)
        return next(given[name])

    assert speeds._medians(speed, ["a", "b"]) == [3, 10]
    assert asked == ["a", "b"] * (1 + ROUNDS)
