"""Spells an int8 graph in float32, for a device that has no kernel for its products.

    QuantizeLinear (x, scale, zero)                             -> x
    MatMulIntegerToFloat (x, W, scale, scales, zero, , bias)    -> x · (W · scales) + bias
    zero, where it is a value and not a zero point              -> 0.0

also inside the bodies of loops, whose carried uint8 become float32. Weights are those of the
bundle, rounded as they were; activations are rounded no more. Tables that the graph itself
multiplies out of int8 factors stay as they are. A graph without such operators is returned
byte for byte.

The only importer of the package `onnx` in the service, and it imports it late: on the CPU
nothing of this is needed, nor installed.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service.errors import DamagedBundle, DeviceMissing

if TYPE_CHECKING:
    import onnx

PRODUCT = "MatMulIntegerToFloat"
ROUNDING = "QuantizeLinear"
SUFFIX = "_dequantised"

Floats = NDArray[np.float32]


def check_installed() -> None:
    """Raise `DeviceMissing` if the package `onnx` is not installed."""
    if find_spec("onnx") is None:
        raise DeviceMissing("CUDA needs the package onnx, of Interlinea's extra `cuda`")


def in_float32(content: bytes, name: str) -> bytes:
    """Return a file's graph in float32; raises `DamagedBundle` or `DeviceMissing`."""
    check_installed()
    try:
        return dequantise(content)
    except Exception as error:  # the library raises bare types of its own
        raise DamagedBundle(f"{name} cannot be dequantised: {error}") from error


def dequantise(content: bytes) -> bytes:
    """Return a serialised graph in float32; raises ValueError, and what `onnx` raises."""
    import onnx

    model = onnx.load_model_from_string(content)
    if not any(node.op_type in (PRODUCT, ROUNDING) for node in _nodes(model.graph)):
        return content
    zeros = _zero_points(model.graph)
    weights = _Weights(model.graph)
    for graph in reversed(list(_graphs(model.graph))):  # bodies first: copies are taken of them
        _retype(graph)
        nodes = [new for node in graph.node for new in _spelled(node, weights)]
        del graph.node[:]
        graph.node.extend(nodes)
    _replace_zeros(model.graph, zeros)
    model.graph.initializer.extend(weights.made.values())
    _drop_unused(model.graph)
    domains = {node.domain for node in _nodes(model.graph)}
    kept = [opset for opset in model.opset_import if not opset.domain or opset.domain in domains]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    onnx.checker.check_model(model, full_check=True)
    dequantised: bytes = model.SerializeToString()
    return dequantised


class _Weights:
    """Constants of a graph by name, and the float32 weights made of them."""

    def __init__(self, graph: "onnx.GraphProto") -> None:
        self.made: dict[str, onnx.TensorProto] = {}
        self._tensors = {t.name: t for g in _graphs(graph) for t in g.initializer}
        self._turned = {n.output[0]: n for n in _nodes(graph) if n.op_type == "Transpose"}

    def float32(self, weight: str, scales: str, zeros: str) -> str:
        """Return the name of (weight - zeros) · scales; axes as in the product."""
        from onnx import numpy_helper

        name = "_".join(filter(None, (weight, scales, zeros))) + SUFFIX
        if name not in self.made:
            values = self._constant(weight)
            if zeros:
                values = values - self._constant(zeros)
            scaled = np.ascontiguousarray(values * self._constant(scales))
            self.made[name] = numpy_helper.from_array(scaled, name)
        return name

    def _constant(self, name: str) -> Floats:
        from onnx import helper, numpy_helper

        if name in self._turned:
            turning = self._turned[name]
            axes = {a.name: helper.get_attribute_value(a) for a in turning.attribute}.get("perm")
            return self._constant(turning.input[0]).transpose(axes)
        if name not in self._tensors:
            raise ValueError(f"the product reads {name!r}, which is not a constant")
        return numpy_helper.to_array(self._tensors[name]).astype(np.float32)


def _spelled(node: "onnx.NodeProto", weights: _Weights) -> Iterator["onnx.NodeProto"]:
    """Say one node in float32."""
    from onnx import helper

    if node.op_type == ROUNDING:
        yield helper.make_node("Identity", node.input[:1], node.output, node.name)
    elif node.op_type == PRODUCT:
        left, weight, _, scales, _, zeros, bias = [*node.input, *[""] * 3][:7]
        result = node.output[0]
        factors = [left, weights.float32(weight, scales, zeros)]
        if bias:
            product = result + SUFFIX
            yield helper.make_node("MatMul", factors, [product])
            yield helper.make_node("Add", [product, bias], [result])
        else:
            yield helper.make_node("MatMul", factors, [result])
    else:
        yield node


def _retype(graph: "onnx.GraphProto") -> None:
    """Declare activations as float32; in these graphs they are all that is uint8."""
    from onnx import TensorProto

    for value in (*graph.input, *graph.output, *graph.value_info):
        kind = value.type.tensor_type
        if kind.elem_type == TensorProto.UINT8:
            kind.elem_type = TensorProto.FLOAT


def _zero_points(graph: "onnx.GraphProto") -> set[str]:
    """Return the names of the zero points of activations."""
    places = {ROUNDING: 2, PRODUCT: 4}
    return {
        node.input[places[node.op_type]]
        for node in _nodes(graph)
        if node.op_type in places and len(node.input) > places[node.op_type]
    } - {""}


def _replace_zeros(graph: "onnx.GraphProto", zeros: set[str]) -> None:
    """Let who reads a zero point as a value read 0.0, of the same shape."""
    from onnx import numpy_helper

    read = {name for node in _nodes(graph) for name in node.input} & zeros
    for tensor in [t for g in _graphs(graph) for t in g.initializer if t.name in read]:
        shape = numpy_helper.to_array(tensor).shape
        floats = numpy_helper.from_array(np.zeros(shape, np.float32), tensor.name + SUFFIX)
        graph.initializer.append(floats)
    for node in _nodes(graph):
        for place, name in enumerate(node.input):
            if name in read:
                node.input[place] = name + SUFFIX


def _drop_unused(graph: "onnx.GraphProto") -> None:
    """Remove nodes and constants of the outer graph that nothing reads."""
    while True:
        read = _read(graph)
        nodes = [node for node in graph.node if read & set(node.output)]
        if len(nodes) == len(graph.node):
            break
        del graph.node[:]
        graph.node.extend(nodes)
    constants = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(constants)


def _read(graph: "onnx.GraphProto") -> set[str]:
    """Return what nodes read, and what the graph and the bodies inside hand out."""
    handed = {value.name for one in _graphs(graph) for value in one.output}
    return handed | {name for node in _nodes(graph) for name in node.input}


def _graphs(graph: "onnx.GraphProto") -> Iterator["onnx.GraphProto"]:
    """Walk a graph and the bodies inside."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                if body.node:
                    yield from _graphs(body)


def _nodes(graph: "onnx.GraphProto") -> Iterator["onnx.NodeProto"]:
    """Walk the nodes of a graph and of the bodies inside."""
    for one in _graphs(graph):
        yield from one.node
