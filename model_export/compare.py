"""One table over mechanisms: the same small sample, the same budget, one model each.

Every variant of `VARIANTS` is the recipe's model with other parts. Subwords, corpus and
links are made once; each variant is then trained, exported and measured by the code that
would serve it; `compared` shows what came of it.
"""

import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model_export import beginning, config, corpus, draft, evaluate, scores, speeds
from model_export import train as training
from model_export.config import Model
from model_export.run import CORPUS, Run
from model_export.wait import patient, wait
from service.options import Options
from service.translation import Matrix
from service.translator import Translator

SENTENCES = (
    "Who are you?",
    "How was your day?",
    "I would like a cup of tea, please.",
    "The old man who lives next door has two black cats.",
)
LENGTHS = (4, 7, 10, 14, 19)
"""Bounds of the classes of source length, in words; the last class is open.

Each set has classes of its own: long sentences of one and short ones of another differ in more than
their length.
"""

FEWEST = 20
"""Sentences that a class needs for a BLEU of its own."""

ENTROPY_SENTENCES = 300
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Variant:
    """A mechanism: its name, and the parts that it is made of.

    `layers` are those of a Transformer's encoder and decoder, so few that it has about a third
    more parameters than "general"; the table says how many each has.
    """

    name: str
    encoder: str = "lstm"
    decoder: str = "gru"
    attention: str = "general"
    input_feeding: bool = False
    alignment_head: bool = True
    layers: tuple[int, int] = (1, 1)


