"""What trained models teach: what beam search and several of them find, learnt by greedy search.

Sequence-level knowledge distillation and interpolation (Kim and Rush 2016). The teachers are the
run's own graphs and any other bundles of its direction; all hypotheses of their beams compete. Of a
training pair, the one closest to the reference by chrF is taken, if it is close; of a text that has
no translation, the one that is likeliest by all teachers together. The student is the run's model,
trained on for a while on the training pairs and on these (`refine`).
"""

import filecmp
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import sacrebleu

from model_export import checkpoint, corpus, draft, extra_texts
from model_export.carrying import carried, same_numbers
from model_export.corpus import Encoded, Ragged
from model_export.evaluate import CAPACITY
from model_export.run import Run, load_corpus, load_ragged, save_corpus, save_ragged
from model_export.wait import patient, wait
from service.bundle import Bundle
from service.options import Options, Pair
from service.translation import Translation
from service.translator import Translator

FILE, CHOSEN = "distilled.npz", "distilled.jsonl"
AT_ONCE = 4096
_CHRF = sacrebleu.CHRF()
Report = Callable[[str], None]
Ids = Sequence[int]


class DistilError(Exception):
    """What was distilled before cannot be gone on with; the message says why."""


def distil(run: Run, others: Sequence[Bundle], report: Report) -> list[tuple[Ids, Ids]]:
    """Translate texts with the run's own int8 graphs and other bundles; return pairs of ids.

    What an earlier call has chosen is kept, in `distilled.jsonl` of the run, and not done again.
    """
    bundles = [draft.open_draft(run, "int8"), *others]
    teachers = [Translator(bundle, CAPACITY) for bundle in bundles]
    taught = list(_texts(run))
    done = _read_chosen(run, taught)
    for start in range(len(done), len(taught), AT_ONCE):
        some = taught[start : start + AT_ONCE]
        chosen = _choose(run, teachers, some)
        done += chosen
        line = {"sources": _digest(some), "chosen": chosen}
        with run.path(CHOSEN).open("a", encoding="utf-8") as out:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
        report(f"{len(done)} of {len(taught)} texts")
    for teacher in teachers:
        teacher.close(0.0)
    ended = [(source, text) for (source, _), text in zip(taught, done, strict=True) if text]
    return list(encoded(run, ended))


def _read_chosen(run: Run, taught: Sequence[tuple[str, str]]) -> list[str]:
    """Return what an earlier, interrupted call has chosen already, for these very texts.

    Raises `DistilError` if it was for others: the recipe has changed since.
    """
    path = run.path(CHOSEN)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    done: list[str] = []
    for line in map(json.loads, lines):
        if line["sources"] != _digest(taught[len(done) : len(done) + AT_ONCE]):
            raise DistilError(f"{path} is of other texts: begin anew, without --resume")
        done += line["chosen"]
    return done


def _digest(some: Sequence[tuple[str, str]]) -> str:
    return sha256(json.dumps(some).encode()).hexdigest()


def _choose(run: Run, teachers: Sequence[Translator], some: Sequence[tuple[str, str]]) -> list[str]:
    """Return a translation to learn from for each source and reference; "" where there is none.

    Of hypotheses without a reference, the one that the teachers together think likeliest.
    """
    sources = [source for source, _ in some]
    size = run.recipe.refinement.beam_size
    lists = [hypotheses(run, teacher, sources, size) for teacher in teachers]
    found = [list(dict.fromkeys(t for one in lists for t in one[n])) for n in range(len(some))]
    open_ones = [n for n, (_, reference) in enumerate(some) if not reference]
    asked = [(n, text) for n in open_ones for text in found[n] if len(teachers) > 1]
    likely = _likelihoods(teachers, [Pair(sources[n], text) for n, text in asked])
    scores = dict(zip(asked, likely, strict=True))
    least = run.recipe.refinement.least_chrf
    return [
        _closest(found[n], reference, least) if reference else _likeliest(found[n], n, scores)
        for n, (_, reference) in enumerate(some)
    ]


def _likeliest(
    hypotheses: Sequence[str], index: int, scores: Mapping[tuple[int, str], float]
) -> str:
    """Return the hypothesis with the best score, or the first if there are none; "" of none."""
    return max(hypotheses, key=lambda text: scores.get((index, text), 0.0), default="")


def _likelihoods(teachers: Sequence[Translator], pairs: Sequence[Pair]) -> list[float]:
    """Return the sum of the mean log-probabilities that all teachers give each pair."""
    if not pairs:
        return []
    options = Options(attention="none", deadline=patient())
    made = [wait(teacher.align(pairs, options)) for teacher in teachers]
    return [sum(one.score for one in row) for row in zip(*made, strict=True)]


