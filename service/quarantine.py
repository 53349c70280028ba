"""Bundles of others are first loaded by a process of their own, which may die of them.

A graph computes while it is loaded and while it runs: it can ask for any amount of memory, go
on for ever, or find a fault of the libraries that interpret it. Here that happens to a child
with bounds of its own, before the server touches the graphs. The child is no jail: it may do
whatever the server may.

    python -m service.quarantine FOLDER     # settings come from the environment
    {"digest": "..."}                       # it translates, on the host's processor
    {"error": "damaged_bundle", "message": "...", "detail": {...}}
"""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from service.device import HOST
from service.engine import Capacity
from service.errors import BundleError, DamagedBundle, UnsealedBundle
from service.opening import naming, open_folder
from service.patience import Patience
from service.settings import PREFIX, InvalidSettings, Settings, read_settings

PATIENCE = Patience(180.0)
"""How long a trial may take, with all that a process does before it begins."""

CAPACITY = Capacity(workers=1, slots=4, batch_tokens=1024, queue=8)
ERRORS = {error.code: error for error in (BundleError, DamagedBundle, UnsealedBundle)}
FIRST_TO_GO = "1000"
"""What Linux is told of the child, for when memory runs out."""


def admit(folder: Path, settings: Settings) -> str:
    """Return the digest of a folder whose bundle a child could load and try.

    Blocks for seconds; raises `BundleError`, which names the bundle.
    """
    with naming(folder):
        told, status, patient = _ask(folder, settings)
        if "digest" in told:
            return str(told["digest"])
        if "error" in told:
            raise ERRORS[told["error"]](told["message"], told["detail"])
        if not patient:
            raise DamagedBundle(f"its trial was broken off; it may take {PATIENCE.seconds:.0f} s")
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        raise DamagedBundle(
            f"the process that tried it ended with {how}; it may take up to "
            f"{settings.max_bundle_memory} bytes of memory (INTERLINEA_MAX_BUNDLE_MEMORY)"
        )


def _ask(folder: Path, settings: Settings) -> tuple[Mapping[str, Any], int, bool]:
    """Return what a child says of a folder, its exit status, and whether it was waited for."""
    lost: list[bool] = []
    with subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, str(folder.absolute())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(settings),
    ) as child:

        def stop() -> None:
            lost.append(True)
            child.kill()

        with PATIENCE.bounded(stop):
            said, _ = child.communicate()
    with suppress(ValueError):
        told = json.loads(said)
        return told, child.returncode, not lost
    return {}, child.returncode, not lost


def _environment(settings: Settings) -> dict[str, str]:
    """Return what the child must know: its own settings, and where packages lie."""
    others = {name: said for name, said in os.environ.items() if not name.startswith(PREFIX)}
    own = {
        f"{PREFIX}{name}".upper(): str(getattr(settings, name))
        for name in ("max_bundle_bytes", "max_bundle_memory", "slots", "max_beam")
    }
    return {**others, **own, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _confine(memory: int) -> None:
    """Bound what this process may take; where something cannot be bounded, it is not."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO, encoding="ascii")
    seconds = int(PATIENCE.seconds)
    for what, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))


def _try(folder: Path) -> dict[str, Any]:
    try:
        settings = read_settings()
        _confine(settings.max_bundle_memory)
        translator = open_folder(folder, settings, CAPACITY, HOST)
    except InvalidSettings as error:
        return {"error": BundleError.code, "message": f"it cannot be tried: {error}", "detail": {}}
    except BundleError as error:
        return {"error": error.code, "message": error.message, "detail": error.detail}
    return {"digest": translator.digest}


def main() -> None:
    """Be the child."""
    said = json.dumps(_try(Path(sys.argv[1])), default=str)
    sys.stdout.write(said)
    sys.stdout.flush()
    os._exit(0)  # nothing of it is needed any more


if __name__ == "__main__":
    main()
