"""The phrases that graphs are said in: products and lookups in both precisions, and the frame."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_export import quantize
from model_export.graphs.spelling import (
    IR_VERSION,
    MICROSOFT,
    OPSET,
    Float32,
    Int8,
    array,
    integer_product,
)

Array = NDArray[np.generic]
PIECES, EMBEDDING, WIDE, OUT = 11, 6, 8, 5
WIDER = {"layer": 0.05}
"""A scale for numbers up to six."""


class Network(nn.Module):
    """What graphs are said of."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(PIECES, EMBEDDING)
        self.layer = nn.Linear(WIDE, OUT)
        self.norm = nn.LayerNorm(WIDE)
        self.tied_bias = nn.Parameter(torch.randn(PIECES))
        nn.init.normal_(self.norm.weight)
        nn.init.normal_(self.norm.bias)


@pytest.fixture
def network() -> Network:
    return Network().eval()


def run(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> NDArray[np.float32]:
    """Run a graph of one output."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    out: NDArray[np.float32] = session.run(None, dict(feeds))[0]
    return out


def values(rows: int, width: int, most: float = 1.0) -> Tensor:
    return (torch.rand(rows, width, generator=torch.Generator().manual_seed(rows)) * 2 - 1) * most


def rows_of(graph: Float32 | Int8, width: int, given: Tensor) -> NDArray[np.float32]:
    """Finish a graph from x (rows, width) to y, and run it."""
    made = graph.finish("g", f"(float[b, {width}] x) => (float[b, n] y)", "a test")
    return run(made, {"x": given.numpy()})


def near(found: NDArray[np.float32], expected: Tensor) -> None:
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-5)


def rounded(layer: nn.Linear, given: Tensor, scale: float) -> Tensor:
    """A linear layer as int8 computes it."""
    weight = quantize.quantize_product(layer.weight).tensor()
    return quantize.fake_quantize(given, scale) @ weight.T + layer.bias


def test_a_linear_layer_in_both_precisions(network: Network) -> None:
    given = values(7, WIDE, most=5.0)
    float32, int8 = Float32(network), Int8(network, WIDER)
    for graph in (float32, int8):
        graph.linear("y", "x", "layer")
    near(rows_of(float32, WIDE, given), network.layer(given))
    near(rows_of(int8, WIDE, given), rounded(network.layer, given, WIDER["layer"]))


def test_what_has_no_scale_of_its_own_lies_within_one(network: Network) -> None:
    graph, given = Int8(network, {}), values(7, WIDE)
    graph.linear("y", "x", "layer")
    near(rows_of(graph, WIDE, given), rounded(network.layer, given, quantize.ACTIVATION_SCALE))


def test_a_product_may_be_without_bias(network: Network) -> None:
    given = values(3, WIDE)
    for graph in (Float32(network), Int8(network, {})):
        graph.product("y", "x", network.layer.weight)
        exact = given @ network.layer.weight.T
        found = rows_of(graph, WIDE, given)
        np.testing.assert_allclose(found, exact.detach().numpy(), atol=0.05)
        assert np.abs(found).max() > 0.2


def test_lookups_are_products_of_embedded_tokens(network: Network) -> None:
    """In int8 from a table, which keeps the full range of a byte."""
    weight, bias = network.layer.weight[:, :EMBEDDING], network.layer.bias
    ids = np.array([[4, 0, 10], [4, 1, 3]])
    table = quantize.quantize_table(network.embedding.weight).tensor()
    wanted = {
        Float32: network.embedding.weight @ weight.T + bias,
        Int8: table @ quantize.quantize_table(weight).tensor().T + bias,
    }
    for graph in (Float32(network), Int8(network, {})):
        graph.embedding(network.embedding.weight, tied=False)
        graph.lookup("y", "ids", weight, bias)
        made = graph.finish("g", "(int64[b, s] ids) => (float[b, s, n] y)", "a test")
        near(run(made, {"ids": ids}), wanted[type(graph)][torch.from_numpy(ids)])


def test_the_tied_product_reads_the_embedding_a_second_time(network: Network) -> None:
    given = values(4, EMBEDDING, most=3.0)
    weight, bias = network.embedding.weight, network.tied_bias
    scales = {quantize.LOGITS: 3 / 127}
    rows = quantize.quantize_product(weight).tensor()
    wanted = {
        Float32: given @ weight.T + bias,
        Int8: quantize.fake_quantize(given, 3 / 127) @ rows.T + bias,
    }
    for graph in (Float32(network), Int8(network, scales)):
        graph.embedding(weight, tied=True)
        graph.tied_product("y", "x", bias, quantize.LOGITS)
        made = graph.finish("g", f"(float[b, {EMBEDDING}] x) => (float[b, v] y)", "a test")
        near(run(made, {"x": given.numpy()}), wanted[type(graph)])
        weights = [t for t in made.graph.initializer if list(t.dims) == [PIECES, EMBEDDING]]
        assert len(weights) == 1, "one copy serves both"


def test_a_norm_is_a_norm_in_both_precisions(network: Network) -> None:
    given = values(4, WIDE, most=9.0)
    for graph in (Float32(network), Int8(network, {})):
        graph.norm("y", "x", "norm")
        near(rows_of(graph, WIDE, given), network.norm(given))


def test_what_two_products_read_alike_is_rounded_once(network: Network) -> None:
    graph = Int8(network, WIDER)
    assert graph.round("x", 0.05) == graph.round("x", 0.05)
    assert graph.round("x", 0.05) != graph.round("x", 0.06)
    assert graph.round("x", 0.05) != graph.round("z", 0.05)
    assert graph.round("x", quantize.ACTIVATION_SCALE) == ("x_uint8", "scale")
    assert "".join(graph.lines).count("QuantizeLinear (x,") == 3
    assert "".join(graph.lines).count("QuantizeLinear (z,") == 1


def test_an_integer_product_says_both_scales_and_its_bias() -> None:
    said = integer_product("y", ("x_uint8", "scale_5"), "w", biased=True)
    arguments = "x_uint8, w_weight, scale_5, w_scale, zero_point, , w_bias"
    assert said == f"\ny = {MICROSOFT}.MatMulIntegerToFloat ({arguments})"
    assert integer_product("y", ("x", "s"), "w").endswith("zero_point)")


def test_a_finished_graph_is_framed_and_holds_what_it_reads(network: Network) -> None:
    graph = Float32(network)
    graph.constant("one", np.float32(1))
    graph.constant("unread", np.zeros((3, 3), np.float32))
    graph.say("y = Add (x, one)")
    made = graph.finish("g", "(float[b] x) => (float[b] y)", "It adds one.")
    assert {tensor.name for tensor in made.graph.initializer} == {"one"}
    assert (made.ir_version, made.producer_name) == (IR_VERSION, "interlinea")
    assert made.doc_string == made.graph.doc_string == "It adds one."
    assert [(entry.domain, entry.version) for entry in made.opset_import] == [("", OPSET)]
    assert Int8(network, {}).opsets == {"": OPSET, MICROSOFT: 1}
    assert run(made, {"x": np.array([1.5], np.float32)}).tolist() == [2.5]


def test_constants_inside_a_loop_are_held_too(network: Network) -> None:
    graph = Float32(network)
    graph.constant("step", np.float32(2))
    graph.constant("start", np.zeros(1, np.float32))
    graph.say("""
        last, y = Scan <num_scan_inputs = 1, body = b (float[1] sum, float[1] add)
            => (float[1] next, float[1] shown) {
                scaled = Mul (add, step)
                next = Add (sum, scaled)
                shown = Identity (next)
            }> (start, x)""")
    made = graph.finish("g", "(float[t, 1] x) => (float[t, 1] y)", "a test")
    found = run(made, {"x": np.array([[1.0], [2.0]], np.float32)})
    assert found.tolist() == [[2.0], [6.0]]


def test_what_is_said_of_a_body_is_kept_apart(network: Network) -> None:
    graph = Int8(network, {})
    graph.say("before")
    with graph.body() as lines:
        graph.linear("y", "x", "layer")
    graph.say("after")
    assert [line.strip() for line in graph.lines] == ["before", "after"]
    assert "QuantizeLinear (x," in "".join(lines)
    assert "y_weight" in graph.constants, "constants stand outside"


def test_names_are_given_once_and_graphs_are_checked(network: Network) -> None:
    graph = Float32(network)
    graph.constant("one", 1)
    with pytest.raises(AssertionError, match="one"):
        graph.constant("one", 2)
    graph.say("y = Added (x, one)")
    with pytest.raises(onnx.checker.ValidationError, match="Added"):
        graph.finish("g", "(float[b] x) => (float[b] y)", "a test")


def test_arrays_are_float32_on_the_host() -> None:
    weight = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    found = array(weight)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, weight.detach().numpy(), rtol=1e-6)
