"""The whole network, of every architecture: shapes, masks, steps, size and gradients."""

import dataclasses
import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor

from model_export import config
from model_export.attention import masked_softmax
from model_export.config import RECURRENT
from model_export.decoders import TransformerDecoder
from model_export.encoders import TransformerEncoder
from model_export.loss import cross_entropy, guided_score_loss, over_all
from model_export.model import Memory, Output, Seq2Seq
from model_export.recipe import read_recipe
from tests.architectures import (
    ARCHITECTURES,
    FIRST_WORD,
    PIECES,
    lively,
    network,
    sentences,
    targets,
)

LENGTHS = (6, 2, 1, 4)
STEPS = 5
CLOSE = 1e-5


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> Seq2Seq:
    return lively(ARCHITECTURES[request.param])


def run(model: Seq2Seq, source: Tensor, lengths: Tensor, target: Tensor) -> tuple[Memory, Output]:
    with torch.no_grad():
        return model.encode(source, lengths), model(source, lengths, target)


def common(model: Seq2Seq) -> tuple[Memory, Output]:
    """Run four sentences of different lengths."""
    return run(model, *sentences(LENGTHS), targets(4, STEPS))


def rows_of(memory: Memory, output: Output) -> list[Tensor]:
    """Every attention of an output, (B, T, S)."""
    rows = [] if output.cross is None else [output.cross]
    if output.alignment is not None:
        rows.append(masked_softmax(output.alignment, memory.mask))
    return rows


def test_the_architectures_hold_every_pair_of_choices() -> None:
    """Memory of an encoder is like that of its kind: bounded or not is what others may feel."""
    choices = [
        (
            sizes.decoder.kind,
            sizes.attention.kind,
            sizes.decoder.input_feeding,
            sizes.decoder.top > 0,
            sizes.encoder.layers,
            sizes.encoder.kind == "transformer",
        )
        for sizes in ARCHITECTURES.values()
        if sizes.decoder.kind in RECURRENT
    ]
    known = [RECURRENT, config.ATTENTIONS, {False, True}, {False, True}, {1, 2}, {False, True}]
    for one, other in itertools.combinations(range(len(known)), 2):
        found = {(choice[one], choice[other]) for choice in choices}
        assert found == set(itertools.product(known[one], known[other]))
    networks = {(sizes.encoder.kind, sizes.decoder.kind) for sizes in ARCHITECTURES.values()}
    kinds = RECURRENT | {"transformer"}
    assert networks == set(itertools.product(kinds, kinds))
    for sizes in ARCHITECTURES.values():
        config.check(sizes)


def test_shapes_are_as_documented(model: Seq2Seq) -> None:
    memory, output = common(model)
    sizes = model.sizes
    assert memory.states.shape == (4, 6, sizes.encoder.size)
    assert memory.mask.sum(1).tolist() == list(LENGTHS)
    assert output.features.shape == (4, STEPS, sizes.decoder.embedding)
    assert model.decoder.logits(output.features).shape == (4, STEPS, PIECES)
    assert len(memory.looked) == (sizes.decoder.layers if model.heads else 0)
    if output.cross is not None:
        assert output.cross.shape == (4, STEPS, 6)
    assert (output.cross is None) == (sizes.attention.kind == "none")
    if memory.keys is not None and output.alignment is not None:
        assert memory.keys.shape == (4, 6, sizes.alignment_head)
        assert output.alignment.shape == (4, STEPS, 6)
    assert (output.alignment is None) == (memory.keys is None) == (not sizes.alignment_head)


def test_a_state_is_as_wide_as_the_model_says(model: Seq2Seq) -> None:
    memory, _ = common(model)
    if model.sizes.decoder.kind in RECURRENT:
        assert {name: part.shape for name, part in memory.first.items()} == {
            "state": (4, model.state_size)
        }
        assert memory.first["state"][:, : model.decoder.starts].all()
        assert not memory.first["state"][:, model.decoder.starts :].any(), "cells and fed features"
    else:
        assert {name: part.shape for name, part in memory.first.items()} == {
            "past": (4, 0, model.entry_size)
        }


