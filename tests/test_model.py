"""The whole network: shapes, masks, steps, size and gradients."""

import dataclasses
from pathlib import Path

import pytest
import torch

from model_export import config
from model_export.attention import masked_softmax
from model_export.loss import full_cross_entropy, guided_score_loss
from model_export.model import Memory, Output, Seq2Seq

SIZES = config.Model(
    source_embedding=7,
    target_embedding=8,
    embedding_std=0.1,
    encoder=5,
    encoder_layers=2,
    decoder=6,
    decoder_top=4,
    alignment_head=4,
    dropout=0.0,
    word_dropout=0.0,
)
SOURCE_PIECES, TARGET_PIECES, PAD = 13, 11, 0
LENGTHS = torch.tensor([6, 2, 1, 4])
CLOSE = 1e-5


@pytest.fixture
def model() -> Seq2Seq:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    made = Seq2Seq(SOURCE_PIECES, TARGET_PIECES, SIZES).eval()
    for name, weight in made.named_parameters():
        if "embedding" in name or name == "decoder.bias":
            torch.nn.init.normal_(weight)  # so that attentions and logits are far from even
    return made


def sentences() -> torch.Tensor:
    """Four sources of different lengths, padded, (4, 6)."""
    source = torch.randint(1, SOURCE_PIECES, (4, 6))
    return source * (torch.arange(6) < LENGTHS.unsqueeze(1))


def targets() -> torch.Tensor:
    return torch.randint(1, TARGET_PIECES, (4, 5))


def run(
    model: Seq2Seq, source: torch.Tensor, lengths: torch.Tensor, target: torch.Tensor
) -> tuple[Memory, Output]:
    with torch.no_grad():
        return model.encode(source, lengths), model(source, lengths, target)


def test_shapes_are_as_documented(model: Seq2Seq) -> None:
    memory, output = run(model, sentences(), LENGTHS, targets())
    assert memory.states.shape == (4, 6, 2 * SIZES.encoder)
    assert memory.keys.shape == (4, 6, SIZES.alignment_head)
    assert memory.start.shape == (4, SIZES.decoder + SIZES.decoder_top)
    assert memory.mask.sum(1).tolist() == LENGTHS.tolist()
    assert output.features.shape == (4, 5, SIZES.target_embedding)
    assert output.cross.shape == output.alignment.shape == (4, 5, 6)
    assert model.decoder.logits(output.features).shape == (4, 5, TARGET_PIECES)


def test_attention_rows_sum_to_one_over_real_tokens(model: Seq2Seq) -> None:
    memory, output = run(model, sentences(), LENGTHS, targets())
    for rows in (output.cross, masked_softmax(output.alignment, memory.mask)):
        assert rows.sum(-1).allclose(torch.ones(4, 5), atol=CLOSE)
        assert not rows.masked_select(~memory.mask.unsqueeze(1)).any()
    assert not memory.states[~memory.mask].any()


def test_states_and_features_are_bounded(model: Seq2Seq) -> None:
    """What int8 export relies on: see `quantize.py`."""
    memory, output = run(model, sentences(), LENGTHS, targets())
    for values in (memory.states, memory.start, output.features):
        assert values.abs().max() < 1


def test_padding_and_batch_mates_do_not_show(model: Seq2Seq) -> None:
    source, target = sentences(), targets()
    memory, output = run(model, source, LENGTHS, target)
    for i, length in enumerate(LENGTHS.tolist()):
        alone = source[i : i + 1, :length]
        wide = torch.cat([alone, torch.full((1, 3), PAD)], dim=1)
        for padded in (alone, wide):
            own, mine = run(model, padded, LENGTHS[i : i + 1], target[i : i + 1])
            pairs = [
                (own.states[0, :length], memory.states[i, :length]),
                (own.keys[0, :length], memory.keys[i, :length]),
                (own.start[0], memory.start[i]),
                (mine.features[0], output.features[i]),
                (model.decoder.logits(mine.features[0]), model.decoder.logits(output.features[i])),
                (mine.cross[0, :, :length], output.cross[i, :, :length]),
                (mine.alignment[0, :, :length], output.alignment[i, :, :length]),
            ]
            for a, b in pairs:
                assert a.allclose(b, atol=CLOSE)


def test_what_fills_the_padding_does_not_show(model: Seq2Seq) -> None:
    source, target = sentences(), targets()
    noise = torch.where(source == PAD, torch.randint(1, SOURCE_PIECES, source.shape), source)
    assert not torch.equal(noise, source)
    memory, output = run(model, source, LENGTHS, target)
    other_memory, other = run(model, noise, LENGTHS, target)
    assert other_memory.states.allclose(memory.states, atol=CLOSE)
    assert other.features.allclose(output.features, atol=CLOSE)
    assert other.cross.allclose(output.cross, atol=CLOSE)


