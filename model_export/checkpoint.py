"""Checkpoints: save and load; nothing else.

A checkpoint holds all that training needs to go on exactly: weights, optimizer, position
and random state. It is written beside its place and renamed, so a crash leaves the last.
"""

from pathlib import Path
from typing import Any

import torch

State = dict[str, Any]


def save(path: Path, state: State) -> None:
    """Write `state` to `path` atomically."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def load(path: Path) -> State:
    """Read a checkpoint onto the CPU; only tensors and plain values are unpickled."""
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    return state
