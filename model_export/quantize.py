"""The numbers of int8: how weights and activations are rounded, for graphs and simulation alike.

Activations have a scale fixed at export, so that no sentence depends on its batch-mates.
Most of what enters a quantised product lies within (-1, 1): hidden states of LSTM and GRU,
the memory made of them, contexts (convex combinations of memory) and the features behind a
tanh. They become uint8 with zero point 128 and scale 1/127, rounded half to even as ONNX
`QuantizeLinear` does. What has no such bound, a Transformer's normalised sums, gets a scale
by the largest number that it shows on sentences of the dev set (`calibration.py`).

Weights are int8, symmetric, with one scale an output. Processors without VNNI add the
products of two neighbouring inputs in 16 signed bits (`vpmaddubsw`) and saturate:
255 · 127 + 255 · 127 does not fit. Seven-bit weights would, at the price of twice the
rounding error. But only the *sum* of two neighbours has to stay within 128, since
255 · 128 < 2^15, and large weights seldom are neighbours: a scale that respects this sum
leaves most of the eighth bit in use, and every processor computes the same integers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ACTIVATION_SCALE = float(np.float32(1 / 127))
ZERO_POINT = 128
LIMIT = 127
LOGITS = "decoder.logits"
"""What stands for the output projection among the names of layers."""

FLOAT = (".score", ".place")
"""How the paths of products of one output end, which stay in float32."""

TOKENS = ("head.key_token", "head.query_token", "encoder.enter", "decoder.enter")
"""Products of embedded tokens, which become tables."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """Rows of int8 (R, C), one scale a row (R,): row r is about `values[r] * scales[r]`."""

    values: NDArray[np.int8]
    scales: NDArray[np.float32]

    def tensor(self) -> Tensor:
        """Return what the integers stand for, (R, C) float32."""
        return torch.from_numpy(self.values).float() * torch.from_numpy(self.scales)[:, None]


def quantize_table(weight: Tensor) -> Quantized:
    """Round rows (R, C) to the full range of int8, for weights that are only looked up."""
    rows = _array(weight)
    return _round(rows, np.abs(rows).max(axis=1))


def quantize_product(weight: Tensor) -> Quantized:
    """Round the weights (outputs, inputs) of a product so that no pair of inputs overflows."""
    rows = _array(weight)
    padded = np.pad(rows, ((0, 0), (0, rows.shape[1] % 2)))
    pairs = padded.reshape(len(rows), -1, 2)
    rising, falling = np.maximum(pairs, 0).sum(axis=2), np.maximum(-pairs, 0).sum(axis=2)
    # Two numbers whose sum is at most 127 round to at most 128 together.
    return _round(rows, np.maximum(rising, falling).max(axis=1))


def quantize_activation(values: Tensor, scale: float = ACTIVATION_SCALE) -> Tensor:
    """Return the uint8 of activations, any shape."""
    scaled = torch.round(values / scale) + ZERO_POINT
    return scaled.clamp(0, 255).to(torch.uint8)


def fake_quantize(values: Tensor, scale: float = ACTIVATION_SCALE) -> Tensor:
    """Return activations as the integer products see them, any shape."""
    return (quantize_activation(values, scale).to(values.dtype) - ZERO_POINT) * scale


def is_rounded(name: str) -> bool:
    """Tell whether a product rounds what the linear layer at path `name` reads."""
    return name not in TOKENS and not name.endswith(FLOAT)


def scale_of(name: str, scales: Mapping[str, float]) -> float:
    """Return the scale of what the layer at path `name` reads."""
    return scales.get(name, ACTIVATION_SCALE)


def _array(weight: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = weight.detach().cpu().float().numpy()
    return array


def _round(rows: NDArray[np.float32], largest: NDArray[np.float32]) -> Quantized:
    scales = np.maximum(largest, np.finfo(np.float32).tiny * LIMIT).astype(np.float32) / LIMIT
    values = np.clip(np.rint(rows / scales[:, None]), -LIMIT, LIMIT)
    return Quantized(values.astype(np.int8), scales.astype(np.float32))
