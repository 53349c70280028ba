"""The torch simulation: the same network as the model, but for its rounding."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from model_export import quantize, simulate
from model_export.config import RECURRENT
from model_export.model import Seq2Seq
from model_export.quantize import ACTIVATION_SCALE, LOGITS, quantize_product, quantize_table
from tests.architectures import ARCHITECTURES, lively, network, sentences, shown, targets

LENGTHS = (7, 3, 1, 5)
SIMPLE = network("lstm", "gru", "general", layers=2, top=12)


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> Seq2Seq:
    return lively(ARCHITECTURES[request.param])


def run(model: Seq2Seq) -> dict[str, Tensor]:
    """Return what encoding, a step and a whole target give."""
    (source, lengths), target = sentences(LENGTHS), targets(4, 6)
    with torch.inference_mode():
        memory = model.encode(source, lengths)
        step = model.step(target[:, 0], memory.first, memory)
        out = model(source, lengths, target)
        found = {"logits": step.logits, "all logits": model.decoder.logits(out.features)}
    parts = {
        "memory": memory.states,
        "keys": memory.keys,
        "cross": step.cross,
        "alignment": step.alignment,
        "all cross": out.cross,
        "all alignment": out.alignment,
        **{f"first {name}": part for name, part in memory.first.items() if part.numel()},
        **{f"next {name}": part for name, part in step.state.items()},
    }
    return {**found, **{name: part for name, part in parts.items() if part is not None}}


def test_it_stays_near_the_model(model: Seq2Seq) -> None:
    """Numbers of a Transformer are greater than one, and so is a step between them."""
    scales = shown(model)
    wider = max(scales.values(), default=ACTIVATION_SCALE) / ACTIVATION_SCALE
    rounded = run(simulate.simulate(model, scales))
    for name, exact in run(model).items():
        error = (exact - rounded[name]).abs()
        assert 0 < error.max() < 0.25 * wider, name
        assert error.mean() < 0.05 * wider, name


def test_without_rounding_it_is_the_model(model: Seq2Seq, monkeypatch: pytest.MonkeyPatch) -> None:
    class Exact:
        def __init__(self, weight: Tensor) -> None:
            self.weight = weight.clone()

        def tensor(self) -> Tensor:
            return self.weight

    monkeypatch.setattr(simulate, "fake_quantize", lambda values, scale=1.0: values)
    monkeypatch.setattr(simulate, "quantize_table", Exact)
    monkeypatch.setattr(simulate, "quantize_product", Exact)
    rounded = run(simulate.simulate(model, {}))
    for name, exact in run(model).items():
        torch.testing.assert_close(exact, rounded[name], rtol=0, atol=1e-5)


def test_the_model_is_left_as_it_was(model: Seq2Seq) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    simulate.simulate(model, {})
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_embeddings_are_table_values(model: Seq2Seq) -> None:
    """The target's are the weights of a product too, and keep its bounds."""
    rounded = simulate.simulate(model, {})
    source, target = model.encoder.embedding.weight, model.decoder.embedding.weight
    assert torch.equal(rounded.encoder.embedding.weight, quantize_table(source).tensor())
    assert torch.equal(rounded.decoder.embedding.weight, quantize_product(target).tensor())


def weight_of(model: Seq2Seq, name: str) -> Tensor:
    """Return the weight of a linear layer, rounded or not."""
    module = model.get_submodule(name)
    if isinstance(module, simulate.RoundedLinear):
        module = module.layer
    assert isinstance(module, nn.Linear)
    return module.weight


def test_every_product_is_rounded_but_those_of_one_output(model: Seq2Seq) -> None:
    rounded = simulate.simulate(model, {})
    for name, layer in model.named_modules():
        if isinstance(layer, nn.LSTM | nn.GRU):
            assert isinstance(rounded.get_submodule(name), simulate.RoundedLayers)
        if not isinstance(layer, nn.Linear):
            continue
        found = weight_of(rounded, name)
        if name in quantize.TOKENS:
            assert torch.equal(found, quantize_table(layer.weight).tensor())
        elif name.endswith(quantize.FLOAT):
            assert torch.equal(found, layer.weight)
            assert layer.out_features == 1
        else:
            assert torch.equal(found, quantize_product(layer.weight).tensor())


def test_a_scale_is_of_the_layer_at_its_path(model: Seq2Seq) -> None:
    scales: Mapping[str, float] = {
        name: 0.01 * (number + 1)
        for number, (name, layer) in enumerate(model.named_modules())
        if isinstance(layer, nn.Linear | nn.LSTM | nn.GRU) and quantize.is_rounded(name)
    }
    rounded = simulate.simulate(model, {**scales, LOGITS: 0.5})
    found = {
        name: module.scale
        for name, module in rounded.named_modules()
        if isinstance(module, simulate.RoundedLinear | simulate.RoundedLayers)
    }
    assert found == scales
    assert isinstance(rounded.decoder.rounding, simulate.Rounding)
    assert rounded.decoder.rounding.scale == 0.5


def test_features_are_rounded_before_the_output() -> None:
    rounded = simulate.simulate(lively(SIMPLE), {})
    features = torch.full((1, 18), 0.4)
    logits = rounded.decoder.logits(features)
    assert torch.equal(logits, rounded.decoder.logits(features + ACTIVATION_SCALE / 9))
    assert not torch.equal(logits, rounded.decoder.logits(features + ACTIVATION_SCALE))
    wider = simulate.simulate(lively(SIMPLE), {LOGITS: 0.1})
    assert torch.equal(
        wider.decoder.logits(features), wider.decoder.logits(features + ACTIVATION_SCALE)
    )


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_embedded_tokens_enter_a_recurrence_unrounded(kind: str) -> None:
    """Their products are tables; what is read along with them is rounded."""
    model = lively(network("lstm", kind, "additive", input_feeding=True))
    rounded = simulate.simulate(model, {"decoder.lower": 0.02})
    layer = rounded.decoder.get_submodule("lower")
    assert isinstance(layer, simulate.RoundedLayers)
    first = torch.zeros(1, 2, 16)

    def states(read: Tensor) -> Tensor:
        found = layer(read, (first, first) if kind == "lstm" else first)[0]
        assert isinstance(found, Tensor)
        return found

    on_step = torch.randint(-50, 50, (2, 1, 18 + 16 + 18)) * 0.02
    for place, shows in ((0, True), (17, True), (18, False), (34, False), (51, False)):
        nudged = on_step.clone()
        nudged[..., place] += 0.004
        assert torch.equal(states(nudged), states(on_step)) != shows


def test_padding_does_not_show(model: Seq2Seq) -> None:
    """Among a Transformer's sums some lie on the border between two steps, and fall either way."""
    rounded = simulate.simulate(model, shown(model))
    most = 0.0 if model.sizes.encoder.kind in RECURRENT else 0.1
    source, lengths = sentences(LENGTHS)
    with torch.inference_mode():
        crowd = rounded.encode(source, lengths)
        for row, length in enumerate(LENGTHS):
            alone = rounded.encode(source[row : row + 1, :length], lengths[row : row + 1])
            pairs = [(alone.states[0], crowd.states[row, :length])]
            if "state" in crowd.first:
                pairs.append((alone.first["state"][0], crowd.first["state"][row]))
            for one, other in pairs:
                assert ((one - other).abs() > 1e-5).float().mean() <= most
            assert (crowd.states[row, length:] == 0).all()
