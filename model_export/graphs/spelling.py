"""How graphs are said in ONNX's own text: products and lookups, in float32 or in int8.

`Float32` and `Int8` spell the same few phrases, so that every part of a network is written
out once for both. Parts name the layers of the network by their path in it
(`decoder.attention.query`); what an int8 product reads is rounded with the scale of that
layer, which `quantize.py` knows.

Axes: B batch, S source, T positions, V vocabulary, E embedding.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, checker, numpy_helper, parser
from torch import Tensor, nn

from model_export import quantize

OPSET, IR_VERSION = 21, 10
MICROSOFT, MICROSOFT_OPSET = "com.microsoft", 1
FLOAT, INT32 = TensorProto.FLOAT, TensorProto.INT32
"""Types that `Cast` goes to."""

Array = NDArray[Any]
Rounding = Callable[[Tensor], quantize.Quantized]


class Graph:
    """A graph in the making: lines of ONNX text, and constants by name."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.scales: Mapping[str, float] = {}
        self.opsets = {"": OPSET}
        self.lines: list[str] = []
        self.constants: dict[str, Array] = {}
        self.constant("zero", np.float32(0))
        self.constant("second_axis", [1])
        self.constant("third_axis", [2])

    def say(self, text: str) -> None:
        """Add lines of ONNX text."""
        self.lines.append(text + "\n")

    @contextmanager
    def body(self) -> Iterator[list[str]]:
        """Collect what is said meanwhile: the lines of a loop's body."""
        outer, self.lines = self.lines, []
        try:
            yield self.lines
        finally:
            self.lines = outer

    def constant(self, name: str, values: Any) -> None:
        """Add a constant."""
        assert name not in self.constants, name
        self.constants[name] = np.array(values, order="C")

    def layer(self, name: str) -> nn.Linear:
        """Return a linear layer of the network."""
        layer = self.network.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        return layer

    def norm(self, result: str, left: str, name: str) -> None:
        """result = the layer normalisation `name` of left, over its last axis."""
        layer = self.network.get_submodule(name)
        assert isinstance(layer, nn.LayerNorm)
        self.constant(f"{result}_gain", array(layer.weight))
        self.constant(f"{result}_shift", array(layer.bias))
        self.say(f"""{result} = LayerNormalization <axis = -1, epsilon = {layer.eps:.8f}>
            ({left}, {result}_gain, {result}_shift)""")

    def finish(self, name: str, signature: str, doc: str) -> onnx.ModelProto:
        """Return the checked model, of `(inputs) => (outputs)` in ONNX text."""
        opsets = ", ".join(f'"{domain}": {opset}' for domain, opset in self.opsets.items())
        model: onnx.ModelProto = parser.parse_model(f"""
            <ir_version: {IR_VERSION}, opset_import: [{opsets}], producer_name: "interlinea">
            {name} {signature} {{ {"".join(self.lines)}
            }}""")
        read = {given for node in _nodes(model.graph) for given in node.input}
        for key, values in self.constants.items():
            if key in read:
                model.graph.initializer.append(numpy_helper.from_array(values, key))
        model.doc_string = model.graph.doc_string = doc
        checker.check_model(model)
        return model


class Float32(Graph):
    """Spells products and lookups with standard float32 operators."""

    def embedding(self, weight: Tensor, tied: bool) -> None:
        """Take the table (V, E) that lookups read and, if `tied`, the output projection."""
        self.constant("embedding", array(weight))

    def lookup(self, result: str, ids: str, weight: Tensor, bias: Tensor | None) -> None:
        """result (..., N) = embedding[ids] · weight.T + bias, for weight (N, E)."""
        self.say(f"{result}_embedded = Gather (embedding, {ids})")
        self.product(result, f"{result}_embedded", weight, bias)

    def linear(self, result: str, left: str, name: str) -> None:
        """result (..., N) = the linear layer `name` of left (..., K)."""
        layer = self.layer(name)
        self.product(result, left, layer.weight, layer.bias)

    def product(
        self, result: str, left: str, weight: Tensor, bias: Tensor | None = None, name: str = ""
    ) -> None:
        """result (..., N) = left (..., K) · weight.T + bias, for weight (N, K)."""
        self.constant(f"{result}_weight", array(weight.T))
        if bias is None:
            self.say(f"{result} = MatMul ({left}, {result}_weight)")
        else:
            self.constant(f"{result}_bias", array(bias))
            self.say(f"""{result}_product = MatMul ({left}, {result}_weight)
                {result} = Add ({result}_product, {result}_bias)""")

    def tied_product(self, result: str, left: str, bias: Tensor, name: str) -> None:
        """result (B, V) = left (B, E) · embedding.T + bias; `name` is whose scale left has."""
        self.constant(f"{result}_bias", array(bias))
        self.say(f"{result} = Gemm <transB = 1> ({left}, embedding, {result}_bias)")


