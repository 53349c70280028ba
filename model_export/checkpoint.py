"""Checkpoints: save, load and copy; nothing else.

A checkpoint holds all that training needs to go on exactly: weights, optimizer, position
and random state. It is written beside its place and renamed, so a crash leaves the last.
"""

import shutil
from pathlib import Path
from typing import Any

import torch

State = dict[str, Any]


def save(path: Path, state: State) -> None:
    """Write `state` to `path` atomically."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def copy(path: Path, to: Path) -> None:
    """Copy a checkpoint atomically."""
    part = to.with_suffix(".part")
    shutil.copyfile(path, part)
    part.replace(to)


def load(path: Path) -> State:
    """Read a checkpoint onto the CPU; only tensors and plain values are unpickled."""
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    return state
