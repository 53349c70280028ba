"""How many cores this process may use: affinity and the container's quota, not the host's."""

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable(quota: Path = QUOTA) -> int:
    """Return whole cores, at least one."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on this operating system
        cores = os.cpu_count() or 1
    limit = _quota(quota)
    return max(1, min(cores, int(limit))) if limit is not None else max(1, cores)


def _quota(path: Path) -> float | None:
    """Return the cores that a version 2 control group grants; None: no limit."""
    try:
        granted, period = path.read_text(encoding="ascii").split()
        return None if granted == "max" else int(granted) / int(period)
    except (OSError, ValueError):
        return None
