"""Writes the manifest, last: no verification, no measure, no bundle.

Verification and metrics carry the checksums of the files that they saw; a file that was
exported again since is refused.
"""

import json
import platform
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from model_export import corpus, draft, extra_texts
from model_export.card import model_card
from model_export.gains import gains
from model_export.run import Run
from service.bundle import describe_file, needed, open_bundle
from service.manifest import Bounds, LinkRule, Manifest, write_manifest

PRECISION = "int8"
LIBRARIES = ("torch", "onnx", "onnxruntime", "sentencepiece", "sacrebleu", "numpy")


class SealError(Exception):
    """The folder may not be sealed; the message says what is missing."""


def record(run: Run, name: str, facts: Mapping[str, Any], precisions: Sequence[str]) -> None:
    """Write the result of `verify` or `evaluate` with the checksums of what it saw."""
    seen = {precision: draft.checksums(run, precision) for precision in precisions}
    text = json.dumps({**facts, "files": seen}, indent=1, ensure_ascii=False)
    run.path(f"{name}.json").write_text(text + "\n", encoding="utf-8")


def read_record(run: Run, name: str) -> dict[str, Any]:
    """Read what `record` wrote; raises `SealError` if it is missing or stale."""
    path = run.path(f"{name}.json")
    if not path.is_file():
        raise SealError(f"{path} is missing: run `{name}` first")
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    seen: dict[str, dict[str, str]] = facts.pop("files")
    if PRECISION not in seen:
        raise SealError(f"`{name}` has not seen the {PRECISION} files: run it again")
    for precision, checksums in seen.items():
        if checksums != draft.checksums(run, precision):
            raise SealError(f"the {precision} files changed since `{name}`: run it again")
    return facts


def seal(run: Run, parameters: int, out: Path) -> Manifest:
    """Copy the verified int8 files to `out`, write the model card, and the manifest last."""
    verification = read_record(run, "verify")
    broken = [name for name, facts in verification.items() if not facts["holds"]]
    if broken:
        raise SealError(f"verification failed for {', '.join(broken)}")
    evaluation = read_record(run, "evaluate")
    rule = LinkRule(**evaluation["link_rule"])
    bounds = Bounds(**evaluation["warn_from"])
    drafted = draft.open_draft(run, PRECISION, rule, bounds)
    manifest = replace(
        drafted.manifest,
        parameters=parameters,
        data=tuple(training_data(run)),
        metrics=(*evaluation["metrics"], *gains(run)),
        verification=verification,
        versions=versions(),
    )
    names = _copy(drafted.folder, manifest, out)
    card = out / "MODEL_CARD.md"
    card.write_text(model_card(manifest, run.recipe), encoding="utf-8")
    files = tuple(describe_file(out, name) for name in (*names, card.name))
    whole = sha256("".join(file.sha256 for file in files).encode()).hexdigest()
    stamp = f"{datetime.now(UTC):%Y.%m.%d}+{whole[:8]}"
    manifest = replace(manifest, version=stamp, files=files)
    write_manifest(out, manifest)
    return open_bundle(out).manifest


def training_data(run: Run) -> list[dict[str, object]]:
    """Return how much of each corpus was learnt from, with licence and attribution.

    Rows have `pairs` and the `share` of them in an epoch, or `texts` and the `side` that they
    were while a model wrote the other.
    """
    pairs = corpus.training_pairs(run.data, run.recipe.corpus)
    counts = Counter(pair.corpus for pair in pairs)
    sources = run.recipe.corpus.sources
    rows: list[dict[str, object]] = [
        {"corpus": name, "pairs": count, **asdict(sources[name])}
        for name, count in counts.most_common()
    ]
    return [*rows, *_texts_of(run, "source"), *_texts_of(run, "target")]


def _texts_of(run: Run, side: str) -> list[dict[str, object]]:
    """Return how many texts of each corpus refinement took for one side, the other a machine's."""
    options = run.recipe.refinement
    if not options.steps:
        return []
    texts = extra_texts.of_source(run) if side == "source" else extra_texts.of_target(run)
    return [
        {"corpus": name, "texts": count, "side": side, **asdict(options.origins[name])}
        for name, count in Counter(one.corpus for one in texts).most_common()
    ]


def versions() -> dict[str, object]:
    """Return the versions of what made the bundle."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def _copy(source: Path, manifest: Manifest, out: Path) -> list[str]:
    names = needed(manifest)
    out.mkdir(parents=True, exist_ok=True)
    (out / "bundle.json").unlink(missing_ok=True)
    for name in names:
        shutil.copyfile(source / name, out / name)
    return names
