"""How the graphs of a model are said in ONNX's own text, in float32 or in int8.

`Float32` and `Int8` spell the same few phrases: a lookup of embedded tokens, a product, the
product with the tied embedding, and the recurrence of the encoder. Axes are named as in
`export.py`.
"""

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, checker, numpy_helper, parser
from torch import Tensor, nn

from model_export import quantize

OPSET, IR_VERSION = 21, 10
MICROSOFT, MICROSOFT_OPSET = "com.microsoft", 1
Array = NDArray[Any]


class Graph:
    """A graph in the making: lines of ONNX text, and constants by name."""

    def __init__(self) -> None:
        self.opsets = {"": OPSET}
        self.lines: list[str] = []
        self.constants: dict[str, Array] = {}
        self.constant("zero", np.float32(0))
        self.constant("second_axis", [1])

    def say(self, text: str) -> None:
        """Add lines of ONNX text."""
        self.lines.append(text + "\n")

    def constant(self, name: str, values: Any) -> None:
        """Add a constant."""
        assert name not in self.constants
        self.constants[name] = np.array(values, order="C")

    def finish(self, name: str, signature: str, doc: str) -> onnx.ModelProto:
        """Return the checked model, of `(inputs) => (outputs)` in ONNX text."""
        opsets = ", ".join(f'"{domain}": {opset}' for domain, opset in self.opsets.items())
        model: onnx.ModelProto = parser.parse_model(f"""
            <ir_version: {IR_VERSION}, opset_import: [{opsets}], producer_name: "interlinea">
            {name} {signature} {{ {"".join(self.lines)}
            }}""")
        for key, values in self.constants.items():
            model.graph.initializer.append(numpy_helper.from_array(values, key))
        model.doc_string = model.graph.doc_string = doc
        checker.check_model(model)
        return model


class Float32(Graph):
    """Spells products and lookups with standard float32 operators."""

    def embedding(self, weight: Tensor, tied: bool) -> None:
        """Take the table (V, E) that lookups read and, if `tied`, the output projection."""
        self.constant("embedding", _array(weight))

    def lookup(self, result: str, ids: str, weight: Tensor, bias: Tensor) -> None:
        """result (..., N) = embedding[ids] · weight.T + bias, for weight (N, E)."""
        self.say(f"{result}_embedded = Gather (embedding, {ids})")
        self.product(result, f"{result}_embedded", weight, bias)

    def product(self, result: str, left: str, weight: Tensor, bias: Tensor | None = None) -> None:
        """result (..., N) = left (..., K) · weight.T + bias, for weight (N, K)."""
        self.constant(f"{result}_weight", _array(weight.T))
        if bias is None:
            self.say(f"{result} = MatMul ({left}, {result}_weight)")
        else:
            self.constant(f"{result}_bias", _array(bias))
            self.say(f"""{result}_product = MatMul ({left}, {result}_weight)
                {result} = Add ({result}_product, {result}_bias)""")

    def tied_product(self, result: str, left: str, bias: Tensor) -> None:
        """result (B, V) = left (B, E) · embedding.T + bias."""
        self.constant(f"{result}_bias", _array(bias))
        self.say(f"{result} = Gemm <transB = 1> ({left}, embedding, {result}_bias)")

    def lstm(self, layer: nn.LSTM) -> None:
        """steps (S, B), lengths (B,) -> hidden (S, 2, B, H), of any value on padding."""
        ways = [[_array(part) for part in way] for way in _directions(layer)]
        self.constant("lstm_input", np.stack([w_input for w_input, _, _ in ways]))
        self.constant("lstm_state", np.stack([w_state for _, w_state, _ in ways]))
        self.constant("lstm_bias", np.stack([np.append(bias, 0 * bias) for _, _, bias in ways]))
        self.say(f"""
            embedded = Gather (embedding, steps)                          # (S, B, E)
            lengths_32 = Cast <to = {TensorProto.INT32}> (lengths)
            hidden = LSTM <direction = "bidirectional", hidden_size = {layer.hidden_size}>
                (embedded, lstm_input, lstm_state, lstm_bias, lengths_32)""")


