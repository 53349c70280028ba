"""What a manifest says of its graphs is held against the graphs."""

from collections.abc import Callable
from dataclasses import replace

import onnx
import pytest

from service.bundle import Bundle
from service.contract import Contract
from service.device import HOST
from service.errors import DamagedBundle
from service.manifest import Graph, Model, Tensor
from service.runner import Runner
from tests.devices import StandIn
from tests.folders import in_graph


def changed(model: Model, role: str, change: Callable[[Graph], Graph]) -> Model:
    """Return what a manifest would say if it said something else of one graph."""
    graphs = [change(graph) if graph.role == role else graph for graph in model.graphs]
    return replace(model, graphs=tuple(graphs))


def of_tensor(name: str, tensor: Tensor) -> Callable[[Graph], Graph]:
    def change(graph: Graph) -> Graph:
        inputs = tuple(tensor if one.name == name else one for one in graph.inputs)
        outputs = tuple(tensor if one.name == name else one for one in graph.outputs)
        return replace(graph, inputs=inputs, outputs=outputs)

    return change


def test_a_bundle_keeps_its_contract(toy_bundle: Bundle) -> None:
    runner = Runner(toy_bundle.read, toy_bundle.manifest.model)
    assert runner.pieces == 8000


@pytest.mark.parametrize(
    ("role", "name", "tensor", "says"),
    [
        ("encoder", "memory", Tensor("memory", "int64", ("batch", "source", "memory")), "is a"),
        ("encoder", "memory", Tensor("memory", "float", ("batch", "memory")), "3 axes, not 2"),
        ("encoder", "mask", Tensor("lid", "bool", ("batch", "source")), "does not describe 'mask'"),
        ("decoder", "token", Tensor("tokens", "int64", ("batch",)), "does not describe 'token'"),
        (
            "decoder",
            "memory",
            Tensor("memory", "float", ("batch", "source", "source")),
            "the axis source may not be of size",
        ),
        (
            "decoder",
            "log_probabilities",
            Tensor("log_probabilities", "float", ("batch", "memory")),
            "memory is 8000 here, 64 elsewhere",
        ),
        ("decoder", "state", Tensor("state", "float", ("batch", "other")), "other axes"),
    ],
)
def test_what_the_manifest_says_wrong_is_named(
    toy_bundle: Bundle, role: str, name: str, tensor: Tensor, says: str
) -> None:
    model = changed(toy_bundle.manifest.model, role, of_tensor(name, tensor))
    with pytest.raises(DamagedBundle, match=says):
        Runner(toy_bundle.read, model)


def fix_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3


def grow(model: onnx.ModelProto) -> None:
    (memory,) = (one for one in model.graph.input if one.name == "memory")
    memory.type.tensor_type.shape.dim[2].dim_value = 1 << 40


def one_more(model: onnx.ModelProto) -> None:
    model.graph.input.add().CopyFrom(model.graph.input[0])
    model.graph.input[-1].name = "more"


def no_attention(model: onnx.ModelProto) -> None:
    kept = [one for one in model.graph.output if one.name != "cross"]
    del model.graph.output[:]
    model.graph.output.extend(kept)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (fix_batch, "the axis batch may not be of size 3"),
        (grow, "may not be of size|cannot be loaded"),
        (one_more, "nothing is known of the input 'more'"),
        (no_attention, "has no tensor 'cross'"),
    ],
)
def test_what_the_graph_says_wrong_is_named(
    toy_bundle: Bundle, change: Callable[[onnx.ModelProto], None], says: str
) -> None:
    def read(name: str) -> bytes:
        content = toy_bundle.read(name)
        return in_graph(change)(content) if name == "decoder.onnx" else content

    with pytest.raises(DamagedBundle, match=says):
        Runner(read, toy_bundle.manifest.model)


def test_a_graph_in_float32_may_differ_from_the_manifest_in_that_alone() -> None:
    spelled = HOST.open(IDENTITY, "graph")
    floats = StandIn(floats=True).open(IDENTITY, "graph")
    assert floats.types("uint8") == ("tensor(uint8)", "tensor(float)")
    assert spelled.types("uint8") == ("tensor(uint8)",)
    assert floats.types("int64") == spelled.types("int64") == ("tensor(int64)",)


def test_a_tensor_may_not_be_huge(toy_bundle: Bundle) -> None:
    session = HOST.open(HUGE, "decoder.onnx")
    wide = Tensor("x", "float", ("batch", "a", "b", "c"))
    model = changed(
        toy_bundle.manifest.model,
        "decoder",
        lambda graph: replace(graph, inputs=(wide,), outputs=(replace(wide, name="y"),)),
    )
    with pytest.raises(DamagedBundle, match="x is too large"):
        Contract(model).check("decoder", session, ["x"], ["y"])


def _graph(text: str) -> bytes:
    spelled = f'<ir_version: 10, opset_import: ["": 21]> g {text}'
    content: bytes = onnx.parser.parse_model(spelled).SerializeToString()
    return content


IDENTITY = _graph("(float[n] x) => (float[n] y) { y = Identity (x) }")
HUGE = _graph("(float[n, 1024, 1024, 1024] x) => (float[n, 1024, 1024, 1024] y) { y = Abs (x) }")