VARIANTS = (
    Variant("none", attention="none"),
    Variant("dot", attention="dot"),
    Variant("general"),
    Variant("general, no alignment head", alignment_head=False),
    Variant("general, input feeding", input_feeding=True),
    Variant("concat", attention="concat"),
    Variant("concat, input feeding", attention="concat", input_feeding=True),
    Variant("additive", attention="additive"),
    Variant("local-p", attention="local-p"),
    Variant("multi-head", attention="multi-head"),
    Variant("GRU to GRU, general", encoder="gru"),
    Variant("LSTM to LSTM, general", decoder="lstm"),
    Variant("Transformer to GRU, general", encoder="transformer"),
    Variant("Transformer", "transformer", "transformer", "multi-head", layers=(2, 1)),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a variant; AER in percent, entropy in nats, speeds in tokens a second.

    BLEU and chrF are of the recipe's first set, `bleu_by_length` maps every set to its classes.
    """

    name: str
    bleu: float
    chrf: float
    cross_aer: float | None
    head_aer: float | None
    parameters: int
    training_speed: float
    serving_speed: float
    entropy: float | None
    bleu_by_length: Mapping[str, Mapping[str, float]]
    matrices: Sequence[Mapping[str, Any]]


def sizes_of(base: Model, variant: Variant) -> Model:
    """Return the recipe's model with the parts of a variant; raises `RecipeError`."""
    multi_head = variant.attention == "multi-head"
    model = replace(
        base,
        encoder=replace(base.encoder, kind=variant.encoder, layers=variant.layers[0]),
        decoder=replace(
            base.decoder,
            kind=variant.decoder,
            input_feeding=variant.input_feeding,
            layers=variant.layers[1],
        ),
        attention=replace(
            base.attention,
            kind=variant.attention,
            heads=base.attention.heads if multi_head else 1,
        ),
        alignment_head=base.alignment_head if variant.alignment_head else 0,
    )
    config.check(model)
    return model


def compare(run: Run, names: Sequence[str], device: torch.device, report: Report) -> list[Measured]:
    """Train and measure the variants of these names, all if there are none.

    A variant that was measured before is not trained again, and one whose training was
    interrupted goes on; `results.json` in the run's folder holds what was measured. Speeds
    are measured side by side, at the end. Raises `RecipeError` for a name that no
    variant has, and for results of another recipe or corpus.
    """
    strangers = set(names) - {variant.name for variant in VARIANTS}
    if strangers:
        raise config.RecipeError(f"there is no mechanism called {', '.join(sorted(strangers))}")
    known = {row["name"]: row for row in _read(run)}
    for variant in VARIANTS:
        if (names and variant.name not in names) or variant.name in known:
            continue
        report(variant.name)
        known[variant.name] = asdict(_measure(_own(run, variant), variant, device))
        _write(run, list(known.values()))
    there = [variant for variant in VARIANTS if variant.name in known]
    if any(math.isnan(row["serving_speed"]) for row in known.values()):
        report("speeds")
        runs = [_own(run, variant) for variant in there]
        learned, served = speeds.training(runs, device), speeds.serving(runs)
        for variant, training_speed, serving_speed in zip(there, learned, served, strict=True):
            known[variant.name].update(training_speed=training_speed, serving_speed=serving_speed)
        _write(run, list(known.values()))
    return [Measured(**known[variant.name]) for variant in there]


def _results(run: Run) -> Path:
    return run.path("results.json")


def _read(run: Run) -> list[dict[str, Any]]:
    path = _results(run)
    if not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["of"] != _digest(run):
        raise config.RecipeError(f"{path} is of another recipe or corpus: move it away")
    return list(found["rows"])


def _write(run: Run, rows: Sequence[Mapping[str, Any]]) -> None:
    results = json.dumps({"of": _digest(run), "rows": rows}, ensure_ascii=False, indent=1)
    _results(run).write_text(results, encoding="utf-8")


def _digest(run: Run) -> str:
    return beginning.digest(run, asdict(run.recipe))


def _own(run: Run, variant: Variant) -> Run:
    """Return the run of a variant, on the common corpus."""
    folder = run.folder / "".join(c if c.isalnum() else "-" for c in variant.name.lower())
    recipe = replace(run.recipe, model=sizes_of(run.recipe.model, variant))
    own = Run(recipe, run.data, folder)
    for name in CORPUS:
        shutil.copyfile(run.path(name), own.path(name))
    return own


def _measure(run: Run, variant: Variant, device: torch.device) -> Measured:
    training.train(run, device, resume=True)
    draft.write(run, training.load_model(run), ("int8",))
    translator = Translator(draft.open_draft(run, "int8"), evaluate.CAPACITY)
    sets = {run.set_name(name): run.pairs([name]) for name in run.recipe.evaluation.translation}
    texts = {name: _translate(translator, pairs) for name, pairs in sets.items()}
    kinds = {attention.kind for attention in translator.manifest.model.attention}
    language = translator.manifest.target.code
    first, pairs = next(iter(sets.items()))
    reached = scores.score(texts[first], [pair.target for pair in pairs], language)
    found = Measured(
        name=variant.name,
        bleu=round(reached.bleu, 2),
        chrf=round(reached.chrf, 2),
        cross_aer=_aer(run, translator, "cross") if "cross" in kinds else None,
        head_aer=_aer(run, translator, "alignment") if "alignment" in kinds else None,
        parameters=sum(p.numel() for p in training.load_model(run).parameters()),
        training_speed=math.nan,
        serving_speed=math.nan,
        entropy=_entropy(translator, pairs) if "cross" in kinds else None,
        bleu_by_length={
            name: by_length(pairs, texts[name], language) for name, pairs in sets.items()
        },
        matrices=_matrices(translator) if "cross" in kinds else [],
    )
    translator.close(0.0)
    return found


def _translate(translator: Translator, pairs: Sequence[corpus.Pair]) -> list[str]:
    """Translate all sources; none is split, or a long one would count as short ones."""
    options = Options(attention="none", split_sentences=False, deadline=patient())
    return [one.text for one in wait(translator.translate([p.source for p in pairs], options))]


def _aer(run: Run, translator: Translator, kind: str) -> float | None:
    """Return the AER by the best rule of the tuning set, over the other sets; None without gold."""
    options = run.recipe.evaluation
    if not options.alignment:
        return None
    tuning = evaluate.attend(translator, run.gold(options.tuning))
    rule = evaluate.tune(tuning, kind, ("mutual-best", "strong-share", "best-source"))
    others = [name for name in options.alignment if name != options.tuning] or [options.tuning]
    rows = [row for name in others for row in run.gold(name)]
    score = evaluate.alignment_score(evaluate.attend(translator, rows), rule)
    return round(float(score.aer), 2)


def _entropy(translator: Translator, pairs: Sequence[corpus.Pair]) -> float:
    """Return the mean entropy of the cross-attention's rows, in nats: of every head's own.

    The mean of several heads is more spread out than any of them.
    """
    sources = [pair.source for pair in pairs[:: max(1, len(pairs) // ENTROPY_SENTENCES)]]
    options = Options(attention="cross", heads=_heads(translator) > 1, deadline=patient())
    made = wait(translator.translate(sources, options))
    best = [s.best for one in made for s in one.sentences]
    rows = [_row_entropies(np.stack(one.heads) if one.heads else one.attention) for one in best]
    return round(float(np.concatenate([one.ravel() for one in rows]).mean()), 3)


def _heads(translator: Translator) -> int:
    return next(a.heads for a in translator.manifest.model.attention if a.kind == "cross")


def _row_entropies(matrix: Matrix | None) -> NDArray[np.float64]:
    assert matrix is not None
    weights = matrix.astype(np.float64)
    logs = np.log(np.where(weights > 0, weights, 1.0))
    entropies: NDArray[np.float64] = -(weights * logs).sum(axis=-1)
    return entropies


def by_length(
    pairs: Sequence[corpus.Pair], texts: Sequence[str], language: str
) -> dict[str, float]:
    """Return BLEU by the class of the source's length in words."""
    classes: dict[str, list[tuple[str, str]]] = {}
    for pair, text in sorted(zip(pairs, texts, strict=True), key=lambda one: _words(one[0])):
        classes.setdefault(_length_class(_words(pair)), []).append((text, pair.target))
    return {
        name: round(scores.score([t for t, _ in rows], [r for _, r in rows], language).bleu, 2)
        for name, rows in classes.items()
        if len(rows) >= FEWEST
    }


def _words(pair: corpus.Pair) -> int:
    return len(pair.source.split())


def _length_class(words: int) -> str:
    low = 1
    for bound in LENGTHS:
        if words <= bound:
            return f"{low}–{bound}"
        low = bound + 1
    return f"{low}–"


def _matrices(translator: Translator) -> list[dict[str, object]]:
    options = Options(attention="cross", split_sentences=False)
    made = wait(translator.translate(list(SENTENCES), options))
    found = []
    for translation in made:
        (sentence,) = translation.sentences
        found.append(
            {
                "source": [token.text or "</s>" for token in sentence.source.tokens],
                "target": [token.text or "</s>" for token in sentence.best.target.tokens],
                "cross": np.asarray(sentence.best.attention).round(4).tolist(),
            }
        )
    return found
