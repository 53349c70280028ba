"""What a run found, as a file: figures, the machine they are of, and how to repeat them."""

import datetime
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import machine

FOLDER = Path(__file__).with_name("results")
QUICK = "--quick"


def write(name: str, results: Mapping[str, object]) -> Path:
    """Write `results/<name>.json` beside this file and return its path.

    Figures may be numpy's; no path and no host name of this machine gets in. What `--quick`
    finds goes into a folder of its own, never over the figures of a full run.
    """
    content = {
        "benchmark": name,
        "command": command(sys.argv[1:]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine.describe(),
        "results": results,
    }
    folder = FOLDER / "quick" if QUICK in sys.argv[1:] else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    text = json.dumps(content, ensure_ascii=False, indent=1, default=_plain)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def command(arguments: Sequence[str]) -> str:
    """Return the command line as one would type it; absolute paths lose their folders."""
    return shlex.join(["python", "-m", "benchmarks", *(_local(word) for word in arguments)])


def _local(word: str) -> str:
    option, equals, value = word.rpartition("=")
    return f"{option}{equals}{Path(value).name}" if Path(value).is_absolute() else word


def _plain(value: object) -> object:
    """Turn numpy's numbers and arrays into Python's."""
    plain = getattr(value, "tolist", None)
    if plain is None:
        raise TypeError(f"{type(value).__name__} does not belong in results")
    made: object = plain()
    return made
