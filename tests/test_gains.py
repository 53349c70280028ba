"""What each stage brought, as its log tells."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from model_export.gains import gains
from model_export.run import Run


@pytest.fixture
def run(toy_run: Run, tmp_path: Path) -> Run:
    """The toy recipe with one step of refinement and few dev sentences, in an empty folder."""
    refinement = dataclasses.replace(toy_run.recipe.refinement, steps=1)
    training = dataclasses.replace(toy_run.recipe.training, dev_sentences=25)
    recipe = dataclasses.replace(toy_run.recipe, refinement=refinement, training=training)
    made = Run(recipe, toy_run.data, tmp_path / "run")
    for folder, pairs in ((made, 7), (refined(made), 9)):
        np.save(folder.path("shares.npy"), np.ones(pairs, np.float32))
    return made


def refined(run: Run) -> Run:
    return dataclasses.replace(run, folder=run.folder / "refined")


def test_of_each_stage_the_weights_that_it_kept(run: Run) -> None:
    run.log(step=50, token=3.0, tokens_per_second=9)
    for step, chrf in ((100, 31.237), (200, 44.444), (300, 44.0)):
        run.log(step=step, chrf=chrf, bleu=chrf / 2)
    refined(run).log(step=0, chrf=44.4, bleu=22.0)
    refined(run).log(step=20, chrf=45.678, bleu=23.456)
    assert (len(run.dev_pairs()), run.recipe.training.dev_sentences) == (60, 25)
    place = {"set": run.set_name(run.recipe.corpus.dev), "sentences": 30}  # every second one
    first, second = gains(run)
    assert first == {
        "after": "training", "step": 200, "pairs": 7, **place, "dev_bleu": 22.22, "dev_chrf": 44.44
    }  # fmt: skip
    assert second == {
        "after": "refinement", "step": 20, "pairs": 9, **place,
        "dev_bleu": 23.46, "dev_chrf": 45.68,
    }  # fmt: skip


def test_what_was_not_measured_is_left_out(run: Run) -> None:
    assert gains(run) == []
    run.log(step=5, chrf=1.0, bleu=1.0)
    assert [row["after"] for row in gains(run)] == ["training"]


def test_a_recipe_without_refinement_has_no_such_stage(run: Run) -> None:
    refined(run).log(step=5, chrf=1.0, bleu=1.0)
    refinement = dataclasses.replace(run.recipe.refinement, steps=0)
    plain = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, refinement=refinement))
    assert [row["after"] for row in gains(run)] == ["refinement"]
    assert gains(plain) == []