class Int8(Graph):
    """Spells products with uint8 activations, int8 weights and fixed scales.

    What depends on a token alone is a table of one row a piece. The file holds int8 factors
    of the tables; ONNX Runtime multiplies them out once, when it loads the graph (it folds
    `Cast` and `Mul` of constants, but not `DequantizeLinear`).
    """

    of_product: Rounding = staticmethod(quantize.quantize_product)
    of_table: Rounding = staticmethod(quantize.quantize_table)

    def __init__(self, network: nn.Module, scales: Mapping[str, float]) -> None:
        super().__init__(network)
        self.scales = scales  # of what layers read, by their path
        self.opsets[MICROSOFT] = MICROSOFT_OPSET
        self.rounded: dict[tuple[str, float], str] = {}
        self.constant("scale", np.float32(quantize.ACTIVATION_SCALE))
        self.constant("zero_point", np.uint8(quantize.ZERO_POINT))

    def embedding(self, weight: Tensor, tied: bool) -> None:
        """Take the table (V, E) that lookups read and, if `tied`, the output projection."""
        rows = self.of_product(weight) if tied else self.of_table(weight)
        self.constant("embedding", rows.values)
        self.constant("embedding_scale", rows.scales)
        self.say(f"""
            embedding_column = Unsqueeze (embedding_scale, second_axis)   # (V, 1)
            embedding_integers = Cast <to = {FLOAT}> (embedding)
            embedding_rows = Mul (embedding_integers, embedding_column)   # (V, E)""")

    def table(self, result: str, weight: Tensor, bias: Tensor | None) -> None:
        """result_table (V, N) = embedding · weight.T + bias, from constants alone."""
        self._columns(result, self.of_table(weight))
        self.constant(f"{result}_bias", np.zeros(1, np.float32) if bias is None else array(bias))
        self.say(f"""
            {result}_integers = Cast <to = {FLOAT}> ({result}_weight)
            {result}_columns = Mul ({result}_integers, {result}_scale)
            {result}_table = Gemm (embedding_rows, {result}_columns, {result}_bias)""")

    def lookup(self, result: str, ids: str, weight: Tensor, bias: Tensor | None) -> None:
        """result (..., N) = embedding[ids] · weight.T + bias, for weight (N, E)."""
        self.table(result, weight, bias)
        self.say(f"{result} = Gather ({result}_table, {ids})")

    def linear(self, result: str, left: str, name: str) -> None:
        """result (..., N) = the linear layer `name` of left (..., K)."""
        layer = self.layer(name)
        self.product(result, left, layer.weight, layer.bias, name)

    def product(
        self, result: str, left: str, weight: Tensor, bias: Tensor | None = None, name: str = ""
    ) -> None:
        """result (..., N) = left (..., K) · weight.T + bias, for weight (N, K).

        `name` is the path of the layer whose scale `left` has.
        """
        self.weight(result, weight)
        if bias is not None:
            self.constant(f"{result}_bias", array(bias))
        rounded = self.round(left, quantize.scale_of(name, self.scales))
        self.say(integer_product(result, rounded, result, biased=bias is not None))

    def weight(self, name: str, weight: Tensor) -> None:
        """Add a weight (N, K) and its scales as `MatMul` takes them."""
        self._columns(name, self.of_product(weight))

    def _columns(self, name: str, columns: quantize.Quantized) -> None:
        self.constant(f"{name}_weight", columns.values.T)
        self.constant(f"{name}_scale", columns.scales)

    def round(self, values: str, scale: float) -> tuple[str, str]:
        """Round an activation for products, once for all; return the names of it and its scale."""
        known = quantize.ACTIVATION_SCALE
        name = "scale" if scale == known else f"scale_{np.float32(scale).tobytes().hex()}"
        if name not in self.constants:
            self.constant(name, np.float32(scale))
        rounded = f"{values}_uint8" if scale == known else f"{values}_{name}_uint8"
        if (values, scale) not in self.rounded:
            self.rounded[values, scale] = rounded
            self.say(f"{rounded} = QuantizeLinear ({values}, {name}, zero_point)")
        return rounded, name

    def tied_product(self, result: str, left: str, bias: Tensor, name: str) -> None:
        """result (B, V) = left (B, E) · embedding.T + bias; `name` is whose scale left has."""
        self.constant("embedding_bias", array(bias))
        self.say("embedding_weight = Transpose (embedding)                        # (E, V)")
        rounded = self.round(left, quantize.scale_of(name, self.scales))
        self.say(integer_product(result, rounded, "embedding", biased=True))


def _unrounded(weight: Tensor) -> quantize.Quantized:
    """Return rows (R, C) as they are, with scales of 1."""
    rows = array(weight)
    return quantize.Quantized(rows, np.ones(len(rows), np.float32))


class Unrounded(Int8):
    """Takes weights as `Int8` does, in the same places, but does not round them."""

    of_product = of_table = staticmethod(_unrounded)


def constants(path: Path) -> dict[str, Array]:
    """Return the constants of a graph that was written; of int8 weights, what they stand for."""
    read = {item.name: numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer}
    return {
        name: _multiplied(name, values, read) if values.dtype == np.int8 else values
        for name, values in read.items()
    }


def _multiplied(name: str, values: Array, read: Mapping[str, Array]) -> Array:
    """Return int8 times its scales, which are of rows in a table and of columns in a product."""
    if name == "embedding":
        return values * read["embedding_scale"][:, None]
    return values * read[f"{name.removesuffix('_weight')}_scale"]


def integer_product(result: str, left: tuple[str, str], weight: str, biased: bool = False) -> str:
    """Spell (left - zero point) · weight, times both scales, plus bias.

    `left` names the uint8 and their scale; the constants of `weight` are {weight}_weight,
    {weight}_scale and {weight}_bias.
    """
    values, scale = left
    bias = f", , {weight}_bias" if biased else ""
    factors = f"{values}, {weight}_weight, {scale}, {weight}_scale, zero_point{bias}"
    return f"\n{result} = {MICROSOFT}.MatMulIntegerToFloat ({factors})"


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield every node, those inside loops too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from _nodes(attribute.g)


def array(weight: Tensor) -> Array:
    """Return a weight as float32, any shape."""
    values: Array = weight.detach().cpu().float().numpy()
    return values
