"""How many cores this process may use: affinity and the quotas of its control groups."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

GROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def usable(groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> int:
    """Return whole cores, at least one: of the affinity, the smallest quota, or the machine."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this operating system
        cores = os.cpu_count() or 1
    quotas = [quota for folder in _folders(groups, membership) for quota in _quotas(folder)]
    return max(1, int(min(cores, *quotas))) if quotas else max(1, cores)


def _folders(groups: Path, membership: Path) -> Iterator[Path]:
    """Yield the folders of this process's control groups and of those they lie in.

    In a container the path of a group may be the host's, and its folder the root of what is
    mounted; so folders that do not exist are among these.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        inner = PurePosixPath(path.lstrip("/"))
        within = [] if ".." in inner.parts else [inner, *inner.parents]
        for root in [groups / controllers, groups / "cpu"] if controllers else [groups]:
            yield from dict.fromkeys([root, *(root / part for part in within)])


def _quotas(folder: Path) -> Iterator[float]:
    """Yield the cores that a control group grants, if it sets a limit; version 2, then 1."""
    for names in (["cpu.max"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]):
        try:
            words = " ".join((folder / name).read_text(encoding="ascii") for name in names)
            granted, period = (int(word) for word in words.split())
        except (OSError, ValueError):  # ValueError: `max`, no limit
            continue
        if granted > 0 and period > 0:  # -1: no limit
            yield granted / period
