"""The head trained on alone: better by its links, and nothing else is touched."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export import checkpoint, sharpen
from model_export.config import Sharpening
from model_export.corpus import Ragged
from model_export.run import Run, load_corpus, save_corpus, save_ragged
from model_export.sharpen import SharpenError
from model_export.train import load_model

OPTIONS = Sharpening(steps=130, warmup=10, learning_rate=2e-3)
CPU = torch.device("cpu")


@pytest.fixture
def run(toy_run: Run, tmp_path: Path) -> Run:
    """The trained toy run, with links to sharpen its head by."""
    folder = Path(shutil.copytree(toy_run.folder, tmp_path / "toy"))
    made = Run(dataclasses.replace(toy_run.recipe, sharpening=OPTIONS), toy_run.data, folder)
    save_ragged(made.path(sharpen.FILE), links=load_corpus(made).links)
    return made


def loss_of(run: Run) -> float:
    """The head's loss on one batch of the training pairs."""
    (batch,) = sharpen._batches(run, dataclasses.replace(OPTIONS, steps=1))
    with torch.no_grad():
        return float(sharpen._loss(load_model(run), batch, CPU))


def test_the_head_learns_and_the_rest_stays(run: Run) -> None:
    before = load_model(run)
    told: list[str] = []
    with torch.no_grad():
        assert before.head is not None
        for parameter in before.head.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    checkpoint.save(run.best, {"model": before.state_dict()})
    first = loss_of(run)
    sharpen.sharpen(run, CPU, told.append)
    assert loss_of(run) < 0.7 * first
    assert [line.partition(":")[0] for line in told] == ["step 100"]
    after = load_model(run).state_dict()
    for name, value in before.state_dict().items():
        assert torch.equal(value, after[name]) == (not name.startswith("head.")), name


def test_the_weights_before_are_kept(run: Run) -> None:
    weights = run.best.read_bytes()
    short = dataclasses.replace(OPTIONS, steps=1)
    recipe = dataclasses.replace(run.recipe, sharpening=short)
    sharpen.sharpen(Run(recipe, run.data, run.folder), CPU, lambda _: None)
    assert run.path("unsharpened.pt").read_bytes() == weights
    assert run.best.read_bytes() != weights


def test_who_sharpens_twice_sharpens_once(run: Run) -> None:
    short = dataclasses.replace(OPTIONS, steps=3)
    made = Run(dataclasses.replace(run.recipe, sharpening=short), run.data, run.folder)
    before = run.best.read_bytes()
    sharpen.sharpen(made, CPU, lambda _: None)
    once = load_model(run).state_dict()
    sharpen.sharpen(made, CPU, lambda _: None)
    twice = load_model(run).state_dict()
    assert run.unsharpened.read_bytes() == before
    for name, value in once.items():
        assert torch.equal(value, twice[name]), name


def test_there_are_as_many_batches_as_steps(run: Run) -> None:
    few = run.recipe.training.batch_tokens // 8
    training = dataclasses.replace(run.recipe.training, batch_tokens=few)
    made = Run(dataclasses.replace(run.recipe, training=training), run.data, run.folder)
    for steps in (1, 700):
        options = dataclasses.replace(OPTIONS, steps=steps)
        assert sum(1 for _ in sharpen._batches(made, options)) == steps


def test_pairs_are_drawn_more_evenly(run: Run) -> None:
    pairs = load_corpus(run)
    save_corpus(run, dataclasses.replace(pairs, shares=pairs.shares * np.float32(0.01)))
    training = dataclasses.replace(run.recipe.training, batch_tokens=1_000_000)
    made = Run(dataclasses.replace(run.recipe, training=training), run.data, run.folder)
    counts = []
    for power in (1.0, 0.5):
        options = dataclasses.replace(OPTIONS, steps=1, share_power=power)
        (batch,) = sharpen._batches(made, options)
        counts.append(len(batch.source))
    assert counts[1] > 3 * counts[0]


def test_of_two_heads_only_pairs_that_they_linked_are_learnt(run: Run) -> None:
    count = len(load_corpus(run).source)
    few = Ragged.of([[0] if i in (3, 5) else [] for i in range(count)])
    save_ragged(run.path(sharpen.AGREED), links=few)
    options = dataclasses.replace(OPTIONS, steps=1, by_heads=2, share_power=0.0)
    (batch,) = sharpen._batches(run, options)
    assert len(batch.source) == 2
    assert batch.links.sum() == 2


def test_a_model_without_head_cannot_be_sharpened(run: Run) -> None:
    headless = dataclasses.replace(run.recipe.model, alignment_head=0)
    made = Run(dataclasses.replace(run.recipe, model=headless), run.data, run.folder)
    kept = {k: v for k, v in checkpoint.load(run.best)["model"].items() if "head." not in k}
    checkpoint.save(run.best, {"model": kept})
    with pytest.raises(SharpenError, match="no alignment head"):
        sharpen.sharpen(made, CPU, lambda _: None)
