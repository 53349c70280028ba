"""Texts of the target language get a source, and none that measures or is known is among them."""

import asyncio
import dataclasses
import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from model_export import corpus
from model_export.backtranslation import back_translate
from model_export.config import Keeping
from model_export.run import Run
from service.bundle import Bundle
from service.keeping import STAND_INS
from service.options import Options
from service.translation import Hypothesis, TranslatedSentence, Translation
from service.translator import Translator

NEW = ("Le chat rouge voit la {mer}.", "Le roi noir.")


@pytest.fixture
def run(toy_run: Run, tmp_path: Path) -> Run:
    """The toy run, with a file of texts of its target language."""
    folder = Path(shutil.copytree(toy_run.data, tmp_path / "data"))
    known = corpus.training_pairs(toy_run.data, toy_run.recipe.corpus)[0].target
    measured = toy_run.dev_pairs()[0].target
    with gzip.open(folder / "back.tsv.gz", "wt", encoding="utf-8") as out:
        for text in (NEW[0], known.upper(), measured, NEW[1], NEW[1].lower(), "", "a" * 9999):
            out.write(f"{text}\t-\ttoy\n")
        out.write("Le roi vert.\t-\telsewhere\n")
    options = dataclasses.replace(
        toy_run.recipe.refinement, back_files=("back.tsv.gz",), back_corpora=("toy",)
    )
    recipe = dataclasses.replace(toy_run.recipe, refinement=options)
    return Run(recipe, folder, folder / "runs" / "toy")


class Fake:
    """Stands for a translator: gives each text the hypotheses that a function names, best first."""

    def __init__(
        self, sentence: TranslatedSentence, say: Callable[[str], list[str]], reason: str = "stop"
    ) -> None:
        self.say, self.sentence, self.reason = say, sentence, reason
        self.asked: list[str] = []

    async def translate(self, texts: list[str], options: Options) -> list[Translation]:
        assert not options.split_sentences
        self.asked += texts
        return [self._made(self.say(text)[: options.n_best]) for text in texts]

    def _made(self, texts: list[str]) -> Translation:
        best, *others = [self._hypothesis(text) for text in texts]
        made = dataclasses.replace(self.sentence, best=best, alternatives=tuple(others))
        return Translation(texts[0], 0.0, (made,))

    def _hypothesis(self, text: str) -> Hypothesis:
        best = self.sentence.best
        target = dataclasses.replace(best.target, text=text)
        return dataclasses.replace(best, target=target, finish_reason=self.reason)

    def close(self, grace: float) -> None: ...


Back = Callable[[Run, Fake], list[tuple[str, str]]]


@pytest.fixture
def sentence(translator: Translator) -> TranslatedSentence:
    """A sentence as the service answers it."""
    (made,) = asyncio.run(translator.translate(["The cat."], Options()))
    return made.sentences[0]


@pytest.fixture
def back(toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> Back:
    """Translate back with a fake, and read what came of it."""

    def translated(run: Run, fake: Fake) -> list[tuple[str, str]]:
        monkeypatch.setattr("model_export.backtranslation.Translator", lambda *_: fake)
        said: list[str] = []
        pairs = back_translate(run, toy_bundle.folder, said.append)
        count = len(fake.asked)
        assert said == [f"{count} of {count} texts translated back"]
        source, target = run.tokenizers()
        return [(source.decode(s).text, target.decode(t).text) for s, t in pairs]

    return translated


def refining(run: Run, pairs: int = 0, variants: int = 1) -> Run:
    """Return the run with more to translate back."""
    options = dataclasses.replace(run.recipe.refinement, back_pairs=pairs, back_variants=variants)
    return Run(dataclasses.replace(run.recipe, refinement=options), run.data, run.folder)


def test_what_is_new_is_translated_back(run: Run, sentence: TranslatedSentence, back: Back) -> None:
    made = back(run, Fake(sentence, lambda text: [f"{text} {text}", text]))
    assert made == [(f"{text} {text}", text) for text in NEW]


def test_as_many_hypotheses_are_sources_as_wanted(
    run: Run, sentence: TranslatedSentence, back: Back
) -> None:
    fake = Fake(sentence, lambda text: [text, f"{text} {text}", "The king."])
    made = back(refining(run, variants=2), fake)
    assert made == [(source, text) for text in NEW for source in (text, f"{text} {text}")]


def test_targets_of_training_pairs_get_more_sources(
    run: Run, sentence: TranslatedSentence, back: Back
) -> None:
    known = {pair.target for pair in corpus.training_pairs(run.data, run.recipe.corpus)}
    made = back(refining(run, pairs=3), Fake(sentence, lambda _: ["The king."]))
    own = [target for _, target in made[: -len(NEW)]]
    assert 0 < len(own) <= 3
    assert len(set(own)) == len(own)
    assert set(own) <= known
    assert made[-len(NEW) :] == [("The king.", text) for text in NEW]


def test_what_both_sides_keep_becomes_a_stand_in(
    run: Run, sentence: TranslatedSentence, back: Back
) -> None:
    recipe = dataclasses.replace(run.recipe, keeping=Keeping(stand_ins=True))
    texts = back(Run(recipe, run.data, run.folder), Fake(sentence, lambda text: [text]))
    assert texts[0] in [(one, one) for one in (NEW[0].replace("{mer}", s) for s in STAND_INS)]
    assert texts[1] == (NEW[1], NEW[1])


@pytest.mark.parametrize(
    ("reason", "source", "kept"),
    [
        ("stop", "The red cat sees.", 2),
        ("length", "The red cat sees.", 0),
        ("stop", "Le roi. " * 20, 0),
    ],
)
def test_what_was_cut_or_is_lopsided_is_dropped(
    run: Run, sentence: TranslatedSentence, back: Back, reason: str, source: str, kept: int
) -> None:
    assert len(back(run, Fake(sentence, lambda _: [source], reason))) == kept
