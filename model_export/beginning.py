"""What a training was begun with, so that nobody goes on with what is left of another.

A note in the run's folder holds a digest of all that decides the weights: the network, the
schedule, the variety, the corpus as ids, the dev set that chooses, and the weights to start from.
A checkpoint beside another note, or beside none, is of another training.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

from model_export.run import CORPUS, Run

NOTE = "begun"


def interrupted(run: Run, start: Path | None = None) -> bool:
    """Tell whether the checkpoint is of the very training that would begin now, from `start`."""
    note = run.path(NOTE)
    if not (run.checkpoint.is_file() and note.is_file()):
        return False
    return note.read_text(encoding="ascii") == _training(run, start)


def begin(run: Run, start: Path | None = None) -> None:
    """Forget the weights and the log of an earlier training, and note what begins now."""
    now = _training(run, start)
    for path in (run.path(NOTE), run.checkpoint, run.best, run.path("log.jsonl")):
        path.unlink(missing_ok=True)
    run.forget_former()
    run.path(NOTE).write_text(now, encoding="ascii")


def digest(run: Run, facts: Mapping[str, object]) -> str:
    """Return what tells these facts and the encoded corpus from others."""
    whole = sha256(json.dumps(facts, sort_keys=True).encode())
    for name in CORPUS:
        whole.update(run.path(name).read_bytes())
    return whole.hexdigest()


def _training(run: Run, start: Path | None) -> str:
    recipe = run.recipe
    unseen = replace(recipe.training, watched=(), checkpoint_minutes=0.0)  # no weight knows of them
    facts = {
        "model": asdict(recipe.model),
        "training": asdict(unseen),
        "variety": asdict(recipe.variety),
        "max_tokens": recipe.corpus.max_tokens,
        "dev": [(pair.source, pair.target) for pair in run.dev_sample()],
        "start": sha256(start.read_bytes()).hexdigest() if start else "",
    }
    return digest(run, facts)
