"""What the figures were measured on: a ratio travels between machines, a time does not."""

import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

from service import cores

SIMD = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
    "sve",
)
"""The flags that decide how fast, and how exactly, integers are multiplied."""

LIBRARIES = ("onnxruntime", "numpy")
GIB = 2**30


def describe() -> dict[str, object]:
    """Return processor, memory, versions and load; taken once, at the first call of a run."""
    return dict(_described())


def versions(*libraries: str) -> dict[str, str]:
    """Return the installed versions of libraries; those that are absent are left out."""
    found = {}
    for library in libraries:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def simd(flags: str) -> list[str]:
    """Return which of `SIMD` a line of processor flags holds."""
    present = set(flags.split())
    return [flag for flag in SIMD if flag in present]


@cache
def _described() -> dict[str, object]:
    processor = _processor(Path("/proc/cpuinfo"))
    return {
        "cpu": processor.get("model name") or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "cores": cores.usable(),
        "simd": simd(processor.get("flags") or processor.get("Features") or ""),
        "memory_gib": round(_memory() / GIB, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        **versions(*LIBRARIES),
        "load_average_before": [round(load, 2) for load in _load()],
    }


def _processor(path: Path) -> dict[str, str]:
    """Return what the kernel says of the first processor."""
    try:
        first = path.read_text(encoding="utf-8").split("\n\n", 1)[0]
    except OSError:  # not on this operating system
        return {}
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _memory() -> int:
    """Return the bytes that this process may use: the machine's, or its control group's."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def _load() -> tuple[float, ...]:
    try:
        return os.getloadavg()
    except OSError:
        return ()
