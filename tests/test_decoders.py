"""Decoders: steps and whole targets alike, what each reads, against torch's own layers."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from model_export.config import RECURRENT
from model_export.decoders import (
    Decoded,
    DecoderLayer,
    RecurrentDecoder,
    TransformerDecoder,
    build,
)
from model_export.encoders import positions
from model_export.model import Memory, Seq2Seq
from tests.architectures import ARCHITECTURES, lively, network, sentences, targets

LENGTHS = (6, 2, 4)
STEPS = 5
CLOSE = 1e-5


def encoded(model: Seq2Seq) -> Memory:
    with torch.no_grad():
        return model.encode(*sentences(LENGTHS))


def same(one: Decoded, other: Decoded) -> None:
    """Check that two say the same of the same positions, and end in the same state."""
    assert one.states.allclose(other.states, atol=CLOSE)
    assert one.features.allclose(other.features, atol=CLOSE)
    assert (one.rows is None) == (other.rows is None)
    if one.rows is not None and other.rows is not None:
        assert one.rows.allclose(other.rows, atol=CLOSE)
    same_state(one.state, other.state)


def same_state(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, part in one.items():
        assert part.allclose(other[name], atol=CLOSE)


@torch.no_grad()
def piecewise(model: Seq2Seq, memory: Memory, tokens: Tensor, cuts: list[int]) -> Decoded:
    """Decode tokens (B, T) in pieces, each from the state behind the last."""
    state, parts = memory.first, []
    for piece in tokens.tensor_split(cuts, dim=1):
        parts.append(model.decoder(piece, state, memory.looked))
        state = parts[-1].state
    rows = [part.rows for part in parts if part.rows is not None]
    return Decoded(
        torch.cat([part.states for part in parts], 1),
        torch.cat([part.features for part in parts], 1),
        torch.cat(rows, 1) if rows else None,
        state,
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_steps_pieces_and_whole_targets_are_alike(name: str) -> None:
    model = lively(ARCHITECTURES[name])
    memory, tokens = encoded(model), targets(3, STEPS)
    whole = piecewise(model, memory, tokens, [])
    assert whole.states.shape == (3, STEPS, 16)
    assert whole.features.shape == (3, STEPS, 18)
    if whole.rows is not None:
        assert whole.rows.shape == (3, STEPS, model.heads, 6)
    for cuts in ([2], [1, 2, 3, 4]):
        same(piecewise(model, memory, tokens, cuts), whole)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_position_never_sees_the_future(name: str) -> None:
    model = lively(ARCHITECTURES[name])
    memory, tokens = encoded(model), targets(3, STEPS)
    whole = piecewise(model, memory, tokens, [])
    for length in range(1, STEPS):
        start = piecewise(model, memory, tokens[:, :length], [])
        assert start.states.allclose(whole.states[:, :length], atol=CLOSE)
        assert start.features.allclose(whole.features[:, :length], atol=CLOSE)
        if start.rows is not None and whole.rows is not None:
            assert start.rows.allclose(whole.rows[:, :length], atol=CLOSE)


def recurrent(decoder: str, attention: str, top: int = 0, fed: bool = False) -> Seq2Seq:
    return lively(network("lstm", decoder, attention, top=top, input_feeding=fed))


def parts_of(decoder: RecurrentDecoder, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = ("lower", "upper", "lower_cell", "upper_cell", "fed")
    split = torch.split(state["state"], decoder.layout, dim=-1)
    return {name: part for name, part in zip(names, split, strict=True) if part.shape[1]}


def cell(layer: nn.Module, read: Tensor, hidden: Tensor, memory: Tensor | None) -> list[Tensor]:
    """Make one step of a layer by torch's own cell; return state and, of an LSTM, cell."""
    weights = [layer.get_parameter(f"{name}_l0") for name in ("weight_ih", "weight_hh")]
    biases = [layer.get_parameter(f"{name}_l0") for name in ("bias_ih", "bias_hh")]
    made: nn.LSTMCell | nn.GRUCell
    if memory is None:
        made = nn.GRUCell(read.shape[1], hidden.shape[1])
    else:
        made = nn.LSTMCell(read.shape[1], hidden.shape[1])
    with torch.no_grad():
        made.weight_ih.copy_(weights[0])
        made.weight_hh.copy_(weights[1])
        made.bias_ih.copy_(biases[0])
        made.bias_hh.copy_(biases[1])
    if isinstance(made, nn.GRUCell):
        return [made(read, hidden)]
    assert memory is not None
    return list(made(read, (hidden, memory)))


