"""What a trained model teaches itself: its own beam search, learnt by its greedy search.

Sequence-level knowledge distillation and interpolation (Kim and Rush 2016). Of the training
pairs, the hypothesis of the beam that comes closest to the reference by chrF; of texts that
have no translation, the best hypothesis. The student is the teacher itself, trained on for a
while on the training pairs and on these (`refine`), so that greedy search finds by itself
what the beam had found.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import sacrebleu

from model_export import corpus, draft
from model_export.corpus import Encoded, Ragged
from model_export.evaluate import CAPACITY
from model_export.run import Run, load_corpus, load_ragged, save_corpus, save_ragged
from model_export.wait import wait
from service.admission import Job
from service.beam import Beam
from service.bundle import Model
from service.engine import Engine
from service.hypotheses import Source
from service.keeping import find, swap
from service.runner import Runner
from service.tokenizer import Tokenizer

FILE = "distilled.npz"
AT_ONCE = 4096
PATIENCE = 3600.0
Report = Callable[[str], None]
Ids = Sequence[int]


def distil(run: Run, report: Report) -> list[tuple[Ids, Ids]]:
    """Translate texts with the run's own int8 graphs; return ids, without special tokens."""
    taught = list(_texts(run))
    bundle = draft.open_draft(run, "int8")
    runner = Runner(bundle.path, bundle.manifest.model)
    engine = Engine(runner, CAPACITY)
    _, tokenizer = run.tokenizers()
    kept: list[tuple[Ids, Ids]] = []
    for start in range(0, len(taught), AT_ONCE):
        some = taught[start : start + AT_ONCE]
        jobs = [_job(run, bundle.manifest.model, source) for source, _ in some]
        answers = wait(engine.run(jobs, PATIENCE))
        for (source, reference), paths in zip(some, answers, strict=True):
            ended = [path.tokens[:-1] for path in paths if path.finished]
            if ended:
                kept.append((source, _closest(ended, reference, tokenizer)))
        report(f"{start + len(some)} of {len(taught)} texts")
    engine.close(0.0)
    return kept


def save(run: Run, pairs: Sequence[tuple[Ids, Ids]]) -> None:
    """Write what `refinement` reads."""
    source, target = (Ragged.of(side) for side in zip(*pairs, strict=True))
    save_ragged(run.path(FILE), source=source, target=target)


def refinement(run: Run) -> Run:
    """Return a run that goes on from `run` with the distilled pairs, in a folder of its own."""
    options = run.recipe.refinement
    training = replace(
        run.recipe.training,
        steps=options.steps,
        warmup=options.warmup,
        learning_rate=options.learning_rate,
    )
    refined = Run(replace(run.recipe, training=training), run.data, run.folder / "refined")
    for name in ("source.model", "target.model"):
        shutil.copyfile(run.path(name), refined.path(name))
    pairs = with_distilled(load_corpus(run), load_ragged(run.path(FILE)))
    save_corpus(refined, pairs)
    return refined


def with_distilled(pairs: Encoded, distilled: dict[str, Ragged]) -> Encoded:
    """Return the training pairs with the distilled ones behind; these have no links."""
    count = len(distilled["source"])
    return Encoded(
        _joined(pairs.source, distilled["source"]),
        _joined(pairs.target, distilled["target"]),
        _joined(pairs.links, Ragged.of([[]] * count)),
        np.append(pairs.shares, np.ones(count, np.float32)),
    )


def _joined(first: Ragged, second: Ragged) -> Ragged:
    starts = np.concatenate([first.starts, first.starts[-1] + second.starts[1:]])
    return Ragged(np.concatenate([first.values, second.values]), starts)


def _texts(run: Run) -> Iterator[tuple[Sequence[int], str]]:
    """Yield source ids with their reference, a sample of the training pairs, and then more.

    What stands in a set that measures the model is never among them.
    """
    options, limit = run.recipe.refinement, run.recipe.corpus.max_tokens
    rng = np.random.default_rng(run.recipe.training.seed)
    source, target = run.tokenizers()
    rows = load_corpus(run)
    usable = np.flatnonzero((rows.source.lengths < limit) & (rows.target.lengths < limit))
    for index in rng.permutation(usable)[: options.pairs].tolist():
        yield rows.source[index].tolist(), target.decode(rows.target[index].tolist()).text
    seen = {plain(pair.source) for pair in corpus.training_pairs(run.data, run.recipe.corpus)}
    measured = (*run.recipe.evaluation.translation, run.recipe.corpus.dev)
    seen |= {plain(pair.source) for pair in run.pairs(measured)}
    for pair in corpus.read_pairs(run.data, options.files):
        if pair.corpus in options.corpora and plain(pair.source) not in seen:
            seen.add(plain(pair.source))
            spans = find(pair.source, run.recipe.bundle.source.code)
            text = swap(pair.source, spans).text if run.recipe.keeping.stand_ins else pair.source
            ids = source.encode(text).ids
            if 0 < len(ids) < limit:
                yield ids, ""


def plain(text: str) -> str:
    """Return what two texts share that differ in case and punctuation only."""
    return " ".join(re.findall(r"\w+", text.lower()))


def _job(run: Run, model: Model, source: Sequence[int]) -> Job:
    special, size = model.special, run.recipe.refinement.beam_size
    about = Source(len(source) + 1, special.eos, special.bos, {})
    limit = 2 * len(source) + 10
    return Job((*source, special.eos), Beam(about, limit, size, size))


def _closest(ended: Sequence[Sequence[int]], reference: str, tokenizer: Tokenizer) -> Sequence[int]:
    if not reference:
        return ended[0]
    scores = [
        sacrebleu.sentence_chrf(tokenizer.decode(ids).text, [reference]).score for ids in ended
    ]
    return ended[int(np.argmax(scores))]
