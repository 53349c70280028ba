"""Weights read back from graphs: the same network again, as it was rounded."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model_export import draft, export, restore
from model_export.export import Precision
from model_export.model import Seq2Seq
from model_export.run import Run
from model_export.train import load_model
from model_export.wait import wait
from service.bundle import Bundle
from service.options import Options
from service.translator import Translator
from tests.architectures import (
    ARCHITECTURES,
    PRECISIONS,
    lively,
    network,
    sentences,
    shown,
    targets,
)
from tests.conftest import CAPACITY

SENTENCES = ["The king sees the queen.", "The young dog finds a garden."]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_network_is_read_back(name: str, precision: Precision, tmp_path: Path) -> None:
    model, again = lively(ARCHITECTURES[name]), lively(ARCHITECTURES[name], seed=7)
    export.export(model, tmp_path, precision, shown(model))
    restore.read_back(again, tmp_path, precision)
    for path, weight in model.named_parameters():
        if weight.dim() > 1:  # of biases that are added up, the first is the sum
            largest = weight.abs().amax(dim=-1, keepdim=True)
            allowed = 0.0 if precision == "fp32" else 1 / 120
            off = (weight - again.get_parameter(path)).abs()
            assert (off <= largest * allowed).all(), path
    assert np.abs(said(model) - said(again)).max() < (1e-4 if precision == "fp32" else 0.3)


def said(model: Seq2Seq) -> np.ndarray:
    """Return the log-probabilities of a few given targets."""
    source, lengths = sentences((9, 5, 2))
    with torch.inference_mode():
        made = model(source, lengths, targets(3, 6))
        return model.decoder.logits(made.features).log_softmax(-1).numpy()


def test_a_bundle_of_other_sizes_is_not_read(tmp_path: Path) -> None:
    export.export(lively(network("lstm", "gru", "general")), tmp_path, "int8", {})
    with pytest.raises(restore.RestoreError, match="the recipe's network has not"):
        restore.read_back(lively(network("lstm", "gru", "additive")), tmp_path, "int8")
    with pytest.raises(restore.RestoreError, match=r"is \[.*\], not \[.*\] as the recipe says"):
        restore.read_back(lively(network("lstm", "gru", "general", top=12)), tmp_path, "int8")


def test_a_run_goes_on_from_a_bundle(
    toy_run: Run, toy_bundle: Bundle, translator: Translator, tmp_path: Path
) -> None:
    run = Run(toy_run.recipe, toy_run.data, tmp_path / "again")
    run.path("unsharpened.pt").touch()
    restore.restore(run, toy_bundle)
    assert run.before_sharpening() == run.best, "what others trained is no beginning any more"
    draft.write(run, load_model(run), ["int8"])
    restored, sealed = Translator(draft.open_draft(run, "int8"), CAPACITY), translator
    assert said_of(restored, SENTENCES) == said_of(sealed, SENTENCES)
    restored.close(1.0)


def said_of(one: Translator, texts: list[str]) -> list[str]:
    return [made.text for made in wait(one.translate(texts, Options()))]