def _closest(hypotheses: Sequence[str], reference: str, least: float) -> str:
    """Return the hypothesis that comes closest to a reference; "" if all have less than `least`."""
    scores = {text: _CHRF.sentence_score(text, [reference]).score for text in hypotheses}
    best = max(scores, key=lambda text: scores[text], default="")
    return best if scores.get(best, 0.0) >= least else ""


def encoded(run: Run, texts: Iterable[tuple[str, str]]) -> Iterator[tuple[Ids, Ids]]:
    """Yield pairs of texts that fit as ids, with stand-ins where the model learns them.

    If it is to keep numbers, pairs that have not the same ones are left out.
    """
    source, target = run.tokenizers()
    options, strict = run.recipe.corpus, run.recipe.keeping.numbers > 0
    pairs = [
        corpus.Pair(one, corpus.spaced(other, options), "")
        for one, other in texts
        if not strict or same_numbers(one, other, run.recipe.bundle)
    ]
    for pair in carried(pairs, run.recipe):
        ids = source.encode(pair.source).ids, target.encode(pair.target).ids
        if 0 < len(ids[0]) < options.max_tokens and 0 < len(ids[1]) < options.max_tokens:
            yield ids


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
        consistency=options.consistency,
    )
    refined = Run(replace(run.recipe, training=training), run.data, run.folder / "refined")
    for name in ("source.model", "target.model"):
        shutil.copyfile(run.path(name), refined.path(name))
    pairs = with_distilled(load_corpus(run), load_ragged(run.path(FILE)), options.share_power)
    save_corpus(refined, pairs)
    return refined


def starting_weights(run: Run, refined: Run, resume: bool, again: bool) -> Path:
    """Return the weights to refine: those of `train`, or `again` those that were refined before.

    With `resume` they are those that the refinement began with, if the run was not trained since.
    """
    start = refined.path("start.pt")
    if not run.unrefined.is_file():
        start.unlink(missing_ok=True)
        checkpoint.copy(run.before_sharpening(), run.unrefined)
    if not (resume and start.is_file()):
        checkpoint.copy(run.before_sharpening() if again else run.unrefined, start)
    return start


def adopt(run: Run, refined: Run) -> None:
    """Let the refined weights be the best of the run, unless they are so already."""
    if not filecmp.cmp(refined.best, run.before_sharpening(), shallow=False):
        run.unsharpened.unlink(missing_ok=True)
        checkpoint.copy(refined.best, run.best)


def with_distilled(pairs: Encoded, distilled: dict[str, Ragged], power: float = 1.0) -> Encoded:
    """Return the training pairs with the distilled ones behind; these have no links.

    The shares of the training pairs are raised to `power`; every epoch has the distilled ones once.
    """
    count = len(distilled["source"])
    return Encoded(
        _joined(pairs.source, distilled["source"]),
        _joined(pairs.target, distilled["target"]),
        _joined(pairs.links, Ragged.of([[]] * count)),
        np.append(pairs.shares**power, np.ones(count, np.float32)),
    )


def _joined(first: Ragged, second: Ragged) -> Ragged:
    starts = np.concatenate([first.starts, first.starts[-1] + second.starts[1:]])
    return Ragged(np.concatenate([first.values, second.values]), starts)


def of_an_epoch(run: Run, count: int) -> list[corpus.Pair]:
    """Return at most `count` training pairs of an epoch, by the shares that refinement has."""
    if not count:
        return []
    recipe = run.recipe
    rng = np.random.default_rng(recipe.training.seed)
    pairs = corpus.training_pairs(run.data, recipe.corpus)
    shares = corpus.shares(pairs, recipe.corpus) ** recipe.refinement.share_power
    epoch = np.unique(corpus.draw(shares, rng))
    return [pairs[index] for index in rng.permutation(epoch)[:count].tolist()]


def _texts(run: Run) -> Iterator[tuple[str, str]]:
    """Yield sources with their reference, a sample of an epoch, and then more sources."""
    for pair in of_an_epoch(run, run.recipe.refinement.pairs):
        yield pair.source, pair.target
    for extra in extra_texts.of_source(run):
        yield extra.text, ""


def hypotheses(
    run: Run, translator: Translator, sources: Sequence[str], count: int
) -> list[list[str]]:
    """Return for each source the finished ones of the `count` best hypotheses of a beam."""
    options = Options(
        beam_size=run.recipe.refinement.beam_size,
        n_best=count,
        attention="none",
        split_sentences=False,
        deadline=patient(),
    )
    return [_finished(made) for made in wait(translator.translate(sources, options))]


def _finished(made: Translation) -> list[str]:
    return [
        hypothesis.target.text
        for sentence in made.sentences
        for hypothesis in (sentence.best, *sentence.alternatives)
        if hypothesis.finish_reason == "stop" and hypothesis.target.text.strip()
    ]
