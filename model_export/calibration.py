"""Scales of activations that have no bound, from what a model shows on the dev set.

They are fixed at export, like the scale of bounded ones: no sentence depends on another.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model_export.decode import pad_sources
from model_export.model import Seq2Seq
from model_export.quantize import LIMIT, LOGITS, is_rounded
from model_export.run import Run
from model_export.subwords import BOS

SENTENCES = 200
Scales = dict[str, float]


@torch.inference_mode()
def calibrate(run: Run, model: Seq2Seq) -> Scales:
    """Return scales by the path of the layer that reads, from dev pairs with their target given.

    They are read one by one, for padding does not count.
    """
    source, target = run.tokenizers()
    pairs = run.dev_pairs()[:: max(1, len(run.dev_pairs()) // SENTENCES)]
    with watched(model) as largest:
        for pair in pairs:
            padded, lengths = pad_sources([source.encode(pair.source).ids])
            given = torch.tensor([[BOS, *target.encode(pair.target).ids]])
            model.decoder.logits(model(padded, lengths, given).features)
    return scales(largest)


def scales(largest: Scales) -> Scales:
    """Return the scales of layers that read numbers beyond (-1, 1); the others need none."""
    return {name: float(np.float32(most / LIMIT)) for name, most in largest.items() if most > 1.0}


@contextmanager
def watched(model: Seq2Seq) -> Iterator[Scales]:
    """Yield the largest absolute number that each product rounds, by the path of its layer."""
    largest: Scales = {}
    hooks = []
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear | nn.LSTM | nn.GRU | nn.Identity) and is_rounded(name):
            skipped = model.sizes.decoder.embedding if name == "decoder.lower" else 0
            known = LOGITS if name == "decoder.rounding" else name
            hooks.append(layer.register_forward_pre_hook(_watch(known, skipped, largest)))
    try:
        yield largest
    finally:
        for hook in hooks:
            hook.remove()


def _watch(name: str, skipped: int, largest: Scales) -> Callable[[nn.Module, Any], None]:
    """Return what notes the largest number, but for the first `skipped` of a position.

    Those are an embedded token, whose products are looked up.
    """

    def note(layer: nn.Module, given: Any) -> None:
        values = given[0]
        if isinstance(values, Tensor):
            values = values[..., skipped:]
        if isinstance(values, Tensor) and values.numel():
            largest[name] = max(largest.get(name, 0.0), float(values.abs().max()))

    return note
