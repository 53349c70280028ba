"""Texts of the target language, translated back by a bundle of the other direction.

The source is then a machine's and the target a person's, who writes what the model is to learn
(Sennrich et al. 2016).
"""

from collections.abc import Callable
from pathlib import Path

from model_export import corpus, extra_texts
from model_export.corpus import Pair
from model_export.distil import AT_ONCE, Ids, encoded
from model_export.evaluate import CAPACITY
from model_export.run import Run
from model_export.wait import patient, wait
from service.bundle import open_bundle
from service.options import Options
from service.translation import Translation
from service.translator import Translator

Report = Callable[[str], None]


def back_translate(run: Run, reverse: Path, report: Report) -> list[tuple[Ids, Ids]]:
    """Return pairs of ids, source and target, of the recipe's texts of the target language."""
    options = run.recipe.refinement
    texts = [one.text for one in extra_texts.of_target(run)]
    translator = Translator(open_bundle(reverse), CAPACITY)
    pairs: list[tuple[Ids, Ids]] = []
    for start in range(0, len(texts), AT_ONCE):
        some = texts[start : start + AT_ONCE]
        asked = Options(
            attention="none",
            beam_size=options.beam_size,
            split_sentences=False,
            deadline=patient(),
        )
        made = wait(translator.translate(some, asked))
        good = ((one.text, text) for one, text in zip(made, some, strict=True) if _ended(one))
        pairs += encoded(run, (pair for pair in good if _plausible(run, *pair)))
        report(f"{start + len(some)} of {len(texts)} texts translated back")
    translator.close(0.0)
    return pairs


def _ended(made: Translation) -> bool:
    """Whether no sentence was cut at its longest."""
    return all(one.best.finish_reason == "stop" for one in made.sentences)


def _plausible(run: Run, source: str, target: str) -> bool:
    return corpus.keep_pair(Pair(source, target, ""), run.recipe.corpus)
