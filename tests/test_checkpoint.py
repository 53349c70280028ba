"""Checkpoints: whole or not at all, and safe to read."""

import pickle
from pathlib import Path

import pytest
import torch

from model_export import checkpoint


class Trap:
    """What a pickle may hold: anything at all, run when it is read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code of a checkpoint ran')",)


def state(value: float) -> checkpoint.State:
    return {
        "model": {"weight": torch.full((2, 3), value), "bias": torch.tensor([value])},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]},
        "position": {"step": 7, "best": 41.5},
        "random": torch.get_rng_state(),
    }


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path, saved = tmp_path / "checkpoint.pt", state(1.5)
    checkpoint.save(path, saved)
    loaded = checkpoint.load(path)
    assert loaded["position"] == {"step": 7, "best": 41.5}
    assert loaded["model"]["weight"].equal(saved["model"]["weight"])
    assert loaded["optimizer"]["state"][0]["step"] == 3.0
    assert loaded["random"].equal(saved["random"])
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_copy_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, copy = tmp_path / "one.pt", tmp_path / "other.pt"
    path.write_bytes(b"weights")
    checkpoint.copy(path, copy)
    assert copy.read_bytes() == b"weights"

    def break_off(source: Path, to: Path) -> None:
        to.write_bytes(b"we")
        raise OSError("no space")

    monkeypatch.setattr("shutil.copyfile", break_off)
    path.write_bytes(b"other weights")
    with pytest.raises(OSError, match="no space"):
        checkpoint.copy(path, copy)
    assert copy.read_bytes() == b"weights"


def test_a_crash_while_saving_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, state(1.0))

    def crash(_: object, part: Path) -> None:
        Path(part).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", crash)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(path, state(2.0))
    assert checkpoint.load(path)["model"]["bias"].tolist() == [1.0]


def test_a_later_checkpoint_takes_the_place(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, state(1.0))
    checkpoint.save(path, state(2.0))
    assert checkpoint.load(path)["model"]["bias"].tolist() == [2.0]


def test_arbitrary_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": {}, "trap": Trap()}, path)
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.load(path)
    path.write_bytes(pickle.dumps(Trap(), protocol=2))
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.load(path)