@pytest.mark.parametrize("fed", [False, True])
@pytest.mark.parametrize("top", [0, 12])
@pytest.mark.parametrize("attention", ["additive", "concat", "none"])
@pytest.mark.parametrize("kind", sorted(RECURRENT))
def test_a_recurrent_step_reads_what_it_should(
    kind: str, attention: str, top: int, fed: bool
) -> None:
    """Bahdanau's reads what the state before it finds; Luong's asks with the state behind."""
    model = recurrent(kind, attention, top, fed)
    memory, decoder = encoded(model), model.decoder
    assert isinstance(decoder, RecurrentDecoder)
    tokens = targets(3, 2)
    with torch.no_grad():
        state = decoder(tokens[:, :1], memory.first, memory.looked).state
        found = decoder(tokens[:, 1:], state, memory.looked)
    before, after = parts_of(decoder, state), parts_of(decoder, found.state)
    assert ("fed" in before) == fed

    def ask(states: Tensor) -> list[Tensor]:
        if decoder.attention is None:
            return []
        return [decoder.attention(states.unsqueeze(1), memory.looked[0])[0][:, 0]]

    context = ask(before["lower"]) if attention == "additive" else []
    read = [decoder.embedding(tokens[:, 1]), *context, *([before["fed"]] if fed else [])]
    lower = cell(decoder.lower, torch.cat(read, -1), before["lower"], before.get("lower_cell"))
    context = context or ask(lower[0])
    known = torch.cat([*context, lower[0]], -1)
    assert after["lower"].allclose(lower[0], atol=CLOSE)
    assert found.states[:, 0].equal(after["lower"])
    if decoder.top is not None:
        upper = cell(decoder.top, known, before["upper"], before.get("upper_cell"))
        known = torch.cat([known, upper[0]], -1)
        assert after["upper"].allclose(upper[0], atol=CLOSE)
    features = torch.tanh(decoder.combine(known))
    assert found.features[:, 0].allclose(features, atol=CLOSE)
    if fed:
        assert after["fed"].equal(found.features[:, 0])
    if kind == "lstm":
        assert after["lower_cell"].allclose(lower[1], atol=CLOSE)


def test_fed_features_are_those_before_dropout() -> None:
    """What is dropped for the output still is what the decoder has said."""
    model = recurrent("gru", "general", fed=True).train()
    memory, decoder = encoded(model), model.decoder
    assert isinstance(decoder, RecurrentDecoder)
    with torch.no_grad():
        decoder.feature_dropout.p = 0.5
        found = decoder(targets(3, 1), memory.first, memory.looked)
    fed, said = parts_of(decoder, found.state)["fed"], found.features[:, 0]
    kept = said != 0
    assert not kept.all()
    assert said[kept].allclose(2 * fed[kept], atol=CLOSE)
    assert fed.all()


@pytest.mark.parametrize(
    ("kind", "top", "fed", "layout"),
    [
        ("gru", 0, False, [16, 0, 0, 0, 0]),
        ("gru", 12, True, [16, 12, 0, 0, 18]),
        ("lstm", 0, True, [16, 0, 16, 0, 18]),
        ("lstm", 12, False, [16, 12, 16, 12, 0]),
    ],
)
def test_a_state_is_laid_out_as_its_parts(
    kind: str, top: int, fed: bool, layout: list[int]
) -> None:
    model = recurrent(kind, "general", top, fed)
    assert isinstance(model.decoder, RecurrentDecoder)
    assert list(model.decoder.layout) == layout
    assert model.decoder.starts == sum(layout[:2])
    start = torch.randn(2, model.decoder.starts)
    first = parts_of(model.decoder, model.decoder.first(start))
    begun = [part for name, part in first.items() if name in ("lower", "upper")]
    assert torch.cat(begun, -1).equal(start)
    rest = [part for name, part in first.items() if name not in ("lower", "upper")]
    assert not any(part.any() for part in rest)


def transformer(layers: int = 2) -> Seq2Seq:
    return lively(network("gru", "transformer", "multi-head", layers))