class Int8(Graph):
    """Spells products with uint8 activations, int8 weights and fixed scales.

    What depends on a token alone is a table of one row a piece. The file holds int8 factors
    of the tables; ONNX Runtime multiplies them out once, when it loads the graph (it folds
    `Cast` and `Mul` of constants, but not `DequantizeLinear`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.opsets[MICROSOFT] = MICROSOFT_OPSET
        self.rounded: set[str] = set()
        self.constant("scale", np.float32(quantize.ACTIVATION_SCALE))
        self.constant("zero_point", np.uint8(quantize.ZERO_POINT))

    def embedding(self, weight: Tensor, tied: bool) -> None:
        """Take the table (V, E) that lookups read and, if `tied`, the output projection."""
        rows = quantize.quantize_product(weight) if tied else quantize.quantize_table(weight)
        self.constant("embedding", rows.values)
        self.constant("embedding_scale", rows.scales)
        self.say(f"""
            embedding_column = Unsqueeze (embedding_scale, second_axis)   # (V, 1)
            embedding_integers = Cast <to = {TensorProto.FLOAT}> (embedding)
            embedding_rows = Mul (embedding_integers, embedding_column)   # (V, E)""")

    def table(self, result: str, weight: Tensor, bias: Tensor) -> None:
        """result_table (V, N) = embedding · weight.T + bias, from constants alone."""
        self.weight(result, quantize.quantize_table(weight))
        self.constant(f"{result}_bias", _array(bias))
        self.say(f"""
            {result}_integers = Cast <to = {TensorProto.FLOAT}> ({result}_weight)
            {result}_columns = Mul ({result}_integers, {result}_scale)
            {result}_table = Gemm (embedding_rows, {result}_columns, {result}_bias)""")

    def lookup(self, result: str, ids: str, weight: Tensor, bias: Tensor) -> None:
        """result (..., N) = embedding[ids] · weight.T + bias, for weight (N, E)."""
        self.table(result, weight, bias)
        self.say(f"{result} = Gather ({result}_table, {ids})")

    def product(self, result: str, left: str, weight: Tensor, bias: Tensor | None = None) -> None:
        """result (..., N) = left (..., K) · weight.T + bias, for weight (N, K)."""
        self.weight(result, quantize.quantize_product(weight))
        if bias is not None:
            self.constant(f"{result}_bias", _array(bias))
        self.round(left)
        self.say(_integer_product(result, left, result, bias is not None))

    def weight(self, name: str, columns: quantize.Quantized) -> None:
        """Add a weight (N, K) and its scales as `MatMul` takes them."""
        self.constant(f"{name}_weight", columns.values.T)
        self.constant(f"{name}_scale", columns.scales)

    def round(self, values: str) -> None:
        """Round an activation for products, once for all of them."""
        if values not in self.rounded:
            self.rounded.add(values)
            self.say(f"{values}_uint8 = QuantizeLinear ({values}, scale, zero_point)")

    def tied_product(self, result: str, left: str, bias: Tensor) -> None:
        """result (B, V) = left (B, E) · embedding.T + bias."""
        self.constant("embedding_bias", _array(bias))
        self.say("embedding_weight = Transpose (embedding)                        # (E, V)")
        self.round(left)
        self.say(_integer_product(result, left, "embedding", biased=True))

    def lstm(self, layer: nn.LSTM) -> None:
        """steps (S, B), lengths (B,) -> hidden (S, 2, B, H), of any value on padding.

        Both directions run as one batch of 2 B rows: the second half reads each sentence
        backwards from its own last token, so that padding comes last for both.
        """
        for name, way in zip(("ahead", "back"), _directions(layer), strict=True):
            self.table(name, way[0], way[2])
            self.weight(f"{name}_state", quantize.quantize_product(way[1]))
        size = layer.hidden_size
        self.constant("gate_sizes", [3 * size, size])
        self.constant("size", [size])
        self.constant("ways", [0, 2, -1, size])
        self.constant("pieces", self.constants["embedding"].shape[0])
        self.say("""
            table = Concat <axis = 0> (ahead_table, back_table)           # (2 V, 4 H)
            shifted = Add (steps, pieces)
            both = Concat <axis = 1> (steps, shifted)                     # (S, 2 B)
            rows = Shape (lengths)    ones = Expand (one, rows)
            turning = Concat <axis = 0> (ones, lengths)                   # (2 B,)
            turned = ReverseSequence <time_axis = 0, batch_axis = 1> (both, turning)
            inputs = Gather (table, turned)                               # (S, 2 B, 4 H)
            both_rows = Shape (turning)
            state_shape = Concat <axis = 0> (both_rows, size)
            first_cell = Expand (zero, state_shape)                       # (2 B, H)
            first_hidden = Expand (zero_point, state_shape)               # (2 B, H) uint8""")
        self._scan()
        self.say("""
            straight = ReverseSequence <time_axis = 0, batch_axis = 1> (outputs, turning)
            hidden = Reshape (straight, ways)""")

    def _scan(self) -> None:
        """Say the recurrence; what it hands on is the uint8 of its output."""
        self.say(f"""
            last_cell, last_hidden, outputs = Scan <num_scan_inputs = 1, body = step
                (float[rows, H] cell, uint8[rows, H] hidden_uint8, float[rows, G] input)
                => (float[rows, H] next_cell, uint8[rows, H] output_uint8, float[rows, H] output) {{
                    ahead_uint8, back_uint8 = Split <axis = 0, num_outputs = 2> (hidden_uint8)
                    {_integer_product("from_ahead", "ahead", "ahead_state")}
                    {_integer_product("from_back", "back", "back_state")}
                    recurrent = Concat <axis = 0> (from_ahead, from_back)
                    gates = Add (input, recurrent)
                    iof, c = Split <axis = 1> (gates, gate_sizes)       # onto (0, 1), (-1, 1)
                    open = Sigmoid (iof)    candidate = Tanh (c)
                    i, o, f = Split <axis = 1, num_outputs = 3> (open)
                    kept = Mul (f, cell)    added = Mul (i, candidate)
                    next_cell = Add (kept, added)
                    shown = Tanh (next_cell)    output = Mul (o, shown)
                    output_uint8 = QuantizeLinear (output, scale, zero_point)
                }}> (first_cell, first_hidden, inputs)                      # (S, 2 B, H)""")


def _integer_product(result: str, left: str, name: str, biased: bool = False) -> str:
    """Spell (left_uint8 - zero point) · name_weight, times both scales, plus bias."""
    bias = f", , {name}_bias" if biased else ""
    factors = f"{left}_uint8, {name}_weight, scale, {name}_scale, zero_point{bias}"
    return f"\n{result} = {MICROSOFT}.MatMulIntegerToFloat ({factors})"


def _directions(layer: nn.LSTM) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return input weight, state weight and bias of both directions, gates in ONNX's order."""
    return [
        (_iofc(w_input), _iofc(w_state), _iofc(b_input + b_state))
        for w_input, w_state, b_input, b_state in layer.all_weights
    ]


def _iofc(gates: Tensor) -> Tensor:
    i, f, c, o = gates.chunk(4)  # torch's order
    return torch.cat([i, o, f, c])


def _array(weight: Tensor) -> Array:
    array: Array = weight.detach().cpu().float().numpy()
    return array
