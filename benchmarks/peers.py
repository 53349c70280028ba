"""The engine against what one would pick instead: same vocabulary, same steps, in one process.

Every candidate decodes the same random sentences of 12 tokens and `</s>` to exactly 13
tokens. The peers' Transformers have random weights and no more parameters than our bundle;
eager PyTorch and the plain loop run our own network. Every batch is one call.
"""

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import ctranslate, fixed, interleave, machine, ours, report, results, transformer
from benchmarks.eager import Eager
from benchmarks.generate import Generate
from benchmarks.interleave import Candidate, Effort, Samples
from benchmarks.plain_loop import PlainLoop
from benchmarks.report import Bar
from service import cores

SOURCE, TARGET = 12, 13
BATCHES, QUICK_BATCHES, BEAMS = (1, 8, 32, 64), (1, 32), (1, 4)
COMPUTE = ("int8", "float32")

OURS = "Interlinea"
WITHOUT = "Interlinea, head cut out"
EAGER = "PyTorch eager, our network, float32"
PLAIN = "ONNX Runtime plain loop, our graphs"
GENERATE = "transformers generate, float32"

OVER_INT8, OVER_EAGER, ATTENTION_COST = 2.0, 5.0, 0.10
EAGER_BATCH = 32


@dataclass(frozen=True, slots=True)
class Cell:
    """Beam size, batch size, and what was measured of every candidate."""

    beam: int
    batch: int
    samples: Samples

    def speed(self, name: str) -> float:
        """Tokens a second, by the median."""
        return self.batch * TARGET / statistics.median(self.samples[name])

    def ahead(self, name: str) -> float:
        """How many times faster we are, by the median of the rounds' ratios."""
        return interleave.ratio(self.samples[name], self.samples[OURS])

    def best(self, compute: str, attention: bool) -> str:
        """Return the name of CTranslate2's better thread layout."""
        names = [_name(compute, layout, attention) for layout in _layouts()]
        return interleave.quickest(self.samples, names)


