"""Quality against speed: our bundle, and a Transformer of its size trained by the same recipe.

The Transformer is served twice: filled into CTranslate2, as its users would have it, and by
our engine, from the same weights. All translate the same dev set from prepared ids, in int8,
greedy and with a beam of four. BLEU is sacreBLEU's, speed sentences a second, the median of
interleaved rounds. A text is one sentence here and nothing in it is kept, so that BLEU of our
bundle may differ a little from its card's, which is of the whole service.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import ctranslate2
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks import ctranslate, filled, interleave, ours, report, results
from benchmarks.interleave import Candidate
from model_export import draft, scores
from model_export.model import Seq2Seq
from model_export.recipe import read_recipe
from model_export.run import Run
from model_export.subwords import EOS
from model_export.train import load_model
from service import cores
from service.bundle import Bundle
from service.tokenizer import Tokenizer

OURS = "fr-en"
RECIPE = Path(f"model_export/recipes/{OURS}-transformer.toml")
BEAMS = (1, 4)
AT_ONCE = 64
QUICK_SENTENCES = 200
EFFORT, QUICK_EFFORT = interleave.Effort(5, 0.0), interleave.Effort(1, 0.0)
Tokens = list[list[int]]


@dataclass(frozen=True, slots=True)
class Texts:
    """The dev set: sources, and references in a language."""

    sources: Sequence[str]
    references: Sequence[str]
    language: str


@dataclass(frozen=True, slots=True)
class Point:
    """What one way to serve reaches with one beam size; `cut` translations came to no end."""

    name: str
    beam: int
    bleu: float
    sentences_per_second: float
    cut: int


class Served:
    """A bundle on our engine."""

    def __init__(self, bundle: Bundle, texts: Texts) -> None:
        manifest = bundle.manifest
        source = Tokenizer(bundle.path(manifest.source.tokenizer), manifest.source.joiner)
        self._target = Tokenizer(bundle.path(manifest.target.tokenizer), manifest.target.joiner)
        self._engine = ours.Ours(bundle, ours.capacity())
        self._sources = [(*source.encode(text).ids, source.eos) for text in texts.sources]

    def translate(self, beam: int) -> Tokens:
        """Return ids of every source, with `</s>` unless they were cut."""
        made = self._engine.search(self._sources, beam)
        return [list(path.tokens) for path in made]

    def text(self, tokens: Sequence[int]) -> str:
        """Return what ids spell."""
        return self._target.decode(tokens).text


class Filled:
    """The Transformer of a run in CTranslate2, int8."""

    def __init__(
        self, run: Run, model: Seq2Seq, texts: Texts, folder: Path, layout: ctranslate.Layout
    ) -> None:
        filled.save(model, folder)
        source, self._target = run.tokenizers()
        self._sources = [
            filled.spell([*source.encode(text).ids, source.eos]) for text in texts.sources
        ]
        self._translator = ctranslate2.Translator(
            str(folder),
            compute_type="int8",
            inter_threads=layout.batches,
            intra_threads=layout.threads,
        )

    def translate(self, beam: int) -> Tokens:
        """Return ids of every source, with `</s>` unless they were cut.

        The longest sources come first, in groups as large as a batch, as CTranslate2 would order
        them itself. So each group has a limit of its own, as each sentence of ours has, and all
        wait in the library's queue at once.
        """
        order = sorted(range(len(self._sources)), key=lambda i: -len(self._sources[i]))
        groups = [order[at : at + AT_ONCE] for at in range(0, len(order), AT_ONCE)]
        asked = [self._ask([self._sources[i] for i in group], beam) for group in groups]
        made: dict[int, list[int]] = {}
        for group, answers in zip(groups, asked, strict=True):
            for i, answer in zip(group, answers, strict=True):
                made[i] = filled.read(answer.result().hypotheses[0])
        return [made[i] for i in range(len(order))]

    def _ask(self, sources: Sequence[Sequence[str]], beam: int) -> Any:
        """Have a batch translated, the longest source first; return results to wait for."""
        return self._translator.translate_batch(
            sources,
            asynchronous=True,
            beam_size=beam,
            min_decoding_length=0,
            max_decoding_length=ours.limit(len(sources[0]), draft.LIMITS.target_tokens),
            return_end_token=True,
        )

    def text(self, tokens: Sequence[int]) -> str:
        """Return what ids spell."""
        return self._target.decode(tokens).text


def run(quick: bool) -> None:
    """Measure, print and write `results/record.json` and `results/record.png`."""
    report.show_machine()
    data = Path(os.environ.get("INTERLINEA_DATA", "data"))
    recipe = read_recipe(RECIPE)
    trained = Run(
        recipe, data, Path(os.environ.get("INTERLINEA_RUNS", "runs")) / recipe.bundle.name
    )
    name = recipe.evaluation.translation[0]
    pairs = trained.pairs([name])
    pairs = pairs[:: max(1, len(pairs) // QUICK_SENTENCES)] if quick else pairs
    texts = Texts(
        [pair.source for pair in pairs],
        [pair.target for pair in pairs],
        recipe.bundle.target.code,
    )
    bundle, model = ours.shipped(OURS), load_model(trained)
    with tempfile.TemporaryDirectory() as folder:
        ways = ways_to_serve(bundle, trained, model, texts, Path(folder))
        points = [
            point
            for beam in BEAMS
            for point in measure(ways, texts, beam, QUICK_EFFORT if quick else EFFORT)
        ]
    header = ["", "beam", "BLEU", "sentences/s", "cut"]
    rows = [
        [p.name, str(p.beam), f"{p.bleu:.2f}", report.figure(p.sentences_per_second), str(p.cut)]
        for p in points
    ]
    report.show_table("Quality against speed", header, rows)
    sizes = {
        "Interlinea": bundle.manifest.parameters,
        "the Transformer": sum(p.numel() for p in model.parameters()),
    }
    content = {
        "set": trained.set_name(name),
        "sentences": len(pairs),
        "parameters": sizes,
        "points": [asdict(point) for point in points],
    }
    path = results.write("record", content)
    draw(points, path.with_suffix(".png"))


def ways_to_serve(
    bundle: Bundle, trained: Run, model: Seq2Seq, texts: Texts, folder: Path
) -> dict[str, Served | Filled]:
    """Return our bundle and each way to serve a trained model, whose graphs are written anew."""
    draft.write(trained, model, ("int8",))
    ways: dict[str, Served | Filled] = {
        "Interlinea": Served(bundle, texts),
        "the Transformer on Interlinea": Served(draft.open_draft(trained, "int8"), texts),
    }
    for layout in ctranslate.Layout.best_of(cores.usable()):
        way = f"the Transformer on CTranslate2, threads {layout}"
        ways[way] = Filled(trained, model, texts, folder / str(layout), layout)
    return ways


def measure(
    ways: dict[str, Served | Filled], texts: Texts, beam: int, effort: interleave.Effort
) -> list[Point]:
    """Translate the set with every way in turn."""
    candidates = [Candidate(name, partial(way.translate, beam)) for name, way in ways.items()]
    report.progress(f"beam {beam}")
    samples = interleave.measure(candidates, effort)
    return [
        _point(name, beam, way, texts, len(texts.sources) / median(samples[name]))
        for name, way in ways.items()
    ]


def _point(name: str, beam: int, way: Served | Filled, texts: Texts, speed: float) -> Point:
    made = way.translate(beam)
    written = [way.text(tokens) for tokens in made]
    bleu = scores.score(written, texts.references, texts.language).bleu
    cut = sum(EOS not in tokens for tokens in made)
    return Point(name, beam, round(bleu, 2), round(speed, 1), cut)


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw BLEU against sentences a second; a line joins the beams of a way."""
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for name in dict.fromkeys(point.name for point in points):
        own = [point for point in points if point.name == name]
        axes.plot([p.sentences_per_second for p in own], [p.bleu for p in own], "o-", label=name)
        for point in own:
            at = (point.sentences_per_second, point.bleu)
            axes.annotate(
                f"beam {point.beam}", at, fontsize=7, xytext=(4, 4), textcoords="offset points"
            )
    axes.set(xlabel="sentences a second", ylabel="BLEU", xscale="log")
    axes.margins(0.12)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
