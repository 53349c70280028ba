"""What a person sees while training."""

import pytest
import torch
from torch import Tensor

from model_export.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until a test moves it."""
    now = [100.0]
    monkeypatch.setattr("model_export.progress.time.monotonic", lambda: now[0])
    return now


def losses(token: float) -> dict[str, Tensor]:
    return {"token": torch.tensor(token), "cross": torch.tensor(2 * token)}


def test_the_first_step_sets_means_and_rate(clock: list[float]) -> None:
    bar = Progress(10, 0)
    clock[0] += 2
    bar.step(losses(4.0), 500)
    assert bar.rate == 250
    assert bar.means() == {"token": 4.0, "cross": 8.0}


def test_later_steps_move_them_slowly(clock: list[float]) -> None:
    bar = Progress(10, 0)
    for token, tokens in ((4.0, 100), (2.0, 200)):
        clock[0] += 1
        bar.step(losses(token), tokens)
    assert bar.rate == pytest.approx(0.98 * 100 + 0.02 * 200)
    assert bar.means()["token"] == pytest.approx(0.98 * 4 + 0.02 * 2)


def test_measuring_does_not_count_as_training_time(clock: list[float]) -> None:
    bar = Progress(10, 0)
    clock[0] += 60  # a long dev set
    bar.dev(31.25)
    clock[0] += 1
    bar.step(losses(1.0), 300)
    assert bar.rate == 300


def test_means_are_a_copy(clock: list[float]) -> None:
    bar = Progress(10, 0)
    bar.step(losses(1.0), 1)
    bar.means()["token"] = 9.0
    assert bar.means()["token"] == 1.0


def test_the_bar_shows_steps_loss_and_dev_score(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(40, 12) as bar:
        bar.dev(31.26)
        clock[0] += 1
        bar.step(losses(4.5), 1234)
    shown = " ".join(capsys.readouterr().out.split())
    assert "13/40" in shown, "a resumed run goes on where it stood"
    assert "loss 4.500" in shown
    assert "1,234 tokens/s" in shown
    assert "dev chrF 31.3" in shown


def test_the_bar_ends_when_training_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="broken"), Progress(5, 0):
        raise ValueError("broken")
    with Progress(5, 1):  # a second live bar would be refused while the first one lives
        pass
    assert "1/5" in capsys.readouterr().out