class Peers:
    """All candidates, loaded once; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        bundle, threads = ours.shipped(), cores.usable()
        manifest = bundle.manifest
        self.special = manifest.model.special
        with_head = ours.Ours(bundle, ours.capacity())
        without_head = ours.Ours(bundle, ours.capacity(), attention=False)
        self.engines = {
            OURS: self._stack.enter_context(with_head),
            WITHOUT: self._stack.enter_context(without_head),
        }
        self.pieces = (with_head.source_pieces, with_head.target_pieces)
        shape = transformer.small(max(self.pieces))
        self.parameters = {OURS: manifest.parameters}
        self.parameters["CTranslate2"] = ctranslate.save_model(shape, folder)
        self.translators = {
            (compute, layout): ctranslate.CTranslate2(folder, compute, layout)
            for compute in COMPUTE
            for layout in _layouts()
        }
        self.generate = Generate(shape, self.special, threads)
        self.parameters["transformers"] = self.generate.parameters
        self.eager = Eager(manifest.sizes, self.pieces, self.special, threads)
        self.plain = PlainLoop(bundle, threads)

    def __enter__(self) -> "Peers":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def candidates(self, beam: int, batch: int) -> list[Candidate]:
        """Return every candidate with its work for one call."""
        least = min(self.pieces)
        sources = fixed.sources(batch, SOURCE, least, self.special.eos)
        spelled = ctranslate.spell(sources)
        mine = [
            Candidate(name, partial(engine.fixed, sources, TARGET, beam))
            for name, engine in self.engines.items()
        ]
        theirs = [
            Candidate(
                _name(compute, layout, attention),
                partial(translator.fixed, spelled, TARGET, beam, attention),
            )
            for (compute, layout), translator in self.translators.items()
            for attention in (False, True)
        ]
        return [
            *mine,
            *theirs,
            Candidate(GENERATE, partial(self.generate.fixed, sources, TARGET, beam)),
            Candidate(EAGER, partial(self.eager.fixed, sources, TARGET, beam)),
            Candidate(PLAIN, partial(self.plain.fixed, sources, TARGET, beam)),
        ]


def run(quick: bool) -> None:
    """Measure, print and write `results/peers.json`."""
    report.show_machine()
    effort = interleave.QUICK if quick else interleave.FULL
    with tempfile.TemporaryDirectory() as folder, Peers(Path(folder)) as peers:
        cells = []
        for beam in BEAMS:
            for batch in QUICK_BATCHES if quick else BATCHES:
                report.progress(f"beam {beam}, {batch} sentences at once")
                samples = interleave.measure(peers.candidates(beam, batch), effort)
                cells.append(Cell(beam, batch, samples))
            _show([cell for cell in cells if cell.beam == beam])
        parameters = dict(peers.parameters)
    bars = judge(cells)
    report.show_bars(bars)
    results.write("peers", as_json(cells, bars, effort, parameters))


def judge(cells: Sequence[Cell]) -> list[Bar]:
    """Hold every cell against the promises.

    Our attention is on and CTranslate2's is off; its better layout counts.
    """
    bars = []
    for cell in cells:
        where = f"{_search(cell.beam)}, batch {cell.batch}"
        against = cell.ahead(cell.best("int8", attention=False))
        bars.append(Bar(f"times CTranslate2 int8, {where}", against, OVER_INT8))
    for cell in cells:
        if cell.batch == EAGER_BATCH:
            where = f"{_search(cell.beam)}, batch {cell.batch}"
            bars.append(Bar(f"times PyTorch eager, {where}", cell.ahead(EAGER), OVER_EAGER))
    for cell in cells:
        where = f"{_search(cell.beam)}, batch {cell.batch}"
        cost = 1 / cell.ahead(WITHOUT) - 1
        bars.append(Bar(f"cost of attention, {where}", cost, ATTENTION_COST, at_most=True))
    return bars


def as_json(
    cells: Sequence[Cell], bars: Sequence[Bar], effort: Effort, parameters: Mapping[str, int]
) -> dict[str, object]:
    """Return all figures for the file."""
    return {
        "source_tokens": SOURCE + 1,
        "target_tokens": TARGET,
        "rounds": effort.rounds,
        "parameters": dict(parameters),
        "versions": machine.versions("ctranslate2", "transformers", "torch"),
        "cells": [_cell_as_json(cell) for cell in cells],
        "bars": [bar.as_json() for bar in bars],
    }


def _cell_as_json(cell: Cell) -> dict[str, object]:
    return {
        "beam": cell.beam,
        "batch": cell.batch,
        "candidates": {
            name: {
                "tokens_per_second": round(cell.speed(name), 1),
                "milliseconds": [round(1000 * seconds, 3) for seconds in samples],
                "interlinea_times_faster": round(cell.ahead(name), 3),
            }
            for name, samples in cell.samples.items()
        },
    }


def _show(cells: Sequence[Cell]) -> None:
    """Print one beam size: tokens/s, and how many times faster we are."""
    header = ["tokens/s (ours is × faster)", *(f"batch {cell.batch}" for cell in cells)]
    rows = [
        [name, *(f"{cell.speed(name):,.0f} ({cell.ahead(name):.2f})" for cell in cells)]
        for name in cells[0].samples
    ]
    title = f"{_search(cells[0].beam)}, {SOURCE} + 1 source tokens to {TARGET} target tokens"
    report.show_table(title, header, rows)


def _search(beam: int) -> str:
    return "greedy" if beam == 1 else f"beam {beam}"


def _name(compute: str, layout: ctranslate.Layout, attention: bool) -> str:
    return f"CTranslate2 {compute}, threads {layout}{', attention' if attention else ''}"


def _layouts() -> list[ctranslate.Layout]:
    return ctranslate.Layout.best_of(cores.usable())
