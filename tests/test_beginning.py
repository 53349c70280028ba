"""What a training was begun with: whatever decides the weights, and nothing else."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from model_export import beginning
from model_export.run import CORPUS, Run


@pytest.fixture
def run(toy_run: Run, tmp_path: Path) -> Run:
    """The toy corpus, and a checkpoint of a training that began with it."""
    made = Run(toy_run.recipe, toy_run.data, tmp_path / "run")
    for name in CORPUS:
        shutil.copyfile(toy_run.path(name), made.path(name))
    beginning.begin(made)
    made.checkpoint.write_bytes(b"where it stands")
    return made


def other(run: Run, part: str, changed: dict[str, Any]) -> Run:
    """The same folder by a recipe that says something else in one part."""
    section = dataclasses.replace(getattr(run.recipe, part), **changed)
    return dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, **{part: section}))


def test_the_same_training_is_gone_on_with(run: Run) -> None:
    assert beginning.interrupted(run)
    for part, changed in (
        ("training", {"watched": ("a ||| b",)}),
        ("training", {"checkpoint_minutes": 30.0}),
        ("evaluation", {"remark": "read in a paper"}),
        ("refinement", {"steps": 9}),
    ):
        assert beginning.interrupted(other(run, part, changed)), (part, changed)


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        ("model", {"dropout": 0.3}),
        ("training", {"seed": 99}),
        ("training", {"patience": 1}),
        ("variety", {"lower_case": 0.5}),
        ("corpus", {"max_tokens": 39}),
        ("corpus", {"reversed": True}),
        ("corpus", {"dev": "train.tsv.gz"}),
    ],
)
def test_another_recipe_is_not(run: Run, part: str, changed: dict[str, Any]) -> None:
    assert not beginning.interrupted(other(run, part, changed))


@pytest.mark.parametrize("name", CORPUS)
def test_nor_is_another_corpus(run: Run, name: str) -> None:
    run.path(name).write_bytes(run.path(name).read_bytes() + b" ")
    assert not beginning.interrupted(run)


@pytest.mark.parametrize("name", ["checkpoint.pt", beginning.NOTE])
def test_without_a_checkpoint_or_a_note_nothing_was_begun(run: Run, name: str) -> None:
    run.path(name).unlink()
    assert not beginning.interrupted(run)


def test_the_weights_to_start_from_are_part_of_it(run: Run, tmp_path: Path) -> None:
    start = tmp_path / "start.pt"
    start.write_bytes(b"one")
    assert not beginning.interrupted(run, start)
    beginning.begin(run, start)
    run.checkpoint.write_bytes(b"where it stands")
    assert beginning.interrupted(run, start)
    assert not beginning.interrupted(run)
    start.write_bytes(b"two")
    assert not beginning.interrupted(run, start)


def test_who_begins_forgets_what_is_left_of_others(run: Run) -> None:
    run.best.write_bytes(b"of the older training")
    run.unrefined.write_bytes(b"of the older training")
    run.unsharpened.write_bytes(b"of the older training")
    run.log(step=3, chrf=99.0)
    beginning.begin(run)
    assert not run.checkpoint.exists()
    for former in (run.best, run.unrefined, run.unsharpened):
        assert not former.exists()
    assert run.logged() == []