def test_attention_rows_sum_to_one_over_real_tokens(model: Seq2Seq) -> None:
    memory, output = common(model)
    for rows in rows_of(memory, output):
        assert rows.sum(-1).allclose(torch.ones(4, STEPS), atol=CLOSE)
        assert not rows.masked_select(~memory.mask.unsqueeze(1)).any()
    assert not memory.states[~memory.mask].any()


def test_what_is_recurrent_is_bounded(model: Seq2Seq) -> None:
    """What int8 export relies on: see `quantize.py`."""
    memory, output = common(model)
    bounded = [memory.states] if model.sizes.encoder.kind in RECURRENT else []
    if model.sizes.decoder.kind in RECURRENT:
        bounded += [memory.first["state"], output.features]
    for values in bounded:
        assert values.abs().max() < 1


def test_padding_and_batch_mates_do_not_show(model: Seq2Seq) -> None:
    (source, lengths), target = sentences(LENGTHS), targets(4, STEPS)
    memory, output = run(model, source, lengths, target)
    for i, length in enumerate(LENGTHS):
        alone = source[i : i + 1, :length]
        wide = torch.cat([alone, torch.zeros(1, 3, dtype=torch.long)], dim=1)
        for padded in (alone, wide):
            own, mine = run(model, padded, lengths[i : i + 1], target[i : i + 1])
            pairs = [
                (own.states[0, :length], memory.states[i, :length]),
                (mine.features[0], output.features[i]),
                (model.decoder.logits(mine.features[0]), model.decoder.logits(output.features[i])),
            ]
            pairs += [(own.first[name][0], memory.first[name][i]) for name in own.first]
            if own.keys is not None and memory.keys is not None:
                pairs.append((own.keys[0, :length], memory.keys[i, :length]))
            for here, there in zip(rows_of(own, mine), rows_of(memory, output), strict=True):
                pairs.append((here[0, :, :length], there[i, :, :length]))
            for a, b in pairs:
                assert a.allclose(b, atol=CLOSE)


def test_what_fills_the_padding_does_not_show(model: Seq2Seq) -> None:
    (source, lengths), target = sentences(LENGTHS), targets(4, STEPS)
    noise = torch.where(source == 0, torch.randint(1, PIECES, source.shape), source)
    assert not torch.equal(noise, source)
    memory, output = run(model, source, lengths, target)
    other_memory, other = run(model, noise, lengths, target)
    assert other_memory.states.allclose(memory.states, atol=CLOSE)
    assert other.features.allclose(output.features, atol=CLOSE)
    for here, there in zip(rows_of(other_memory, other), rows_of(memory, output), strict=True):
        assert here.allclose(there, atol=CLOSE)


def test_a_position_sees_only_what_was_read_before(model: Seq2Seq) -> None:
    (source, lengths), target = sentences(LENGTHS), targets(4, STEPS)
    _, output = run(model, source, lengths, target)
    other = target.clone()
    other[:, 3] = FIRST_WORD + (other[:, 3] - FIRST_WORD + 1) % (PIECES - FIRST_WORD)
    _, changed = run(model, source, lengths, other)
    for name in ("features", "cross", "alignment"):
        before, after = getattr(output, name), getattr(changed, name)
        if before is not None:
            assert after[:, :3].allclose(before[:, :3], atol=1e-6)
            assert not after[:2, 3:].allclose(before[:2, 3:], atol=1e-4)


def test_steps_repeat_what_forward_says(model: Seq2Seq) -> None:
    (source, lengths), target = sentences(LENGTHS), targets(4, STEPS)
    memory, output = run(model, source, lengths, target)
    logits = model.decoder.logits(output.features)
    state = memory.first
    with torch.no_grad():
        for t in range(STEPS):
            step = model.step(target[:, t], state, memory)
            state = step.state
            assert step.logits.allclose(logits[:, t], atol=CLOSE)
            said = [] if step.cross is None else [step.cross.mean(1)]
            said += [] if step.alignment is None else [step.alignment]
            for row, rows in zip(said, rows_of(memory, output), strict=True):
                assert row.allclose(rows[:, t], atol=CLOSE)