def reference(layer: DecoderLayer) -> nn.TransformerDecoderLayer:
    """Torch's layer with the same weights."""
    attention, cross, feed = layer.self_attention, layer.cross, layer.feed
    made = nn.TransformerDecoderLayer(
        16, attention.heads, 20, 0.0, batch_first=True, norm_first=True
    ).eval()
    for theirs, ours in ((made.self_attn, attention), (made.multihead_attn, cross)):
        parts = (ours.query, ours.key, ours.value)
        with torch.no_grad():
            theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
            theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.num_heads, theirs.head_dim = ours.heads, 16 // ours.heads
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    rest: list[tuple[nn.Module, nn.Module]] = [
        (made.linear1, feed.grow),
        (made.linear2, feed.shrink),
        (made.norm1, layer.self_norm),
        (made.norm2, layer.cross_norm),
        (made.norm3, layer.feed_norm),
    ]
    for copy, original in rest:
        copy.load_state_dict(original.state_dict())
    return made


@torch.no_grad()
def test_a_transformer_is_made_of_the_layers_that_torch_has() -> None:
    model = transformer()
    memory, decoder, tokens = encoded(model), model.decoder, targets(3, STEPS)
    assert isinstance(decoder, TransformerDecoder)
    states = decoder.enter(decoder.embedding(tokens)) + positions(torch.arange(STEPS), 16)
    future = torch.ones(STEPS, STEPS, dtype=torch.bool).triu(1)
    for layer in decoder.layers:
        assert isinstance(layer, DecoderLayer)
        states = reference(layer)(
            states, memory.states, tgt_mask=future, memory_key_padding_mask=~memory.mask
        )
    found = decoder(tokens, memory.first, memory.looked)
    assert found.states.allclose(decoder.norm(states), atol=CLOSE)
    assert found.features.allclose(decoder.leave(decoder.norm(states)), atol=CLOSE)


@torch.no_grad()
def test_the_past_grows_by_keys_and_values_of_every_layer() -> None:
    model = transformer()
    memory, decoder, tokens = encoded(model), model.decoder, targets(3, STEPS)
    assert isinstance(decoder, TransformerDecoder)
    state = memory.first
    for step in range(STEPS):
        assert state["past"].shape == (3, step, 2 * 2 * 16)
        before = state["past"]
        state = decoder(tokens[:, step : step + 1], state, memory.looked).state
        assert state["past"][:, :step].equal(before), "what was said is not said anew"
    first = decoder.layers[0]
    assert isinstance(first, DecoderLayer)
    read = decoder.enter(decoder.embedding(tokens)) + positions(torch.arange(STEPS), 16)
    read = first.self_norm(read)
    keys, values = state["past"][:, :, :16], state["past"][:, :, 16:32]
    assert keys.allclose(first.self_attention.key(read), atol=CLOSE)
    assert values.allclose(first.self_attention.value(read), atol=CLOSE)


@torch.no_grad()
def test_the_same_token_again_is_told_apart_by_its_place() -> None:
    model = transformer()
    memory = encoded(model)
    found = model.decoder(torch.full((3, 4), 7), memory.first, memory.looked)
    distances = torch.cdist(found.states[0], found.states[0])
    assert (distances + torch.eye(4) > 1e-2).all()


@pytest.mark.parametrize("layer", [0, 1])
def test_rows_are_those_of_the_last_layer(layer: int) -> None:
    model = transformer()
    memory = encoded(model)
    with torch.no_grad():
        for part in ("weight", "bias"):  # the layer now asks for nothing
            model.decoder.get_parameter(f"layers.{layer}.cross.query.{part}").zero_()
        rows = model.decoder(targets(3, 2), memory.first, memory.looked).rows
    assert rows is not None
    even = memory.mask / memory.mask.sum(-1, keepdim=True)
    assert rows.allclose(even[:, None, None].expand_as(rows), atol=CLOSE) == (layer == 1)


def test_a_recipe_has_its_decoder() -> None:
    for kind in ("gru", "lstm", "transformer"):
        decoder = build(10, network("gru", kind, "multi-head", layers=2))
        wanted = TransformerDecoder if kind == "transformer" else RecurrentDecoder
        assert type(decoder) is wanted
        if isinstance(decoder, RecurrentDecoder):
            assert type(decoder.lower) is (nn.LSTM if kind == "lstm" else nn.GRU)
            assert decoder.top is None
        else:
            assert len(decoder.layers) == 2
