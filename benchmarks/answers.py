"""What an answer's matrix costs as JSON, beside what the model costs that made it.

A sentence's steps grow with its length and its matrix with the square of that, so both are
taken at several lengths. Costs are of one processor: the engine keeps all workers busy, and
its time is counted once for each.
"""

import statistics
from collections.abc import Mapping
from functools import partial
from typing import get_args

import numpy as np

from benchmarks import fixed, interleave, ours, report, results
from benchmarks.interleave import Candidate, Samples
from benchmarks.ours import Ours
from benchmarks.report import Bar
from service import wire
from service.schemas import MatrixForm
from service.translation import Matrix
from service.written import to_json

LENGTHS = (12, 25, 50, 100, 200)
AT_ONCE = 64
MODEL = "the model"
JUDGED: MatrixForm = "decimals"
MICRO = 1e6


def run(quick: bool) -> None:
    """Measure, print and write `results/answers.json`."""
    report.show_machine()
    effort = interleave.QUICK if quick else interleave.FULL
    with Ours(ours.shipped(), ours.capacity()) as engine:
        samples = {length: _measure(engine, length, effort) for length in LENGTHS}
        workers = engine.capacity.workers
    spent = {length: costs(found, workers) for length, found in samples.items()}
    sizes = {
        form: {length: len(written(attention(length), form)) for length in LENGTHS}
        for form in get_args(MatrixForm)
    }
    bars = [
        Bar(f"JSON / model, {length} tokens", found[JUDGED] / found[MODEL], 1.0, at_most=True)
        for length, found in spent.items()
    ]
    _show(spent)
    report.show_bars(bars)
    results.write(
        "answers",
        {
            "rounds": effort.rounds,
            "sentences_at_once": AT_ONCE,
            "microseconds_a_sentence": spent,
            "bytes_of_a_matrix": sizes,
            "bars": [bar.as_json() for bar in bars],
        },
    )


def attention(length: int) -> Matrix:
    """Return a matrix as a model gives them: rows of weights that sum to one, (T + 1, S + 1)."""
    scores = np.random.default_rng(length).normal(scale=2.0, size=(length + 1, length + 1))
    weights = np.exp(scores)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def written(weights: Matrix, form: MatrixForm) -> bytes:
    """Return a matrix as an answer holds it."""
    return to_json(wire.matrix(weights, form))


def costs(samples: Samples, workers: int) -> dict[str, float]:
    """Return microseconds of one processor a sentence: the model, and every form of a matrix."""
    shares = {MODEL: workers / AT_ONCE}
    return {
        name: round(MICRO * statistics.median(seconds) * shares.get(name, 1.0), 1)
        for name, seconds in samples.items()
    }


def _measure(engine: Ours, length: int, effort: interleave.Effort) -> Samples:
    report.progress(f"{length} tokens")
    sources = fixed.sources(AT_ONCE, length, engine.source_pieces, engine.model.special.eos)
    weights = attention(length)
    forms = [Candidate(form, partial(written, weights, form)) for form in get_args(MatrixForm)]
    model = Candidate(MODEL, partial(engine.fixed, sources, length, 1))
    return interleave.measure([model, *forms], effort)


def _show(spent: Mapping[int, Mapping[str, float]]) -> None:
    rows = [
        [f"{length} tokens", *(report.figure(found[name]) for name in found)]
        for length, found in spent.items()
    ]
    names = next(iter(spent.values()))
    report.show_table("µs a sentence, of one processor", ["", *names], rows)
