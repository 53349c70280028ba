"""Encoders: what they say of each token and of the whole, against torch's own layers."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor, nn

from model_export.config import RECURRENT
from model_export.encoders import (
    EmbeddingDropout,
    EncoderLayer,
    Read,
    RecurrentEncoder,
    TransformerEncoder,
    build,
    positions,
)
from tests.architectures import lively, network, sentences

LENGTHS = (6, 2, 1, 4)
KINDS = ("lstm", "gru", "transformer")
CLOSE = 1e-5


def encoder_of(kind: str, layers: int = 2) -> RecurrentEncoder | TransformerEncoder:
    return lively(network(kind, "gru", "general", layers)).encoder


def read(encoder: nn.Module, source: Tensor, lengths: Tensor) -> Read:
    with torch.no_grad():
        found = encoder(source, lengths)
    assert isinstance(found, Read)
    return found


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_shapes_are_as_documented(kind: str, layers: int) -> None:
    encoder = encoder_of(kind, layers)
    source, lengths = sentences(LENGTHS)
    found = read(encoder, source, lengths)
    assert found.states.shape == (4, 6, 16)
    assert found.summary.shape == (4, 16)
    assert found.embedded.equal(encoder.embedding(source))
    mask = torch.arange(6) < lengths.unsqueeze(1)
    assert not found.states[~mask].any()
    assert found.states[mask].abs().amax(-1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_batch_mates_do_not_show(kind: str) -> None:
    encoder = encoder_of(kind)
    source, lengths = sentences(LENGTHS)
    crowd = read(encoder, source, lengths)
    for row, length in enumerate(LENGTHS):
        alone = source[row : row + 1, :length]
        for width in (0, 5):
            wide = torch.cat([alone, torch.full((1, width), 7)], dim=1)
            own = read(encoder, wide, lengths[row : row + 1])
            assert own.states.shape[1] == length + width
            assert own.states[0, :length].allclose(crowd.states[row, :length], atol=CLOSE)
            assert own.summary[0].allclose(crowd.summary[row], atol=CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_every_token_shows_in_every_state(kind: str) -> None:
    encoder = encoder_of(kind)
    source, lengths = sentences((6,))
    before = read(encoder, source, lengths)
    source[0, 2] = source[0, 2] % 30 + 5
    after = read(encoder, source, lengths)
    changed = (before.states - after.states).abs().amax(-1)[0]
    assert (changed > 1e-4).all()
    assert not before.summary.allclose(after.summary, atol=1e-4)


@pytest.mark.parametrize("kind", sorted(RECURRENT))
def test_a_recurrent_encoder_reads_each_way_from_its_own_end(kind: str) -> None:
    encoder = encoder_of(kind, layers=1)
    assert isinstance(encoder, RecurrentEncoder)
    source, lengths = sentences(LENGTHS)
    found = read(encoder, source, lengths)
    single = nn.LSTM if kind == "lstm" else nn.GRU
    ahead, back = (single(14, 8, batch_first=True) for _ in range(2))
    weights = encoder.layers.state_dict()
    ahead.load_state_dict({n: w for n, w in weights.items() if not n.endswith("_reverse")})
    back.load_state_dict(
        {n.removesuffix("_reverse"): w for n, w in weights.items() if n.endswith("_reverse")}
    )
    for row, length in enumerate(LENGTHS):
        tokens = encoder.embedding(source[row : row + 1, :length])
        forwards, backwards = ahead(tokens)[0], back(tokens.flip(1))[0].flip(1)
        states = torch.cat([forwards, backwards], dim=-1)[0]
        assert found.states[row, :length].allclose(states, atol=CLOSE)
        ends = torch.cat([forwards[0, -1], backwards[0, 0]])
        assert found.summary[row].allclose(ends, atol=CLOSE), "all of it was read behind each"


def reference(layer: EncoderLayer) -> nn.TransformerEncoderLayer:
    """Torch's layer with the same weights."""
    attention, feed = layer.attention, layer.feed
    size, inner = feed.grow.in_features, feed.grow.out_features
    made = nn.TransformerEncoderLayer(
        size, attention.heads, inner, 0.0, batch_first=True, norm_first=True
    ).eval()
    parts = (attention.query, attention.key, attention.value)
    with torch.no_grad():
        made.self_attn.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        made.self_attn.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    made.self_attn.out_proj.load_state_dict(attention.out.state_dict())
    for theirs, ours in (
        (made.linear1, feed.grow),
        (made.linear2, feed.shrink),
        (made.norm1, layer.attention_norm),
        (made.norm2, layer.feed_norm),
    ):
        theirs.load_state_dict(ours.state_dict())
    return made


