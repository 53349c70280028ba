"""Bundles' ONNX graphs taken apart: without their attention, and product by product."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

ROUNDING, SCALED = "QuantizeLinear", "MatMulIntegerToFloat"
PRODUCTS = (SCALED, "MatMulInteger", "MatMul", "Gemm", "MatMulNBits")


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product of a step, as a graph of its own whose inputs are `activations`."""

    name: str
    operator: str
    activations: tuple[str, ...]
    model: bytes


def without(path: Path, unwanted: Sequence[str], to: Path) -> None:
    """Save the graph less some outputs and all that only they need, inputs as well."""
    model = onnx.load(str(path))
    kept = [value for value in model.graph.output if value.name not in unwanted]
    needed = _needed(model.graph, [value.name for value in kept])
    _replace(model.graph.output, kept)
    _replace(model.graph.node, [n for n in model.graph.node if needed.issuperset(n.output)])
    _replace(model.graph.input, [v for v in model.graph.input if v.name in needed])
    _replace(model.graph.initializer, [i for i in model.graph.initializer if i.name in needed])
    onnx.checker.check_model(model)
    onnx.save(model, str(to))


def products(path: Path) -> list[Product]:
    """Return the products that a run computes; those of constants alone are not among them."""
    model = onnx.load(str(path))
    dynamic = _dynamic(model.graph)
    return [
        _product(model, node, [name for name in node.input if name in dynamic])
        for node in model.graph.node
        if node.op_type in PRODUCTS and node.output[0] in dynamic
    ]


def dynamic(path: Path) -> bytes:
    """Return an int8 graph whose activations get scales of their own in every call."""
    model = onnx.load(str(path))
    rounded = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == ROUNDING}
    nodes = [_with_dynamic_scale(node, rounded) for node in model.graph.node]
    used = {name for node in nodes for name in node.input}
    nodes = [node for node in nodes if node.op_type != ROUNDING or node.output[0] in used]
    _replace(model.graph.node, nodes)
    return bytes(model.SerializeToString())


def revealing(path: Path, names: Iterable[str]) -> bytes:
    """Return the graph with inner tensors as further outputs."""
    model = onnx.load(str(path))
    known = {value.name for value in (*model.graph.output, *model.graph.input)}
    for name in dict.fromkeys(names):
        if name not in known:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    return bytes(model.SerializeToString())


def nothing() -> bytes:
    """Return a graph that computes next to nothing: what a call itself costs."""
    one = onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Neg", ["input"], ["output"])
    graph = onnx.helper.make_graph([node], "nothing", [one], [out])
    opset = onnx.helper.make_opsetid("", 21)
    made = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)
    return bytes(made.SerializeToString())


def _with_dynamic_scale(node: onnx.NodeProto, rounded: Mapping[str, str]) -> onnx.NodeProto:
    if node.op_type != SCALED or node.input[0] not in rounded:
        return node
    _, weights, _, scales, _, *rest = node.input
    return onnx.helper.make_node(
        "DynamicQuantizeMatMul",
        [rounded[node.input[0]], weights, scales, *rest],
        list(node.output),
        domain=node.domain,
    )


def _product(model: onnx.ModelProto, node: onnx.NodeProto, activations: list[str]) -> Product:
    graph, output = model.graph, node.output[0]
    constants = [name for name in node.input if name and name not in activations]
    needed = _needed(graph, constants)
    made = onnx.helper.make_graph(
        [*(n for n in graph.node if needed.issuperset(n.output)), node],
        output,
        [onnx.ValueInfoProto(name=name, type=_type(graph, name)) for name in activations],
        [onnx.ValueInfoProto(name=output)],
        [i for i in graph.initializer if i.name in needed],
    )
    alone = onnx.helper.make_model(
        made, opset_imports=list(model.opset_import), ir_version=model.ir_version
    )
    return Product(output, node.op_type, tuple(activations), bytes(alone.SerializeToString()))


def _type(graph: onnx.GraphProto, name: str) -> onnx.TypeProto:
    """Return the type of an activation, of any shape: float unless it was just rounded."""
    makers = {output: node.op_type for node in graph.node for output in node.output}
    rounded = makers.get(name) == ROUNDING
    kind = onnx.TensorProto.UINT8 if rounded else onnx.TensorProto.FLOAT
    return onnx.helper.make_tensor_type_proto(kind, None)


def _needed(graph: onnx.GraphProto, names: Sequence[str]) -> set[str]:
    """Return the names of every tensor that some tensors are computed from, and themselves."""
    makers = {output: node for node in graph.node for output in node.output}
    needed: set[str] = set()
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        if name not in needed:
            needed.add(name)
            if name in makers:
                needed.update(makers[name].output)
                open_names.extend(_read(makers[name]))
    return needed


def _read(node: onnx.NodeProto) -> list[str]:
    """Return what a node reads, its bodies' outer tensors included."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for inner in attribute.g.node:
            names.extend(_read(inner))
    return names


def _dynamic(graph: onnx.GraphProto) -> set[str]:
    """Return the tensors that depend on an input; nodes come in the order of computation."""
    found = {value.name for value in graph.input}
    for node in graph.node:
        if found.intersection(node.input):
            found.update(node.output)
    return found


def _replace(field: "list[object]", kept: Sequence[object]) -> None:
    chosen = list(kept)
    del field[:]
    field.extend(chosen)


def pieces(path: Path) -> int:
    """Return how many pieces the embedding of a graph knows."""
    tables = [i for i in onnx.load(str(path)).graph.initializer if i.name == "embedding"]
    return int(tables[0].dims[0])


def inputs(path: Path) -> list[str]:
    """Return the names of what a graph reads."""
    return [value.name for value in onnx.load(str(path)).graph.input]
