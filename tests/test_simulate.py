"""The torch simulation: the same network as the model, but for its rounding."""

import pytest
import torch
from torch import Tensor

from model_export import config, simulate
from model_export.model import Memory, Seq2Seq
from model_export.quantize import ACTIVATION_SCALE, quantize_table

SIZES = config.Model(
    source_embedding=16,
    target_embedding=18,
    encoder=8,
    encoder_layers=2,
    decoder=16,
    decoder_top=14,
    alignment_head=8,
    dropout=0.1,
    word_dropout=0.0,
    embedding_std=0.1,
)
LENGTHS = torch.tensor([7, 3, 1, 5])


def lively_model() -> Seq2Seq:
    """Return a tiny model whose activations fill their range, as a trained one's do."""
    torch.manual_seed(1)
    model = Seq2Seq(40, 40, SIZES).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=1.5 * weight.shape[-1] ** -0.5)
    return model


def sources() -> Tensor:
    """Return padded sources (4, 7)."""
    source = torch.randint(4, 40, (4, 7), generator=torch.Generator().manual_seed(2))
    return source * (torch.arange(7) < LENGTHS.unsqueeze(1))


def run(model: Seq2Seq) -> list[Tensor]:
    """Return what encoding, a step and a whole target give."""
    target = torch.randint(4, 40, (4, 6), generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        memory = model.encode(sources(), LENGTHS)
        step = model.step(target[:, 0], memory.start, memory)
        out = model(sources(), LENGTHS, target)
        logits = model.decoder.logits(out.features)
    return [memory.states, memory.keys, memory.start, *step, logits, out.cross, out.alignment]


def test_it_stays_near_the_model() -> None:
    model = lively_model()
    for exact, rounded in zip(run(model), run(simulate.simulate(model)), strict=True):
        error = (exact - rounded).abs()
        assert 0 < error.max() < 0.25
        assert error.mean() < 0.05


def test_without_rounding_it_is_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    class Exact:
        def __init__(self, weight: Tensor) -> None:
            self.weight = weight.clone()

        def tensor(self) -> Tensor:
            return self.weight

    monkeypatch.setattr(simulate, "fake_quantize", lambda values: values)
    monkeypatch.setattr(simulate, "quantize_table", Exact)
    monkeypatch.setattr(simulate, "quantize_product", Exact)
    model = lively_model()
    for exact, rounded in zip(run(model), run(simulate.simulate(model)), strict=True):
        torch.testing.assert_close(exact, rounded, rtol=0, atol=1e-5)


def test_the_model_is_left_as_it_was() -> None:
    model = lively_model()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    simulate.simulate(model)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_source_embeddings_are_table_values() -> None:
    model = lively_model()
    rounded = simulate.simulate(model).encoder.embedding.weight
    assert torch.equal(rounded, quantize_table(model.encoder.embedding.weight).tensor())


def test_features_are_rounded_before_the_output() -> None:
    rounded = simulate.simulate(lively_model())
    features = torch.full((1, 18), 0.4)
    logits = rounded.decoder.logits(features)
    assert torch.equal(logits, rounded.decoder.logits(features + ACTIVATION_SCALE / 9))
    assert not torch.equal(logits, rounded.decoder.logits(features + ACTIVATION_SCALE))


def test_padding_does_not_show() -> None:
    rounded = simulate.simulate(lively_model())
    with torch.inference_mode():
        crowd = rounded.encode(sources(), LENGTHS)
        for row, length in enumerate(LENGTHS.tolist()):
            alone: Memory = rounded.encode(
                sources()[row : row + 1, :length], LENGTHS[row : row + 1]
            )
            torch.testing.assert_close(alone.states[0], crowd.states[row, :length])
            torch.testing.assert_close(alone.start[0], crowd.start[row])
            assert (crowd.states[row, length:] == 0).all()
