"""Speeds of several models, measured side by side so that a busy machine slows all of them.

Both functions give target tokens a second, a figure for each run: the median of rounds in
which all take their turn.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from model_export import draft, evaluate
from model_export.run import Run
from model_export.subwords import PAD
from model_export.train import Trainer
from model_export.wait import patient, wait
from service.options import Options
from service.translator import Translator

ROUNDS, SENTENCES, BATCHES = 5, 500, 8
Timed = TypeVar("Timed")


def training(runs: Sequence[Run], device: torch.device) -> list[float]:
    """Return how fast each learns: fresh models, the same batches of the first run's corpus."""
    trainers = [Trainer(_unwatched(run), device) for run in runs]
    for one in trainers:
        one.bf16 = trainers[0].bf16
    batches = list(itertools.islice(trainers[0].epoch_batches(), BATCHES))
    tokens = sum(int((batch.target_out != PAD).sum()) for batch in batches)

    def learn(trainer: Trainer) -> float:
        start = time.perf_counter()
        for batch in batches:
            trainer.train_step(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return tokens / (time.perf_counter() - start)

    return _medians(learn, trainers)


def serving(runs: Sequence[Run]) -> list[float]:
    """Return how fast each int8 draft translates the first sentences of the first set."""
    translators = [Translator(draft.open_draft(run, "int8"), evaluate.CAPACITY) for run in runs]
    pairs = runs[0].pairs(runs[0].recipe.evaluation.translation[:1])
    sources = [pair.source for pair in pairs[:SENTENCES]]

    def translate(translator: Translator) -> float:
        options = Options(attention="none", split_sentences=False, deadline=patient())
        start = time.perf_counter()
        made = wait(translator.translate(sources, options))
        tokens = sum(len(s.best.target.tokens) for one in made for s in one.sentences)
        return tokens / (time.perf_counter() - start)

    found = _medians(translate, translators)
    for translator in translators:
        translator.close(0.0)
    return found


def _medians(speed: Callable[[Timed], float], candidates: Sequence[Timed]) -> list[float]:
    """Return the median speed of each; a first round warms up and does not count."""
    rounds = [[speed(one) for one in candidates] for _ in range(1 + ROUNDS)]
    return [round(statistics.median(column)) for column in zip(*rounds[1:], strict=True)]


def _unwatched(run: Run) -> Run:
    """Return the run without the pairs whose attention is written down while it trains."""
    options = replace(run.recipe.training, watched=())
    return Run(replace(run.recipe, training=options), run.data, run.folder)
