"""An exported folder before it is sealed: opened by explicit paths, with a manifest in memory.

`verify` and `evaluate` run the very service code on it; only `seal` writes `bundle.json`.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model_export import calibration, config, export, known
from model_export.model import Seq2Seq
from model_export.run import Run
from model_export.subwords import BOS, EOS, PAD
from service.bundle import Bundle, describe_file, needed
from service.keeping import FOR_NUMBERS, STAND_INS
from service.manifest import FORMAT, Bounds, Language, Limits, LinkRule, Manifest, Model, parse

GRAPHS = "graphs.json"
UNTUNED = Bounds(0.0, 0.0)
LIMITS = Limits(source_tokens=400, target_tokens=800, source_multiple=export.SOURCE_MULTIPLE)


class DraftError(Exception):
    """There is nothing exported to open."""


def folder(run: Run, precision: str) -> Path:
    """Return the folder that holds the graphs of one precision."""
    return run.path(precision)


def write(
    run: Run, model: Seq2Seq, precisions: Sequence[export.Precision]
) -> dict[export.Precision, Path]:
    """Export a model in some precisions, complete but unsealed; return the folders."""
    scales = calibration.calibrate(run, model)
    folders = {precision: folder(run, precision) for precision in precisions}
    for precision, place in folders.items():
        export.export(model, place, precision, scales)
        write_model(run, precision, export.describe(model, precision, scales))
    return folders


def write_model(run: Run, precision: str, described: Mapping[str, Any]) -> None:
    """Complete an exported folder: its description, the subword models and the known words."""
    place = folder(run, precision)
    special = {"pad": PAD, "bos": BOS, "eos": EOS}
    text = json.dumps({**described, "special": special, "limits": asdict(LIMITS)}, indent=1)
    (place / GRAPHS).write_text(text + "\n", encoding="utf-8")
    shutil.copyfile(run.source_model, place / "source.model")
    shutil.copyfile(run.target_model, place / "target.model")
    if (words := known.file(run)) is None:
        (place / known.FILE).unlink(missing_ok=True)
    else:
        shutil.copyfile(words, place / known.FILE)


def open_draft(
    run: Run, precision: str, link_rule: LinkRule | None = None, bounds: Bounds = UNTUNED
) -> Bundle:
    """Return an exported folder as a bundle that was not sealed yet.

    Without a link rule it links every word to its best source, by the first attention.
    """
    place = folder(run, precision)
    path = place / GRAPHS
    if not path.is_file():
        raise DraftError(f"{place} holds no exported graphs: run `export` first")
    model = parse(Model, json.loads(path.read_text(encoding="utf-8")), GRAPHS)
    recipe, keeping = run.recipe.bundle, run.recipe.keeping
    manifest = Manifest(
        format=FORMAT,
        name=recipe.name,
        version="unsealed",
        licence=recipe.licence,
        source=_language(recipe.source, "source.model"),
        target=_language(recipe.target, "target.model"),
        architecture=architecture(run.recipe.model),
        parameters=0,
        sizes=asdict(run.recipe.model),
        model=model,
        link_rule=link_rule or _untuned(model),
        warn_from=bounds,
        stand_ins=STAND_INS if keeping.stand_ins else "",
        number_stand_ins=FOR_NUMBERS if keeping.stand_ins and keeping.numbers else "",
        known_words=known.FILE if (place / known.FILE).is_file() else "",
        data=(),
        metrics=(),
        verification={},
        versions={},
        files=(),
    )
    return Bundle(place, manifest)


def checksums(run: Run, precision: str) -> dict[str, str]:
    """Return the SHA-256 of every file that a draft is made of, to tell what was measured."""
    bundle = open_draft(run, precision)
    return {name: describe_file(bundle.folder, name).sha256 for name in needed(bundle.manifest)}


def architecture(sizes: config.Model) -> str:
    """Return what the network is, in words."""
    encoder, decoder, attention = sizes.encoder, sizes.decoder, sizes.attention
    way = "" if encoder.kind == "transformer" else "bidirectional "
    parts = [
        f"{encoder.layers}-layer {way}{NAMES[encoder.kind]} encoder",
        f"{decoder.layers + bool(decoder.top)}-layer {NAMES[decoder.kind]} decoder",
        "no attention" if attention.kind == "none" else f"{attention.kind} attention",
        *(["input feeding"] if decoder.input_feeding else []),
        *(["alignment head"] if sizes.alignment_head else []),
    ]
    return ", ".join(parts)


NAMES = {"lstm": "LSTM", "gru": "GRU", "transformer": "Transformer"}


def _untuned(model: Model) -> LinkRule:
    kinds = [attention.kind for attention in model.attention]
    return LinkRule(kinds[-1], "mutual-best", 0.3) if kinds else LinkRule("none", "none", 0.0)


def _language(side: config.Language, tokenizer: str) -> Language:
    return Language(side.code, side.name, tokenizer, side.joiner, side.words)