def test_a_position_sees_only_what_was_read_before(model: Seq2Seq) -> None:
    source, target = sentences(), targets()
    _, output = run(model, source, LENGTHS, target)
    other = target.clone()
    other[:, 3] = other[:, 3] % (TARGET_PIECES - 1) + 1
    _, changed = run(model, source, LENGTHS, other)
    for name in ("features", "cross", "alignment"):
        before, after = getattr(output, name), getattr(changed, name)
        assert after[:, :3].allclose(before[:, :3], atol=1e-7)
        assert not after[:2, 3:].allclose(before[:2, 3:], atol=1e-4)


def test_steps_repeat_what_forward_says(model: Seq2Seq) -> None:
    source, target = sentences(), targets()
    memory, output = run(model, source, LENGTHS, target)
    logits = model.decoder.logits(output.features)
    aligned = masked_softmax(output.alignment, memory.mask)
    state = memory.start
    with torch.no_grad():
        for t in range(target.shape[1]):
            step_logits, cross, alignment, state = model.step(target[:, t], state, memory)
            assert step_logits.allclose(logits[:, t], atol=CLOSE)
            assert cross.allclose(output.cross[:, t], atol=CLOSE)
            assert alignment.allclose(aligned[:, t], atol=CLOSE)


def test_alignment_is_about_the_token_read_and_cross_attention_about_the_next(
    model: Seq2Seq,
) -> None:
    """Another token to read changes its alignment row in the same step, beyond the state's part."""
    memory, _ = run(model, sentences(), LENGTHS, targets())
    with torch.no_grad():
        weights = dict(model.decoder.gru.named_parameters())
        weights["weight_ih_l0"].zero_()  # the state now knows nothing of the token
        one = model.step(torch.tensor([1, 1, 1, 1]), memory.start, memory)
        two = model.step(torch.tensor([2, 2, 2, 2]), memory.start, memory)
    assert one[1].allclose(two[1], atol=1e-7)
    assert not one[2][0].allclose(two[2][0], atol=1e-3)


def test_the_output_projection_is_the_target_embedding(model: Seq2Seq) -> None:
    features = torch.randn(3, SIZES.target_embedding)
    expected = features @ model.decoder.embedding.weight.T + model.decoder.bias
    assert model.decoder.logits(features).allclose(expected, atol=CLOSE)
    assert not any("output" in name for name, _ in model.named_parameters())


def test_dropout_acts_in_training_alone() -> None:
    torch.manual_seed(0)
    sizes = dataclasses.replace(SIZES, dropout=0.5, word_dropout=0.0)
    model, inputs = Seq2Seq(SOURCE_PIECES, TARGET_PIECES, sizes), (sentences(), LENGTHS, targets())
    model.train()
    assert not model(*inputs).features.equal(model(*inputs).features)
    model.eval()
    assert model(*inputs).features.equal(model(*inputs).features)


def test_gradient_reaches_every_parameter(model: Seq2Seq) -> None:
    source, target = sentences(), targets()
    source[0, :4] = torch.arange(1, 5)
    output = model.train()(source, LENGTHS, target)
    goal = torch.randint(1, TARGET_PIECES, (20,))
    token = full_cross_entropy(model.decoder, output.features.flatten(0, 1), goal, 0.1)
    links = torch.zeros(4, 5, 6)
    links[:, 1:, 0] = 1.0
    head = guided_score_loss(output.alignment, source != PAD, links)
    torch.autograd.backward([token + head])
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("std", [0.1, 2.0])
def test_embeddings_begin_with_their_spread(std: float) -> None:
    torch.manual_seed(0)
    model = Seq2Seq(2000, 2000, dataclasses.replace(SIZES, embedding_std=std))
    for embedding in (model.encoder.embedding, model.decoder.embedding):
        assert embedding.weight.std().item() == pytest.approx(std, rel=0.03)


def test_the_shipped_model_has_its_size() -> None:
    recipes = Path(config.__file__).parent / "recipes"
    recipe = config.read_recipe(recipes / "en-fr.toml")
    model = Seq2Seq(recipe.subwords.size, recipe.subwords.size, recipe.model)
    total = sum(weight.numel() for weight in model.parameters())
    head = sum(weight.numel() for weight in model.head.parameters())
    assert 12e6 < total < 13e6
    assert 0.02 < head / total < 0.03