def test_alignment_is_about_the_token_read_and_cross_attention_about_the_next(
    model: Seq2Seq,
) -> None:
    """Another token to read changes its alignment row in the same step, beyond the state's part."""
    memory, _ = common(model)
    with torch.no_grad():
        for name, weight in model.decoder.named_parameters():
            if name in ("lower.weight_ih_l0", "enter.weight"):
                weight.zero_()  # the state now knows nothing of the token
        one, two = (model.step(torch.full((4,), token), memory.first, memory) for token in (5, 6))
    assert one.logits.allclose(two.logits, atol=1e-6)
    if one.cross is not None and two.cross is not None:
        assert one.cross.allclose(two.cross, atol=1e-6)
    if one.alignment is not None and two.alignment is not None:
        assert not one.alignment[0].allclose(two.alignment[0], atol=1e-3)


def test_the_output_projection_is_the_target_embedding(model: Seq2Seq) -> None:
    features = torch.randn(3, model.sizes.decoder.embedding)
    expected = features @ model.decoder.embedding.weight.T + model.decoder.bias
    assert model.decoder.logits(features).allclose(expected, atol=CLOSE)
    assert not any("output" in name for name, _ in model.named_parameters())


def test_dropout_acts_in_training_alone(model: Seq2Seq) -> None:
    inputs = *sentences(LENGTHS), targets(4, STEPS)
    model.train()
    assert not model(*inputs).features.equal(model(*inputs).features)
    model.eval()
    assert model(*inputs).features.equal(model(*inputs).features)


def test_gradient_reaches_every_parameter(model: Seq2Seq) -> None:
    (source, lengths), target = sentences(LENGTHS), targets(4, STEPS)
    output = model.train()(source, lengths, target)
    goal = torch.randint(1, PIECES, (4 * STEPS,))
    loss = cross_entropy(over_all(model.decoder, output.features.flatten(0, 1), goal), 0.1)
    links = torch.zeros(4, STEPS, 6)
    links[:, 1:, 0] = 1.0
    if output.alignment is not None:
        loss = loss + guided_score_loss(output.alignment, source != 0, links)
    torch.autograd.backward([loss])
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        if not name.endswith(("key.bias", "key_token.bias")):  # the same for all keys: no matter
            assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("std", [0.1, 2.0])
def test_embeddings_begin_with_their_spread(std: float) -> None:
    torch.manual_seed(0)
    sizes = dataclasses.replace(network("lstm", "gru", "general"), embedding_std=std)
    model = Seq2Seq(2000, 2000, sizes)
    for embedding in (model.encoder.embedding, model.decoder.embedding):
        assert embedding.weight.std().item() == pytest.approx(std, rel=0.03)


@pytest.mark.parametrize("std", [0.1, 2.0])
def test_what_enters_a_transformer_is_as_large_as_its_place(std: float) -> None:
    torch.manual_seed(0)
    sizes = network("transformer", "transformer", "multi-head")
    model = Seq2Seq(2000, 2000, dataclasses.replace(sizes, embedding_std=std))
    for side in (model.encoder, model.decoder):
        assert isinstance(side, TransformerEncoder | TransformerDecoder)
        entered = side.enter(side.embedding.weight)
        assert entered.std().item() == pytest.approx(1, rel=0.15)


def test_the_shipped_model_has_its_size() -> None:
    recipes = Path(config.__file__).parent / "recipes"
    recipe = read_recipe(recipes / "en-fr.toml")
    model = Seq2Seq(recipe.subwords.size, recipe.subwords.size, recipe.model)
    total = sum(weight.numel() for weight in model.parameters())
    assert model.head is not None
    head = sum(weight.numel() for weight in model.head.parameters())
    assert 12e6 < total < 13e6
    assert 0.02 < head / total < 0.03
