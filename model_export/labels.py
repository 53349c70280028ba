"""Word links from a statistical aligner, as targets for guided alignment.

eflomal (Östling and Tiedemann 2016) aligns the subword pieces of the training pairs in
both directions; the two are merged by `service.symmetrization`. It is called as a separate
program, offline, and is no dependency of the service. Guided alignment: Chen et al. 2016.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from model_export.corpus import Ragged
from service.symmetrization import METHODS

Links = set[tuple[int, int]]


class AlignerError(Exception):
    """The aligner is not installed, or failed."""


def label_links(source: Ragged, target: Ragged, *symmetrizations: str) -> tuple[Ragged, ...]:
    """Align pieces and return the links as merged in each way, packed as in `Encoded.links`.

    Raises `AlignerError`.
    """
    found: list[list[list[int]]] = [[] for _ in symmetrizations]
    with tempfile.TemporaryDirectory() as folder:
        forward, backward = _run_aligner(source, target, Path(folder))
        for a, b in zip(_read(forward), _read(backward), strict=True):
            for rows, name in zip(found, symmetrizations, strict=True):
                rows.append([s << 16 | t for s, t in sorted(METHODS[name](a, b))])
    if len(found[0]) != len(source):
        raise AlignerError(f"the aligner answered {len(found[0])} of {len(source)} pairs")
    return tuple(Ragged.of(rows) for rows in found)


def _run_aligner(source: Ragged, target: Ragged, folder: Path) -> tuple[Path, Path]:
    beside = Path(sys.executable).with_name("eflomal-align")
    program = str(beside) if beside.exists() else shutil.which("eflomal-align")
    if program is None:
        raise AlignerError("eflomal is not installed: pip install 'interlinea[labels]'")
    texts = folder / "source", folder / "target"
    for rows, path in zip((source, target), texts, strict=True):
        with path.open("w", encoding="utf-8") as out:
            for i in range(len(rows)):
                out.write(" ".join(map(str, rows[i])) + "\n")
    forward, backward = folder / "forward", folder / "backward"
    command = [program, "-s", str(texts[0]), "-t", str(texts[1])]
    command += ["-f", str(forward), "-r", str(backward), "--model", "3", "--overwrite"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise AlignerError(f"eflomal cannot be started: {error.strerror}") from error
    if done.returncode:
        raise AlignerError(f"eflomal failed: {done.stderr.strip()[-500:]}")
    return forward, backward


def _read(path: Path) -> Iterator[Links]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield {_link(item) for item in line.split()}


def _link(item: str) -> tuple[int, int]:
    source, _, target = item.partition("-")
    return int(source), int(target)


def coverage(links: Ragged, target: Ragged) -> float:
    """Share of target pieces that have a link; a sanity figure for the log."""
    linked = sum(len(set(links[i] & 0xFFFF)) for i in range(len(links)))
    return linked / max(1, int(target.starts[len(links)]))
