"""Dequantise: no int8 operator is left, and the float32 graphs say what the int8 ones say."""

import random
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from model_export.run import Run
from service.bundle import Bundle, open_bundle
from service.dequantise import PRODUCT, ROUNDING, dequantise, in_float32
from service.errors import DamagedBundle
from service.runner import Encoded, Runner
from service.shelf import EMBEDDED
from service.tokenizer import Tokenizer
from tests import toy
from tests.devices import StandIn

CHOSEN_TOLERANCE = 0.15
"""Largest difference of the log-probability of the best token, in nats; 0.07 was measured."""
SCORE_TOLERANCE = 0.4
"""The same of any token that is likelier than exp(-12); 0.23 was measured."""
ATTENTION_TOLERANCE = 0.08
"""Largest difference of a share of attention; 0.04 was measured."""
SAME_TOKENS = 0.98
"""Smallest share of steps with the same best token; 0.997 was measured."""

GRAMMAR = [toy.text(toy.pair(random.Random(seed)).source) for seed in range(20)]
SENTENCES = [
    "How was your day?",
    "The cat is sleeping on the chair.",
    "I bought a red car yesterday.",
    "He didn't say anything, did he?",
    "We'll meet at 8:30 in front of the station.",
    "Tom has known Mary since 2013.",
    "My grandmother speaks three languages, but she has forgotten most of the second one.",
    "If it had not rained so much in the spring, the harvest would have been a good one.",
    "I don't know 你好 😀.",
    "Yes.",
]

EOS, BOS = 3, 2


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return open_bundle(EMBEDDED / "en-fr")


def bodies(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    inner = [a.g for node in graph.node for a in node.attribute if a.type == a.GRAPH]
    return [graph, *(one for body in inner for one in bodies(body))]


def check_floats(content: bytes, signature: onnx.GraphProto) -> None:
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    assert [opset.domain for opset in model.opset_import] == [""]
    assert model.graph.input == signature.input
    assert model.graph.output == signature.output
    read = {n.name for body in bodies(model.graph) for n in body.output}
    for body in bodies(model.graph):
        assert not {node.op_type for node in body.node} & {PRODUCT, ROUNDING}
        read |= {name for node in body.node for name in node.input}
        for value in (*body.input, *body.output, *body.value_info):
            assert value.type.tensor_type.elem_type != onnx.TensorProto.UINT8
    assert {tensor.name for tensor in model.graph.initializer} <= read
    assert all(tensor.data_type != onnx.TensorProto.UINT8 for tensor in model.graph.initializer)


@pytest.mark.parametrize("role", ["encoder", "decoder", "forced"])
def test_no_int8_operator_is_left(shipped: Bundle, toy_bundle: Bundle, role: str) -> None:
    roles = [{graph.role for graph in one.manifest.model.graphs} for one in (shipped, toy_bundle)]
    assert role in roles[1]
    for bundle in [shipped, toy_bundle][role not in roles[0] :]:
        content = bundle.path(f"{role}.onnx").read_bytes()
        graph = onnx.load_model_from_string(content).graph
        assert any(node.op_type == PRODUCT for body in bodies(graph) for node in body.node)
        check_floats(dequantise(content), graph)


def test_a_graph_without_int8_operators_is_left_alone(toy_run: Run, shipped: Bundle) -> None:
    fp32 = toy_run.path("fp32")
    for path in (fp32 / "encoder.onnx", fp32 / "decoder.onnx", shipped.path("candidates.onnx")):
        assert in_float32(path.read_bytes(), path.name) == path.read_bytes()


PRODUCTS = """
    <ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]>
    products (float[n, 4] x) => (float[n, 3] plain, float[n, 3] full, float[n, 4] tied) {
        rounded = QuantizeLinear (x, scale, zero)
        plain = com.microsoft.MatMulIntegerToFloat (rounded, weight, scale, scales, zero)
        full = com.microsoft.MatMulIntegerToFloat
            (rounded, weight, scale, scales, zero, zeros, bias)
        again = QuantizeLinear (plain, scale, zero)
        turned = Transpose (weight)
        tied = com.microsoft.MatMulIntegerToFloat (again, turned, scale, one_scale, zero)
    }"""


def products(weight: NDArray[np.int8]) -> onnx.ModelProto:
    model: onnx.ModelProto = parser.parse_model(PRODUCTS)
    constants = {
        "weight": weight,
        "scale": np.float32(1 / 64),
        "zero": np.uint8(128),
        "scales": np.array([0.5, 0.25, 0.125], np.float32),
        "one_scale": np.float32(0.5),
        "zeros": np.array([1, -2, 3], np.int8),
        "bias": np.array([0.5, -1.0, 2.0], np.float32),
    }
    for name, values in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(values), name))
    return model


