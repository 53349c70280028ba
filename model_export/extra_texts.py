"""Texts of one language that refinement learns from, besides the pairs: chosen here alone.

What stands in a training pair or in a set that measures the model is never among them, nor is any
text twice; upper case and punctuation make no difference. A corpus of which the files have no text
at all is a `CorpusError`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model_export import corpus
from model_export.corpus import CorpusError, Pair
from model_export.run import Run


@dataclass(frozen=True, slots=True)
class Text:
    """A text, and the id of the corpus that it is from."""

    text: str
    corpus: str


def of_source(run: Run) -> Iterator[Text]:
    """Yield texts of the source language, which teachers translate."""
    options = run.recipe.refinement
    known = (pair.source for pair in _known(run))
    return _new(run, options.files, options.corpora, known)


def of_target(run: Run) -> Iterator[Text]:
    """Yield texts of the target language, which are translated back."""
    options = run.recipe.refinement
    known = (pair.target for pair in _known(run))
    return _new(run, options.back_files, options.back_corpora, known)


def _known(run: Run) -> Iterator[Pair]:
    recipe = run.recipe
    yield from corpus.training_pairs(run.data, recipe.corpus)
    yield from run.pairs((*recipe.evaluation.translation, recipe.corpus.dev))


def _new(
    run: Run, files: Sequence[str], corpora: Sequence[str], known: Iterator[str]
) -> Iterator[Text]:
    if not corpora:
        return
    absent = set(corpora)
    seen = {_plain(text) for text in known}
    for pair in corpus.read_pairs(run.data, files):
        absent.discard(pair.corpus)
        text = pair.source  # the first column, whatever it is a source of
        fits = 0 < len(text) <= run.recipe.corpus.max_characters
        if fits and pair.corpus in corpora and _plain(text) not in seen:
            seen.add(_plain(text))
            yield Text(text, pair.corpus)
    if absent:
        raise CorpusError(f"{', '.join(files)}: no text of {', '.join(sorted(absent))}")


def _plain(text: str) -> str:
    """Return what two texts share that differ in case and punctuation only."""
    return " ".join(re.findall(r"\w+", text.lower()))
