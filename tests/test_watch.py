"""Watching attention form: when, what is seen, and that watching changes nothing."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export import config, watch
from model_export.decode import pad_sources
from model_export.model import Seq2Seq
from model_export.run import Run
from model_export.subwords import BOS, EOS
from model_export.watch import Watch
from tests.architectures import lively, network, sentences, targets

SOURCE, TARGET = (9, 20, 31, 7), (12, 8, 33)
WATCHED = ("The cat sees the dog. ||| Le chat voit le chien.", "The king. ||| Le roi.")
TRANSFORMER = network("lstm", "transformer", "multi-head", layers=2)


@pytest.mark.parametrize("steps", [1, 25, 26, 160, 2000, 90_000])
def test_moments_come_ever_more_seldom_from_the_first_step_to_the_last(steps: int) -> None:
    found = sorted(watch.moments(steps))
    assert (found[0], found[-1]) == (0, steps)
    assert len(found) < 40, "a page that plays them is short"
    gaps = np.diff(found)[:-1]  # the last is where training happens to end
    assert (gaps[1:] >= gaps[:-1] - 20).all()
    assert all(gap <= max(25, 0.4 * at) for at, gap in zip(found, gaps, strict=False))


@pytest.mark.parametrize(
    ("sizes", "kinds"),
    [
        (network("gru", "lstm", "additive"), ["cross", "alignment"]),
        (TRANSFORMER, ["cross", "alignment"]),
        (network("gru", "gru", "none"), ["alignment"]),
        (network("lstm", "gru", "general", alignment_head=0), ["cross"]),
    ],
)
def test_what_a_model_has_is_seen_of_a_given_pair(sizes: config.Model, kinds: list[str]) -> None:
    found = watch.attended(lively(sizes), SOURCE, TARGET)
    assert list(found) == kinds
    for rows in found.values():
        matrix = np.array(rows)
        assert matrix.shape == (len(TARGET) + 1, len(SOURCE) + 1)
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=0.003)


def test_rows_are_those_of_steps_that_read_the_given_target() -> None:
    """Cross-attention chose the token of its row, the head has read it."""
    model = lively(TRANSFORMER)
    found = watch.attended(model, SOURCE, TARGET)
    memory = model.encode(*pad_sources([SOURCE]))
    state, cross, alignment = memory.first, [], []
    with torch.no_grad():
        for token in (BOS, *TARGET, EOS):
            step = model.step(torch.tensor([token]), state, memory)
            state = step.state
            assert step.cross is not None
            assert step.alignment is not None
            cross.append(step.cross[0].mean(0).tolist())
            alignment.append(step.alignment[0].tolist())
    np.testing.assert_allclose(found["cross"], cross[:-1], atol=6e-4)
    np.testing.assert_allclose(found["alignment"], alignment[1:], atol=6e-4)


@pytest.mark.parametrize("training", [True, False])
def test_looking_leaves_no_trace(training: bool) -> None:
    model = lively(TRANSFORMER).train(training)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    watch.attended(model, SOURCE, TARGET)
    assert model.training is training
    assert torch.equal(torch.get_rng_state(), random), "training would go another way"
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name
    assert all(weight.grad is None for weight in model.parameters())


def backward(model: Seq2Seq) -> None:
    """Let everything have a gradient."""
    output = model(*sentences([5, 3]), targets(2, 4))
    assert output.cross is not None
    assert output.alignment is not None
    parts = [output.features, output.cross[:, 1:, :3].square(), output.alignment[:, :, :3]]
    torch.autograd.backward([torch.stack([part.sum() for part in parts]).sum()])


@pytest.mark.parametrize("decoder", ["gru", "transformer"])
def test_gradients_are_told_apart_by_whose_they_are(decoder: str) -> None:
    model = lively(network("lstm", decoder, "multi-head", layers=2))
    assert watch.gradient_norms(model) == {watch.CROSS: 0, watch.HEAD: 0, watch.REST: 0}
    backward(model)
    norms = watch.gradient_norms(model)
    assert min(norms.values()) > 0
    total = sum(float(w.grad.square().sum()) for w in model.parameters() if w.grad is not None)
    assert sum(norm**2 for norm in norms.values()) == pytest.approx(total, rel=1e-4)
    for name, weight in model.named_parameters():
        if ".cross." in name or name.startswith("decoder.attention."):
            weight.grad = None
    without = watch.gradient_norms(model)
    assert without == {**norms, watch.CROSS: 0}
    assert model.head is not None
    model.head.zero_grad(set_to_none=True)
    assert watch.gradient_norms(model) == {**without, watch.HEAD: 0}


@pytest.fixture
def run(toy_run: Run, tmp_path: Path) -> Run:
    """A run of forty steps that watches two pairs."""
    made = dataclasses.replace(toy_run, folder=tmp_path / "run")
    for model in (toy_run.source_model, toy_run.target_model):
        shutil.copyfile(model, made.path(model.name))
    options = dataclasses.replace(toy_run.recipe.training, steps=40, watched=WATCHED)
    return dataclasses.replace(made, recipe=dataclasses.replace(made.recipe, training=options))


def toy_model(run: Run, seed: int = 1) -> Seq2Seq:
    source, target = run.tokenizers()
    return lively(run.recipe.model, seed, (source.size, target.size))


def test_moments_are_written_down_with_pairs_and_gradients(run: Run) -> None:
    model, watching = toy_model(run), Watch(run)
    for step in range(41):
        watching.look(model, step)
    found = list(watch.read(run.folder))
    assert [moment["step"] for moment in found] == [0, 25, 34, 40]
    for moment in found:
        assert moment["gradients"].keys() == {watch.CROSS, watch.HEAD, watch.REST}
        first, second = moment["pairs"]
        assert "".join(first["source"]) == "Thecatseesthedog.</s>"
        assert "".join(second["target"]) == "Leroi.</s>"
        for pair in (first, second):
            shape = len(pair["target"]), len(pair["source"])
            assert np.array(pair["cross"]).shape == np.array(pair["alignment"]).shape == shape


def test_a_resumed_run_has_the_last_word_of_every_step(run: Run) -> None:
    models = [toy_model(run, seed) for seed in (1, 2)]
    watching = Watch(run)
    for model in models:  # it stopped behind 25, and went on from before
        for step in (0, 25):
            watching.look(model, step)
    lines = run.path(watch.FILE).read_text(encoding="utf-8").splitlines()
    assert list(watch.read(run.folder)) == [json.loads(line) for line in lines[2:]]


def test_a_new_run_forgets_what_was_seen(run: Run) -> None:
    watching = Watch(run)
    watching.forget()
    watching.look(toy_model(run), 0)
    watching.forget()
    assert not run.path(watch.FILE).exists()


def test_without_pairs_nothing_is_written(run: Run) -> None:
    options = dataclasses.replace(run.recipe.training, watched=())
    bare = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, training=options))
    Watch(bare).look(toy_model(bare), 0)
    assert not bare.path(watch.FILE).exists()
