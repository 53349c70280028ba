"""Texts of the target language, translated back by a bundle of the other direction.

The source is then a machine's and the target a person's, who writes what the model is to learn
(Sennrich et al. 2016). Targets of training pairs get more sources than their own in the same way
(Nguyen et al. 2020).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from model_export import corpus, extra_texts
from model_export.corpus import Pair
from model_export.distil import AT_ONCE, Ids, encoded, hypotheses, of_an_epoch
from model_export.evaluate import CAPACITY
from model_export.run import Run
from service.bundle import open_bundle
from service.translator import Translator

Report = Callable[[str], None]


def back_translate(run: Run, reverse: Path, report: Report) -> list[tuple[Ids, Ids]]:
    """Return pairs of ids, source and target, of the recipe's texts of the target language.

    Those of training pairs come first; they get more sources this way than their own.
    """
    options = run.recipe.refinement
    own = (pair.target for pair in of_an_epoch(run, options.back_pairs))
    texts = list(dict.fromkeys(own)) + [one.text for one in extra_texts.of_target(run)]
    made = translated(run, reverse, texts, options.back_variants, report)
    return learnable(run, ((one, text) for text, found in made for one in found))


def translated(
    run: Run, reverse: Path, texts: Sequence[str], count: int, report: Report
) -> Iterator[tuple[str, list[str]]]:
    """Yield each text with the finished ones of `count` hypotheses of a bundle."""
    translator = Translator(open_bundle(reverse), CAPACITY)
    for start in range(0, len(texts), AT_ONCE):
        some = texts[start : start + AT_ONCE]
        yield from zip(some, hypotheses(run, translator, some, count), strict=True)
        report(f"{start + len(some)} of {len(texts)} texts translated back")
    translator.close(0.0)


def learnable(run: Run, pairs: Iterable[tuple[str, str]]) -> list[tuple[Ids, Ids]]:
    """Return those pairs of texts as ids that a training pair could be, too."""
    options = run.recipe.corpus
    good = (pair for pair in pairs if corpus.keep_pair(Pair(*pair, ""), options))
    return list(encoded(run, good))
