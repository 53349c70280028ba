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
Direction = tuple[Tensor, Tensor, Tensor]
"""Input weight (4 H, E), state weight (4 H, H) and bias (4 H,) of one way of an LSTM layer."""


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

    def lstm(self, layers: nn.LSTM) -> None:
        """steps (S, B), lengths (B,) -> hidden (S, B, 2 H), of any value on padding."""
        size = layers.hidden_size
        self.constant("both_ways", [0, 0, 2 * size])
        self.say(f"""
            lengths_32 = Cast <to = {TensorProto.INT32}> (lengths)
            hidden_0 = Gather (embedding, steps)                          # (S, B, E)""")
        for number, layer in enumerate(_layers(layers), 1):
            ways = [[_array(part) for part in way] for way in layer]
            name = f"layer_{number}"
            self.constant(f"{name}_input", np.stack([w_input for w_input, _, _ in ways]))
            self.constant(f"{name}_state", np.stack([w_state for _, w_state, _ in ways]))
            self.constant(f"{name}_bias", np.stack([np.append(b, 0 * b) for _, _, b in ways]))
            self.say(f"""
                {name} = LSTM <direction = "bidirectional", hidden_size = {size}>
                    (hidden_{number - 1}, {name}_input, {name}_state, {name}_bias, lengths_32)
                {name}_rows = Transpose <perm = [0, 2, 1, 3]> ({name})    # (S, B, 2, H)
                hidden_{number} = Reshape ({name}_rows, both_ways)""")
        self.say(f"hidden = Identity (hidden_{layers.num_layers})")


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

    def lstm(self, layers: nn.LSTM) -> None:
        """steps (S, B), lengths (B,) -> hidden (S, B, 2 H), of any value on padding.

        Both directions run as one batch of 2 B rows: the second half reads each sentence
        backwards from its own last token, so that padding comes last for both.
        """
        size = layers.hidden_size
        self.constant("gate_sizes", [3 * size, size])
        self.constant("size", [size])
        self.say("""
            rows = Shape (lengths)    ones = Expand (one, rows)
            turning = Concat <axis = 0> (ones, lengths)                   # (2 B,)
            both_rows = Shape (turning)
            state_shape = Concat <axis = 0> (both_rows, size)
            first_cell = Expand (zero, state_shape)                       # (2 B, H)
            first_hidden = Expand (zero_point, state_shape)               # (2 B, H) uint8""")
        for number, (ahead, back) in enumerate(_layers(layers), 1):
            for way, (_, w_state, _) in (("ahead", ahead), ("back", back)):
                self.weight(f"{way}_{number}_state", quantize.quantize_product(w_state))
            if number == 1:
                self._inputs_of_tokens(ahead, back)
            else:
                self._inputs_of_hidden(number, ahead, back)
            self._scan(number)
            self.say(f"""
                straight_{number} = ReverseSequence <time_axis = 0, batch_axis = 1>
                    (outputs_{number}, turning)
                ahead_{number}, back_{number} =
                    Split <axis = 1, num_outputs = 2> (straight_{number})
                hidden_{number} = Concat <axis = 2> (ahead_{number}, back_{number})""")
        self.say(f"hidden = Identity (hidden_{layers.num_layers})")

    def _inputs_of_tokens(self, ahead: Direction, back: Direction) -> None:
        """Say inputs_1 (S, 2 B, 4 H) of the first layer: looked up, one row a piece and way."""
        for way, (w_input, _, bias) in (("ahead", ahead), ("back", back)):
            self.table(f"{way}_1", w_input, bias)
        self.constant("pieces", self.constants["embedding"].shape[0])
        self.say("""
            table = Concat <axis = 0> (ahead_1_table, back_1_table)       # (2 V, 4 H)
            shifted = Add (steps, pieces)
            both = Concat <axis = 1> (steps, shifted)                     # (S, 2 B)
            turned = ReverseSequence <time_axis = 0, batch_axis = 1> (both, turning)
            inputs_1 = Gather (table, turned)""")

    def _inputs_of_hidden(self, number: int, ahead: Direction, back: Direction) -> None:
        """Say inputs_N (S, 2 B, 4 H) of a later layer: products with the one before."""
        below = f"hidden_{number - 1}"
        for way, (w_input, _, bias) in (("ahead", ahead), ("back", back)):
            self.product(f"{way}_{number}_input", below, w_input, bias)
        self.say(f"""
            both_{number} = Concat <axis = 1> (ahead_{number}_input, back_{number}_input)
            inputs_{number} = ReverseSequence <time_axis = 0, batch_axis = 1>
                (both_{number}, turning)""")

    def _scan(self, number: int) -> None:
        """Say the recurrence of a layer; what it hands on is the uint8 of its output."""
        self.say(f"""
            last_cell_{number}, last_hidden_{number}, outputs_{number} =
                Scan <num_scan_inputs = 1, body = step
                (float[rows, H] cell, uint8[rows, H] hidden_uint8, float[rows, G] input)
                => (float[rows, H] next_cell, uint8[rows, H] output_uint8, float[rows, H] output) {{
                    ahead_uint8, back_uint8 = Split <axis = 0, num_outputs = 2> (hidden_uint8)
                    {_integer_product("from_ahead", "ahead", f"ahead_{number}_state")}
                    {_integer_product("from_back", "back", f"back_{number}_state")}
                    recurrent = Concat <axis = 0> (from_ahead, from_back)
                    gates = Add (input, recurrent)
                    iof, c = Split <axis = 1> (gates, gate_sizes)       # onto (0, 1), (-1, 1)
                    open = Sigmoid (iof)    candidate = Tanh (c)
                    i, o, f = Split <axis = 1, num_outputs = 3> (open)
                    kept = Mul (f, cell)    added = Mul (i, candidate)
                    next_cell = Add (kept, added)
                    shown = Tanh (next_cell)    output = Mul (o, shown)
                    output_uint8 = QuantizeLinear (output, scale, zero_point)
                }}> (first_cell, first_hidden, inputs_{number})             # (S, 2 B, H)""")


def _integer_product(result: str, left: str, name: str, biased: bool = False) -> str:
    """Spell (left_uint8 - zero point) · name_weight, times both scales, plus bias."""
    bias = f", , {name}_bias" if biased else ""
    factors = f"{left}_uint8, {name}_weight, scale, {name}_scale, zero_point{bias}"
    return f"\n{result} = {MICROSOFT}.MatMulIntegerToFloat ({factors})"


def _layers(lstm: nn.LSTM) -> list[tuple[Direction, Direction]]:
    """Return both directions of every layer, gates in ONNX's order."""
    ways = [
        (_iofc(w_input), _iofc(w_state), _iofc(b_input + b_state))
        for w_input, w_state, b_input, b_state in lstm.all_weights
    ]
    return list(zip(ways[::2], ways[1::2], strict=True))


def _iofc(gates: Tensor) -> Tensor:
    i, f, c, o = gates.chunk(4)  # torch's order
    return torch.cat([i, o, f, c])


def _array(weight: Tensor) -> Array:
    array: Array = weight.detach().cpu().float().numpy()
    return array