def run(content: bytes, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {"x": x}))


def test_where_rounding_changes_nothing_the_products_are_the_same() -> None:
    rng = np.random.default_rng(7)
    model = products(rng.integers(-3, 4, (4, 3)).astype(np.int8))
    x = (rng.integers(-8, 9, (5, 4)) / 8).astype(np.float32)  # so that `plain` is whole 64ths too
    content = model.SerializeToString()
    for exact, floats in zip(run(content, x), run(dequantise(content), x), strict=True):
        assert exact == pytest.approx(floats, abs=1e-5)
        assert np.abs(exact).max() > 0.5


def test_a_product_of_something_that_is_no_constant_is_refused() -> None:
    model = products(np.ones((4, 3), np.int8))
    model.graph.input.append(onnx.helper.make_tensor_value_info("weight", 3, [4, 3]))
    kept = [tensor for tensor in model.graph.initializer if tensor.name != "weight"]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    with pytest.raises(DamagedBundle, match=r"decoder\.onnx cannot be dequantised.*'weight'"):
        in_float32(model.SerializeToString(), "decoder.onnx")


def test_the_package_onnx_is_imported_only_when_needed() -> None:
    program = "import sys, service.catalog; assert 'onnx' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("bundle", ["shipped", "toy_bundle"])
def test_step_by_step_both_say_the_same(bundle: str, request: pytest.FixtureRequest) -> None:
    """Both read the tokens that the int8 graph likes best, each with a state of its own."""
    opened: Bundle = request.getfixturevalue(bundle)
    model = opened.manifest.model
    runners = [Runner(opened.read, model), Runner(opened.read, model, StandIn(floats=True))]
    tokenizer = Tokenizer(opened.path(opened.manifest.source.tokenizer))
    same = total = 0
    texts = SENTENCES if bundle == "shipped" else GRAMMAR  # the toy knows nothing else
    for source in ([*tokenizer.encode(text).ids, EOS] for text in texts):
        encoded = [runner.encode([source])[0] for runner in runners]
        memories = [batch_of_one(one) for one in encoded]
        states = [{name: array[None] for name, array in one.state.items()} for one in encoded]
        token = BOS
        for _ in range(2 * len(source)):
            exact, floats = (
                runner.step([token], memory, state)
                for runner, memory, state in zip(runners, memories, states, strict=True)
            )
            distance = np.abs(exact.scores - floats.scores)[0]
            assert distance[exact.scores[0] > -12].max() < SCORE_TOLERANCE
            assert distance[exact.scores.argmax()] < CHOSEN_TOLERANCE
            for kind, rows in exact.attention.items():
                assert np.abs(rows - floats.attention[kind]).max() < ATTENTION_TOLERANCE
            token = int(exact.scores.argmax())
            same += token == int(floats.scores.argmax())
            total += 1
            states = [dict(exact.state), dict(floats.state)]
            if token == EOS:
                break
    assert same / total > SAME_TOKENS


def batch_of_one(encoded: Encoded) -> dict[str, NDArray[np.generic]]:
    return {name: array[None] for name, array in encoded.memory.items()}
