"""Texts of the target language, translated back by a bundle of the other direction.

The source is then a machine's and the target a person's, who writes what the model is to learn
(Sennrich et al. 2016).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from model_export import corpus
from model_export.distil import AT_ONCE, Ids, encoded, plain
from model_export.evaluate import CAPACITY
from model_export.run import Run
from model_export.wait import wait
from service.bundle import open_bundle
from service.options import Options
from service.translator import Translator

Report = Callable[[str], None]


def back_translate(run: Run, reverse: Path, report: Report) -> list[tuple[Ids, Ids]]:
    """Return pairs of ids, source and target, of the recipe's texts of the target language."""
    options = run.recipe.refinement
    texts = list(_texts(run))
    translator = Translator(open_bundle(reverse), CAPACITY)
    pairs: list[tuple[Ids, Ids]] = []
    for start in range(0, len(texts), AT_ONCE):
        some = texts[start : start + AT_ONCE]
        asked = Options(attention="none", beam_size=options.beam_size, split_sentences=False)
        made = wait(translator.translate(some, asked))
        pairs += encoded(run, zip((one.text for one in made), some, strict=True))
        report(f"{start + len(some)} of {len(texts)} texts translated back")
    translator.close(0.0)
    return pairs


def _texts(run: Run) -> Iterator[str]:
    """Yield texts of the target language that are in no training pair and no set that measures."""
    options, recipe = run.recipe.refinement, run.recipe
    measured = run.pairs((*recipe.evaluation.translation, recipe.corpus.dev))
    trained = corpus.training_pairs(run.data, recipe.corpus)
    seen = {plain(pair.target) for pair in (*measured, *trained)}
    for pair in corpus.read_pairs(run.data, options.back_files):
        text = pair.source  # the first column, whatever it is a source of
        fits = 0 < len(text) <= recipe.corpus.max_characters
        if fits and pair.corpus in options.back_corpora and plain(text) not in seen:
            seen.add(plain(text))
            yield text
