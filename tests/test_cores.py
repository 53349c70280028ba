"""Usable cores: the container's quota counts, not the host."""

import os
from pathlib import Path

import pytest

from service import cores


@pytest.mark.parametrize(
    ("quota", "most"),
    [("max 100000", 10_000), ("150000 100000", 1), ("50000 100000", 1), ("nonsense", 10_000)],
)
def test_the_quota_bounds_the_cores(tmp_path: Path, quota: str, most: int) -> None:
    path = tmp_path / "cpu.max"
    path.write_text(quota)
    assert cores.usable(path) == min(most, len(os.sched_getaffinity(0)))


def test_without_a_quota_every_core_is_usable(tmp_path: Path) -> None:
    assert cores.usable(tmp_path / "absent") == len(os.sched_getaffinity(0))
