"""Which words count as learnt: ordinary ones, frequent names, and names that are translated."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model_export import corpus, known
from model_export.config import Keeping
from model_export.corpus import Pair
from model_export.run import Run

Texts = tuple[str, str]


def learnt(*texts: Texts, share: float = 1.0, often: float = 3.0) -> list[str]:
    pairs = [Pair(source, target, "a") for source, target in texts]
    return known.known(pairs, np.full(len(pairs), share, np.float32), often)


PRIYA = ("Mail the cat of Priya.", "Le chat de Priya.")


def test_ordinary_words_are_known_and_names_that_are_copied_are_not() -> None:
    other = ("Now one can mail Priya.", "Il va voir Priya.")
    assert learnt(PRIYA, other) == ["can", "cat", "mail", "of", "one", "the"]


def test_names_that_an_epoch_has_often_are_known() -> None:
    assert "Priya" in learnt(PRIYA, PRIYA, PRIYA)
    assert "Priya" not in learnt(PRIYA, PRIYA, PRIYA, share=0.9)


def test_names_that_are_translated_are_known_however_rare() -> None:
    london = ("In London.", "À Londres.")
    assert "London" in learnt(london, london, share=0.01)
    assert "London" not in learnt(london, share=0.01)


def test_texts_in_small_letters_say_nothing_of_names() -> None:
    assert "priya" not in learnt(*[("i saw priya", "j'ai vu priya")] * 5)
    mixed = [("A priya is red.", "Une priya.")] + [PRIYA] * 20
    assert "priya" not in learnt(*mixed, often=100.0)


def test_what_has_a_hyphen_counts_whole_and_in_parts() -> None:
    found = learnt(*[("The well-known Jean-Luc.", "Jean-Luc.")] * 3)
    assert {"Jean", "Jean-Luc", "Luc", "known", "well", "well-known"} < set(found)


def test_chinese_names_that_targets_romanise_are_not_known() -> None:
    texts = [
        *[("汤姆来了。", "Tom came.")] * 2,
        *[("张伟来了。", "Zhang Wei came.")] * 2,
        *[("小明来了。", "Xiao Ming came.")] * 2,
        *[("李雷来了。", "play john")] * 2,
        ("王菲来了。", "Faye Wong came."),
    ]
    pairs = [Pair(source, target, "a") for source, target in texts]
    shares = np.ones(len(pairs), np.float32)
    assert known.known_chinese(pairs, shares, 3.0) == ["汤姆"]
    assert "张伟" in known.known_chinese(pairs, shares, 2.0)


def test_a_run_has_its_words_written_if_its_recipe_asks_for_names(
    toy_run: Run, tmp_path: Path
) -> None:
    run = replace(toy_run, folder=tmp_path)
    pairs = corpus.training_pairs(run.data, run.recipe.corpus)
    shares = corpus.shares(pairs, run.recipe.corpus)
    known.write(run, pairs, shares)
    assert known.file(run) is None
    assert not list(tmp_path.iterdir())
    telling = replace(run, recipe=replace(run.recipe, keeping=Keeping(True, 0.0, 5.0)))
    with pytest.raises(FileNotFoundError, match=r"run `subwords` first"):
        known.file(telling)
    known.write(telling, pairs, shares)
    path = known.file(telling)
    assert path is not None
    found = path.read_text(encoding="utf-8").splitlines()
    assert {"cat", "dog"} < set(found)
    path.write_text("Zanzibar\n", encoding="utf-8")
    known.write(telling, pairs, shares, keep=True)
    assert path.read_text(encoding="utf-8").splitlines() == sorted({*found, "Zanzibar"})
    known.write(telling, pairs, shares)
    assert path.read_text(encoding="utf-8").splitlines() == found
