"""Scales of what has no bound: what is watched, where none is needed, and of which sentences."""

import pytest
import torch
from torch import Tensor, nn

from model_export import calibration
from model_export.calibration import calibrate, scales, watched
from model_export.config import RECURRENT
from model_export.decode import pad_sources
from model_export.model import Seq2Seq
from model_export.quantize import LIMIT, LOGITS, is_rounded
from model_export.run import Run
from model_export.subwords import BOS
from tests.architectures import ARCHITECTURES, lively, network, sentences, shown, targets

LENGTHS = (7, 3, 5)
TRANSFORMER = network("transformer", "transformer", "multi-head", layers=2)


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> Seq2Seq:
    return lively(ARCHITECTURES[request.param])


@torch.inference_mode()
def look(model: Seq2Seq) -> calibration.Scales:
    """Return the largest numbers of a forward pass."""
    with watched(model) as largest:
        model.decoder.logits(model(*sentences(LENGTHS), targets(3, 4)).features)
    return largest


def test_only_numbers_beyond_one_need_a_scale() -> None:
    found = scales({"bounded": 1.0, "small": 0.2, "large": 25.4})
    assert found == {"large": pytest.approx(25.4 / LIMIT)}
    assert torch.tensor(found["large"]).item() == found["large"], "a float32, as graphs have it"


def test_every_product_that_rounds_is_watched(model: Seq2Seq) -> None:
    """But for an encoder's recurrence, whose inputs are tokens or bounded."""
    names = {
        name
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear | nn.LSTM | nn.GRU) and is_rounded(name)
    }
    names -= {"encoder.layers"}
    if not (model.sizes.decoder.input_feeding or model.sizes.attention.kind == "additive"):
        names -= {"decoder.lower"}  # it reads tokens alone
    assert look(model).keys() == {*names, LOGITS}


def test_only_what_a_transformer_says_needs_a_scale(model: Seq2Seq) -> None:
    """And what many heads find, which are no convex combinations of memory."""
    found = shown(model)
    kinds = model.sizes.encoder.kind, model.sizes.decoder.kind
    if "transformer" in kinds:
        assert found
    elif model.sizes.attention.kind == "multi-head":
        assert found.keys() <= {"decoder.combine", "decoder.top", "decoder.lower"}
    else:
        assert not found
    if kinds[1] in RECURRENT:
        assert not found.keys() & {LOGITS, "head.query_state", "decoder.attention.query"}


def test_the_largest_number_is_that_of_the_input() -> None:
    model = lively(network("lstm", "gru", "general"))
    given: list[Tensor] = []
    model.decoder.get_submodule("combine").register_forward_pre_hook(
        lambda _, inputs: given.append(inputs[0])
    )
    largest = look(model)
    (read,) = given
    assert largest["decoder.combine"] == read.abs().max().item()


@pytest.mark.parametrize("attention", ["additive", "general"])
def test_an_embedded_token_does_not_count(attention: str) -> None:
    """Its product is a table; what the decoder reads along with it is rounded."""
    model = lively(network("transformer", "gru", attention, input_feeding=True))
    before = look(model)["decoder.lower"]
    with torch.no_grad():
        model.decoder.embedding.weight.mul_(50)
        model.decoder.get_parameter("lower.weight_ih_l0")[:, :18].div_(50)
    assert look(model)["decoder.lower"] == pytest.approx(before, rel=1e-3)


def test_it_is_the_largest_of_all_that_was_seen() -> None:
    model = lively(TRANSFORMER)
    source, lengths = sentences(LENGTHS)
    singles = []
    with torch.inference_mode():
        with watched(model) as largest:
            for row, length in enumerate(LENGTHS):
                own = source[row : row + 1, :length], lengths[row : row + 1]
                model(*own, targets(3, 4)[row : row + 1])
        for row, length in enumerate(LENGTHS):
            own = source[row : row + 1, :length], lengths[row : row + 1]
            with watched(model) as single:
                model(*own, targets(3, 4)[row : row + 1])
            singles.append(single)
    assert largest == {name: max(one[name] for one in singles) for name in largest}


def test_nothing_is_watched_any_more_afterwards() -> None:
    model = lively(TRANSFORMER)
    with pytest.raises(ZeroDivisionError), watched(model) as largest:
        raise ZeroDivisionError
    model(*sentences(LENGTHS), targets(3, 4))
    assert largest == {}
    assert not any(layer._forward_pre_hooks for layer in model.modules())


def test_a_recurrent_bundle_needs_no_scales(toy_run: Run) -> None:
    source, target = toy_run.tokenizers()
    model = Seq2Seq(source.size, target.size, toy_run.recipe.model).eval()
    assert calibrate(toy_run, model) == {}


def test_dev_pairs_are_looked_at_with_their_targets(
    toy_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    source, target = toy_run.tokenizers()
    model = Seq2Seq(source.size, target.size, TRANSFORMER).eval()
    found = calibrate(toy_run, model)
    assert {"encoder.layers.1.feed.grow", "decoder.layers.0.cross.key"} <= found.keys()
    with torch.inference_mode(), watched(model) as largest:
        for pair in toy_run.dev_pairs():
            given = torch.tensor([[BOS, *target.encode(pair.target).ids]])
            own = pad_sources([source.encode(pair.source).ids])
            model.decoder.logits(model(*own, given).features)
    assert found == scales(largest)
    monkeypatch.setattr(calibration, "SENTENCES", 3)
    fewer = calibrate(toy_run, model)
    assert all(fewer[name] <= found[name] for name in fewer)
    assert fewer != found
