"""The numbers of int8: bounds, exactness on this processor, ONNX's own rounding."""

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from onnx import parser

from model_export import quantize
from tests.architectures import ARCHITECTURES, lively

WEIGHTS = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.floats(-4, 4, width=32),
)


def pair_sums(values: NDArray[np.int8]) -> NDArray[np.int64]:
    """(R, C) -> the sums of neighbours of one sign, (R, C / 2, 2)."""
    padded = np.pad(values.astype(np.int64), ((0, 0), (0, values.shape[1] % 2)))
    pairs = padded.reshape(len(values), -1, 2)
    return np.stack([np.maximum(pairs, 0).sum(2), np.maximum(-pairs, 0).sum(2)], axis=2)


def run(text: str, **inputs: NDArray[np.generic]) -> NDArray[np.float32]:
    """Run a graph in ONNX text with one output."""
    model = parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]> {text}'
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    out: NDArray[np.float32] = session.run(None, inputs)[0]
    return out


@given(WEIGHTS)
def test_products_cannot_overflow_sixteen_bits(weight: NDArray[np.float32]) -> None:
    values = quantize.quantize_product(torch.from_numpy(weight)).values
    assert pair_sums(values).max() * 255 < 2**15


@given(WEIGHTS)
def test_every_weight_is_within_half_a_step(weight: NDArray[np.float32]) -> None:
    for rounding in (quantize.quantize_table, quantize.quantize_product):
        rounded = rounding(torch.from_numpy(weight))
        error = np.abs(rounded.tensor().numpy() - weight)
        assert (error <= rounded.scales[:, None] * 0.5001 + 1e-30).all()


def test_a_table_uses_the_full_range() -> None:
    values = quantize.quantize_table(torch.tensor([[1.0, 0.5], [-3.0, 3.0], [0.0, 0.0]])).values
    assert values.tolist() == [[127, 64], [-127, 127], [0, 0]]


def test_a_product_gives_way_only_where_neighbours_add_up() -> None:
    weight = torch.tensor([[1.0, 1.0, 0.5, -1.0], [1.0, 0.0, -1.0, 1.0]])
    values = quantize.quantize_product(weight).values
    assert values.tolist() == [[64, 64, 32, -64], [127, 0, -127, 127]]


@pytest.mark.parametrize("scale", [quantize.ACTIVATION_SCALE, float(np.float32(5.3 / 127))])
def test_activations_are_rounded_as_onnx_rounds(scale: float) -> None:
    halves = (torch.arange(-127, 127) + 0.5) * scale
    spread = torch.linspace(-1.1, 1.1, 999) * 127 * scale
    values = torch.cat([spread, halves, torch.tensor([0.0, -1, 1])])
    text = """g (float[n] x, float scale, uint8 zero) => (uint8[n] y)
        { y = QuantizeLinear (x, scale, zero) }"""
    expected = run(
        text,
        x=values.numpy(),
        scale=np.array(scale, np.float32),
        zero=np.array(quantize.ZERO_POINT, np.uint8),
    )
    assert (quantize.quantize_activation(values, scale).numpy() == expected).all()


@pytest.mark.parametrize("most", [1.0, 0.3, 7.7])
def test_fake_quantize_keeps_bounded_activations_within_half_a_step(most: float) -> None:
    values = torch.linspace(-most, most, 4001)
    error = (quantize.fake_quantize(values, most / 127) - values).abs().max()
    assert error <= 0.5001 * most / 127
    if most == 1.0:
        assert torch.equal(quantize.fake_quantize(values), quantize.fake_quantize(values, 1 / 127))


def test_what_lies_beyond_its_scale_is_clipped() -> None:
    values = torch.tensor([-9.0, 9.0])
    found = quantize.fake_quantize(values, 2 / 127)
    assert found.tolist() == pytest.approx([-2 * 128 / 127, 2.0])


def test_a_layer_without_a_scale_reads_bounded_numbers() -> None:
    scales = {"bridge": 0.25}
    assert quantize.scale_of("bridge", scales) == 0.25
    assert quantize.scale_of("decoder.combine", scales) == quantize.ACTIVATION_SCALE


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_not_rounded_is_a_table_or_has_one_output(name: str) -> None:
    model = lively(ARCHITECTURES[name])
    layers = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    exact = {path for path in layers if not quantize.is_rounded(path)}
    for path in exact - set(quantize.TOKENS):
        assert layers[path].out_features == 1
    embeddings = {14, 18}  # widths that nothing else has
    read = {path for path, layer in layers.items() if layer.in_features in embeddings}
    assert read == exact & set(quantize.TOKENS)


@pytest.mark.parametrize("rows", [1, 2, 7, 32])
@pytest.mark.parametrize("pair", [(127, 1), (1, 127), (64, 64), (-127, -1)])
def test_integer_products_are_exact_here(rows: int, pair: tuple[int, int]) -> None:
    """The worst weights that `quantize_product` allows, under the largest activations."""
    columns = np.tile(np.array(pair, np.int8)[:, None], (64, 40))  # (K 128, N 40)
    integers = ", ".join(str(value) for value in columns.flatten().tolist())
    ones = ", ".join(["1.0"] * 40)
    text = f"""g (uint8[b, 128] x) => (float[b, 40] y)
        <int8[128, 40] w = {{{integers}}}, float one = {{1.0}}, float[40] ones = {{{ones}}},
         uint8 zero = {{{quantize.ZERO_POINT}}}>
        {{ y = com.microsoft.MatMulIntegerToFloat (x, w, one, ones, zero) }}"""
    values = np.full((rows, 128), 255, np.uint8)
    exact = (values.astype(np.int64) - quantize.ZERO_POINT) @ columns.astype(np.int64)
    assert (run(text, x=values) == exact).all()
