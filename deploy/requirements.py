"""What goes into an image: its requirements before the install, its packages after it.

`requirements.py` prints what pyproject.toml asks for, a line each, for serving on the CPU and
tracing;
`--cuda` the same with the ONNX Runtime for CUDA in the place of the usual one, since both lie in
one folder. `--installed` prints what this environment has: name, version and licence. Only the
standard library is used, for the image has no more at that point.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

PROJECT = Path("pyproject.toml")
CPU_RUNTIME = "onnxruntime"


def requirements(project: dict[str, Any], *, cuda: bool) -> list[str]:
    """Return the requirements of an image, from the parsed pyproject.toml."""
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    needed: list[str] = project["project"]["dependencies"] + extras["tracing"]
    if not cuda:
        return needed
    return [one for one in needed if name_of(one) != CPU_RUNTIME] + extras["cuda"]


def name_of(requirement: str) -> str:
    """Return the normal name of what a requirement asks for: `Foo_bar[x]>=1` is `foo-bar`."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None, f"no requirement: {requirement!r}"
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def installed() -> Iterator[str]:
    """A line for each package of this environment, sorted by name."""
    found = sorted((name_of(one.metadata["Name"]), one) for one in distributions())
    return (f"{name} {one.version}: {licence(one)}" for name, one in found)


def licence(package: Distribution) -> str:
    """Return what a package's metadata says of its licence; the text is in its folder."""
    told = package.metadata.get_all("License-Expression", [])
    classed = [
        line.split(" :: ")[-1]
        for line in package.metadata.get_all("Classifier", [])
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    lines = [line.splitlines()[0] for line in package.metadata.get_all("License", []) if line]
    return ", ".join(told or classed or lines) or "see its folder"


def main(arguments: list[str]) -> None:
    """Print what is asked for."""
    if arguments == ["--installed"]:
        print(*installed(), sep="\n")
        return
    with PROJECT.open("rb") as file:
        project = tomllib.load(file)
    print(*requirements(project, cuda=arguments == ["--cuda"]), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
