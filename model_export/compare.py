"""One table over mechanisms: the same small sample, the same budget, one model each.

Every variant of `VARIANTS` is the recipe's model with other parts. Subwords, corpus and
links are made once; each variant is then trained, exported and measured by the code that
would serve it. What comes of it: a table, a plot of BLEU against source length, and a page
of the cross-attentions of the same sentences.
"""

import json
import math
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model_export import config, corpus, draft, evaluate, pictures, scores
from model_export import train as training
from model_export.config import Model
from model_export.run import Run
from model_export.wait import wait
from service.options import Options
from service.translation import Matrix, Translation
from service.translator import Translator

SHARED = ("source.model", "target.model", "corpus.npz", "links.npz", "shares.npy")
SENTENCES = (
    "Who are you?",
    "How was your day?",
    "I would like a cup of tea, please.",
    "The old man who lives next door has two black cats.",
)
LENGTHS = (4, 7, 10, 14, 19)
"""Bounds of the classes of source length, in words; the last class is open."""

FEWEST = 20
"""Sentences that a class needs for a BLEU of its own."""

TIMES = 3
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
    layers: tuple[int, int] = (1, 1)


VARIANTS = (
    Variant("none", attention="none"),
    Variant("dot", attention="dot"),
    Variant("general"),
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
    """What is known of a variant; AER in percent, entropy in nats, speeds in tokens a second."""

    name: str
    bleu: float
    chrf: float
    cross_aer: float | None
    head_aer: float | None
    parameters: int
    training_speed: float
    serving_speed: float
    entropy: float | None
    bleu_by_length: Mapping[str, float]
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
    )
    config.check(model)
    return model


def compare(run: Run, names: Sequence[str], device: torch.device, report: Report) -> list[Measured]:
    """Train and measure the variants of these names, all if there are none.

    A variant that was measured before is not trained again; `results.json` in the run's
    folder holds them all. Raises `RecipeError` for a name that no variant has.
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
        results = json.dumps(list(known.values()), ensure_ascii=False, indent=1)
        _results(run).write_text(results, encoding="utf-8")
    return [Measured(**known[one.name]) for one in VARIANTS if one.name in known]


def _results(run: Run) -> Path:
    return run.path("results.json")


def _read(run: Run) -> list[dict[str, Any]]:
    path = _results(run)
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def _own(run: Run, variant: Variant) -> Run:
    """Return the run of a variant, on the common corpus."""
    folder = run.folder / "".join(c if c.isalnum() else "-" for c in variant.name.lower())
    recipe = replace(run.recipe, model=sizes_of(run.recipe.model, variant))
    own = Run(recipe, run.data, folder)
    for name in SHARED:
        shutil.copyfile(run.path(name), own.path(name))
    return own


def _measure(run: Run, variant: Variant, device: torch.device) -> Measured:
    training.train(run, device, resume=False)
    draft.write(run, training.load_model(run), ("int8",))
    translator = Translator(draft.open_draft(run, "int8"), evaluate.CAPACITY)
    pairs = run.pairs(run.recipe.evaluation.translation)
    made, speed = _translate(translator, pairs)
    texts, references = [one.text for one in made], [pair.target for pair in pairs]
    kinds = {attention.kind for attention in translator.manifest.model.attention}
    language = translator.manifest.target.code
    reached = scores.score(texts, references, language)
    found = Measured(
        name=variant.name,
        bleu=round(reached.bleu, 2),
        chrf=round(reached.chrf, 2),
        cross_aer=_aer(run, translator, "cross") if "cross" in kinds else None,
        head_aer=_aer(run, translator, "alignment") if "alignment" in kinds else None,
        parameters=sum(p.numel() for p in training.load_model(run).parameters()),
        training_speed=_training_speed(run),
        serving_speed=round(speed),
        entropy=_entropy(translator, pairs) if "cross" in kinds else None,
        bleu_by_length=by_length(pairs, texts, language),
        matrices=_matrices(translator) if "cross" in kinds else [],
    )
    translator.close(0.0)
    return found


def _translate(
    translator: Translator, pairs: Sequence[corpus.Pair]
) -> tuple[list[Translation], float]:
    """Translate all sources; return the translations and target tokens a second, the median."""
    sources, speeds = [pair.source for pair in pairs], []
    options = Options(attention="none")
    for _ in range(TIMES):
        start = time.perf_counter()
        made = wait(translator.translate(sources, options))
        tokens = sum(len(s.best.target.tokens) for one in made for s in one.sentences)
        speeds.append(tokens / (time.perf_counter() - start))
    return made, statistics.median(speeds)


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


def _training_speed(run: Run) -> float:
    """Return target tokens a second; not a number after so few steps that none was logged."""
    lines = run.path("log.jsonl").read_text(encoding="utf-8").splitlines()
    speeds = [float(row["tokens_per_second"]) for row in map(json.loads, lines) if "token" in row]
    return round(statistics.median(speeds)) if speeds else math.nan


def _entropy(translator: Translator, pairs: Sequence[corpus.Pair]) -> float:
    """Return the mean entropy of the cross-attention's rows, in nats."""
    sources = [pair.source for pair in pairs[:: max(1, len(pairs) // ENTROPY_SENTENCES)]]
    made = wait(translator.translate(sources, Options(attention="cross")))
    rows = np.concatenate([_row_entropies(s.best.attention) for one in made for s in one.sentences])
    return round(float(rows.mean()), 3)


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


def table(rows: Sequence[Measured]) -> list[list[str]]:
    """Return the table, its header first, as text."""
    header = ["mechanism", "BLEU", "chrF", "AER cross", "AER head", "parameters"]
    header += ["training tokens/s", "serving tokens/s", "entropy"]
    return [
        header,
        *(
            [
                row.name,
                f"{row.bleu:.1f}",
                f"{row.chrf:.1f}",
                _figure(row.cross_aer, 1),
                _figure(row.head_aer, 1),
                f"{row.parameters / 1e6:.1f} M",
                _figure(row.training_speed, 0),
                f"{row.serving_speed:,.0f}",
                _figure(row.entropy, 2),
            ]
            for row in rows
        ),
    ]


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def draw(run: Run, rows: Sequence[Measured]) -> list[Path]:
    """Draw BLEU against source length, and the cross-attentions of the same sentences."""
    drawn = [pictures.save(_curves(rows), run.path("length.png"))]
    if any(row.matrices for row in rows):
        drawn.append(pictures.save(_page(rows), run.path("matrices.png")))
    return drawn


def _curves(rows: Sequence[Measured]) -> Figure:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for row in rows:
        classes = row.bleu_by_length
        bold = row.name == "none"
        axes.plot(
            list(classes), list(classes.values()), "o-", label=row.name, linewidth=3 if bold else 1
        )
    axes.set(xlabel="source length in words", ylabel="BLEU")
    axes.legend(fontsize=7)
    return figure


def _page(rows: Sequence[Measured]) -> Figure:
    """Draw a row of matrices for every mechanism that has cross-attention."""
    shown = [row for row in rows if row.matrices]
    count = len(SENTENCES)
    figure, axes = plt.subplots(
        len(shown),
        count,
        figsize=(3.4 * count, 3.1 * len(shown)),
        layout="constrained",
        squeeze=False,
    )
    for line, row in zip(axes, shown, strict=True):
        for place, found in zip(line, row.matrices, strict=True):
            pictures.draw_matrix(
                place, np.array(found["cross"]), found["source"], found["target"], row.name
            )
            place.tick_params(labelsize=6)
    return figure
