"""Texts of the target language get a source, and none that measures or is known is among them."""

import asyncio
import dataclasses
import gzip
import shutil
from pathlib import Path
from typing import Literal

import pytest

from model_export import corpus
from model_export.backtranslation import back_translate
from model_export.config import Keeping
from model_export.run import Run
from service.bundle import Bundle
from service.keeping import STAND_INS
from service.options import Options
from service.translation import Translation
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


class Copier:
    """Translates every text into itself, twice."""

    def __init__(self, *_: object) -> None: ...

    async def translate(self, texts: list[str], options: Options) -> list[Translation]:
        assert not options.split_sentences
        return [Translation(f"{text} {text}", 0.0, ()) for text in texts]

    def close(self, grace: float) -> None: ...


def test_what_is_new_is_translated_back(
    run: Run, toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_export.backtranslation.Translator", Copier)
    said: list[str] = []
    pairs = back_translate(run, toy_bundle.folder, said.append)
    source, target = run.tokenizers()
    texts = [(source.decode(s).text, target.decode(t).text) for s, t in pairs]
    assert texts == [(f"{text} {text}", text) for text in NEW]
    assert said == ["2 of 2 texts translated back"]


def test_what_both_sides_keep_becomes_a_stand_in(
    run: Run, toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Once(Copier):
        async def translate(self, texts: list[str], options: Options) -> list[Translation]:
            return [Translation(text, 0.0, ()) for text in texts]

    monkeypatch.setattr("model_export.backtranslation.Translator", Once)
    recipe = dataclasses.replace(run.recipe, keeping=Keeping(stand_ins=True))
    pairs = back_translate(Run(recipe, run.data, run.folder), toy_bundle.folder, lambda _: None)
    source, target = run.tokenizers()
    texts = [(source.decode(s).text, target.decode(t).text) for s, t in pairs]
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
    run: Run,
    toy_bundle: Bundle,
    translator: Translator,
    monkeypatch: pytest.MonkeyPatch,
    reason: Literal["stop", "length"],
    source: str,
    kept: int,
) -> None:
    (made,) = asyncio.run(translator.translate(["The cat."], Options()))
    (sentence,) = made.sentences
    ended = dataclasses.replace(
        sentence, best=dataclasses.replace(sentence.best, finish_reason=reason)
    )

    class Once(Copier):
        async def translate(self, texts: list[str], options: Options) -> list[Translation]:
            return [Translation(source, 0.0, (ended,)) for _ in texts]

    monkeypatch.setattr("model_export.backtranslation.Translator", Once)
    assert len(back_translate(run, toy_bundle.folder, lambda _: None)) == kept
