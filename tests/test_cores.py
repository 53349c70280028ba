"""Usable cores: the container's quota counts, not the host."""

import os
from pathlib import Path

import pytest

from service import cores

ALL = len(os.sched_getaffinity(0))


def usable(tmp_path: Path, membership: str, files: dict[str, str]) -> int:
    listed = tmp_path / "membership"
    listed.write_text(membership)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return cores.usable(tmp_path / "groups", listed)


@pytest.mark.parametrize(
    ("quota", "most"),
    [
        ("max 100000", 10_000),
        ("150000 100000", 1),
        ("50000 100000", 1),
        ("9000000 100000", 90),
        ("0 0", 10_000),
        ("nonsense", 10_000),
    ],
)
@pytest.mark.parametrize("folder", ["", "system.slice/interlinea.service/"])
def test_the_quota_bounds_the_cores(tmp_path: Path, folder: str, quota: str, most: int) -> None:
    made = usable(tmp_path, f"0::/{folder.rstrip('/')}\n", {f"{folder}cpu.max": quota})
    assert made == min(most, ALL)


def test_the_smallest_quota_of_all_groups_above_counts(tmp_path: Path) -> None:
    files = {"a/b/cpu.max": "max 100000", "a/cpu.max": "100000 100000", "cpu.max": "900000 100000"}
    assert usable(tmp_path, "0::/a/b\n", files) == 1


@pytest.mark.parametrize(
    ("quota", "most"), [("-1", 10_000), ("150000", 1), ("20000", 1), ("9000000", 90)]
)
@pytest.mark.parametrize("folder", ["cpu,cpuacct/", "cpu/", "cpu,cpuacct/docker/1f/"])
def test_a_quota_of_version_1_counts_too(
    tmp_path: Path, folder: str, quota: str, most: int
) -> None:
    files = {f"{folder}cpu.cfs_quota_us": quota, f"{folder}cpu.cfs_period_us": "100000"}
    made = usable(tmp_path, "9:memory:/x\n4:cpu,cpuacct:/docker/1f\n0::/\n", files)
    assert made == min(most, ALL)


def test_another_group_or_a_path_outside_does_not_count(tmp_path: Path) -> None:
    files = {"other/cpu.max": "100000 100000", "../cpu.max": "100000 100000"}
    assert usable(tmp_path, "0::/mine\n", files) == ALL
    assert usable(tmp_path, "0::/..\n", files) == ALL


def test_without_control_groups_every_core_is_usable(tmp_path: Path) -> None:
    assert cores.usable(tmp_path / "absent", tmp_path / "absent") == ALL