def test_a_transformer_layer_is_what_torch_has() -> None:
    """Normalised before each part, as Xiong et al. 2020 advise."""
    encoder = encoder_of("transformer")
    assert isinstance(encoder, TransformerEncoder)
    mask = torch.arange(6) < torch.tensor(LENGTHS).unsqueeze(1)
    for layer in encoder.layers:
        assert isinstance(layer, EncoderLayer)
        states = torch.randn(4, 6, 16)
        expected = reference(layer)(states, src_key_padding_mask=~mask)
        assert layer(states, mask)[mask].allclose(expected[mask], atol=CLOSE)


def test_a_transformer_adds_places_and_sums_up_by_the_mean() -> None:
    encoder = encoder_of("transformer")
    assert isinstance(encoder, TransformerEncoder)
    source, lengths = sentences((4, 2))
    states = encoder.enter(encoder.embedding(source)) + positions(torch.arange(4), 16)
    mask = torch.arange(4) < lengths.unsqueeze(1)
    for layer in encoder.layers:
        states = layer(states, mask)
    found = read(encoder, source, lengths)
    assert found.states[mask].allclose(encoder.norm(states)[mask], atol=CLOSE)
    assert found.summary[1].allclose(found.states[1, :2].mean(0), atol=CLOSE)
    assert found.summary[0].allclose(found.states[0].mean(0), atol=CLOSE)


def test_the_same_word_twice_is_told_apart_by_its_place() -> None:
    found = read(encoder_of("transformer"), torch.full((1, 5), 9), torch.tensor([5]))
    distances = torch.cdist(found.states[0], found.states[0])
    assert (distances + torch.eye(5) > 1e-2).all()


def test_positions_are_sines_then_cosines() -> None:
    """Wavelengths from 2 pi to 10,000 · 2 pi, in equal ratios (Vaswani et al. 2017, sec. 3.5)."""
    table = positions(torch.tensor([[0, 1], [7, 500]]), 8)
    assert table.shape == (2, 2, 8)
    assert table[0, 0].tolist() == [0.0] * 4 + [1.0] * 4
    for place, row in zip((0, 1, 7, 500), table.flatten(0, 1), strict=True):
        for i in range(4):
            angle = place / 10_000 ** (i / 3)
            assert row[i].item() == pytest.approx(math.sin(angle), abs=1e-4)
            assert row[4 + i].item() == pytest.approx(math.cos(angle), abs=1e-4)
    assert positions(torch.arange(3), 2)[2].tolist() == pytest.approx([math.sin(2), math.cos(2)])


def test_dropout_takes_single_numbers_or_whole_words() -> None:
    torch.manual_seed(0)
    sizes, ones = network("lstm", "gru", "general"), torch.ones(50, 20, 30)
    numbers = EmbeddingDropout(dataclasses.replace(sizes, dropout=0.5, word_dropout=0.0))(ones)
    assert set(numbers.unique().tolist()) == {0.0, 2.0}
    assert (numbers == 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    assert (numbers.amax(-1) > 0).all(), "no word is lost as a whole"
    words = EmbeddingDropout(dataclasses.replace(sizes, dropout=0.0, word_dropout=0.25))(ones)
    assert words.equal(words[:, :, :1].expand_as(words))
    assert (words == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert words.max().item() == pytest.approx(4 / 3)
    assert EmbeddingDropout(dataclasses.replace(sizes, dropout=0.5)).eval()(ones).equal(ones)


def test_a_recipe_has_its_encoder() -> None:
    built = {kind: build(10, network(kind, "gru", "general", layers=2)) for kind in KINDS}
    assert {kind: type(encoder) for kind, encoder in built.items()} == {
        "lstm": RecurrentEncoder,
        "gru": RecurrentEncoder,
        "transformer": TransformerEncoder,
    }
    lstm, gru = built["lstm"].layers, built["gru"].layers
    assert isinstance(lstm, nn.LSTM)
    assert isinstance(gru, nn.GRU)
    assert (lstm.num_layers, lstm.hidden_size, lstm.bidirectional) == (2, 8, True)
    transformer = built["transformer"].layers
    assert isinstance(transformer, nn.ModuleList)
    assert len(transformer) == 2
