"""Writes a model as two ONNX graphs, in float32 or in int8 with fixed scales.

`encoder.onnx` reads source sentences; `decoder.onnx` makes one step. Each graph is written
out below once, in ONNX's own text, for both precisions: these differ in how a matrix
product and a lookup of an embedded token are spelled (`Float32`, `Int8`), and in the
recurrence of the encoder. The numbers of int8 come from `quantize.py`.

In int8 every row of a batch comes out alike to the last bit, whatever the other rows: the
products are exact sums of integers with fixed scales, and float32 sums over the source axis
do not see its padding as long as the axis is a multiple of `SOURCE_MULTIPLE`.

Axes: B batch, S source, V vocabulary, E embedding, H a direction of the encoder, M memory
(2 H), D decoder, A alignment head.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, checker, numpy_helper, parser
from torch import Tensor, nn

from model_export import quantize
from model_export.attention import MASKED
from model_export.model import Seq2Seq
from service import bundle

OPSET, IR_VERSION = 21, 10
MICROSOFT, MICROSOFT_OPSET = "com.microsoft", 1
SOURCE_MULTIPLE = 4
Precision = Literal["fp32", "int8"]
Array = NDArray[Any]

SIGNATURES = {
    "encoder": """(int64[batch, source] source, int64[batch] lengths) =>
        (float[batch, source, memory] memory, float[batch, source, alignment] keys,
         bool[batch, source] mask, float[batch, decoder] start)""",
    "decoder": """(int64[batch] token, float[batch, decoder] state,
         float[batch, source, memory] memory, float[batch, source, alignment] keys,
         bool[batch, source] mask) =>
        (float[batch, vocabulary] logits, float[batch, source] cross,
         float[batch, source] alignment, float[batch, decoder] next_state)""",
}
DOCS = {
    "encoder": "Sources are padded at the end; memory and keys are zero on padding.",
    "decoder": "One step: `logits` and `cross` are of the next token, `alignment` of `token`.",
}


def export_fp32(model: Seq2Seq, folder: Path) -> None:
    """Write the float32 graphs, of standard operators only."""
    _save(folder, _encoder(Float32(), model), _decoder(Float32(), model))


def export_int8(model: Seq2Seq, folder: Path) -> None:
    """Write the int8 graphs; their products are ONNX Runtime's (`com.microsoft`)."""
    _save(folder, _encoder(Int8(), model), _decoder(Int8(), model))


def describe(precision: Precision) -> dict[str, Any]:
    """Return what a manifest says of the graphs, as JSON, in the fields of `bundle.Model`.

    `special` and `limits` are the caller's to add.
    """
    graphs = [
        bundle.Graph(role, f"{role}.onnx", precision, *_signature(role)) for role in SIGNATURES
    ]
    encoder, decoder = graphs
    axes = {tensor.name: tensor.axes for tensor in decoder.inputs}
    scales = {"activation": quantize.ACTIVATION_SCALE, "zero_point": quantize.ZERO_POINT}
    described = {
        "precision": precision,
        "opset": OPSET,
        "graphs": [dataclasses.asdict(graph) for graph in graphs],
        "memory": [tensor.name for tensor in encoder.outputs if tensor.name in axes],
        "state": [
            {"input": "state", "output": "next_state", "start": "start", "axes": axes["state"]}
        ],
        "attention": [
            {"kind": "cross", "output": "cross", "heads": 1, "delay": 0},
            {"kind": "alignment", "output": "alignment", "heads": 1, "delay": 1},
        ],
        "scales": scales if precision == "int8" else {},
    }
    return dict(json.loads(json.dumps(described)))


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


def _encoder(graph: Float32 | Int8, model: Seq2Seq) -> onnx.ModelProto:
    encoder, head = model.encoder, model.head
    graph.constant("one", [1])
    graph.constant("third_axis", [2])
    graph.constant("side_by_side", [0, 0, 2 * model.sizes.encoder])
    graph.constant("is_forward", np.arange(2).repeat(model.sizes.encoder) == 0)
    graph.constant("first_position", 0)
    graph.constant("next_position", 1)
    graph.embedding(encoder.embedding.weight, tied=False)
    graph.say("""
        width = Shape <start = 1> (source)    end = Squeeze (width)
        positions = Range (first_position, end, next_position)
        length_column = Unsqueeze (lengths, second_axis)
        mask = Less (positions, length_column)                            # (B, S)
        mask_column = Unsqueeze (mask, third_axis)                        # (B, S, 1)
        steps = Transpose <perm = [1, 0]> (source)                        # (S, B)""")
    graph.lstm(encoder.lstm)
    graph.say("""
        by_batch = Transpose <perm = [2, 0, 1, 3]> (hidden)               # (B, S, 2, H)
        states = Reshape (by_batch, side_by_side)
        memory = Where (mask_column, states, zero)                        # (B, S, M)
        last_index = Sub (length_column, one)
        at_end = GatherND <batch_dims = 1> (memory, last_index)           # (B, M)
        at_start = Gather <axis = 1> (memory, first_position)             # (B, M)
        last = Where (is_forward, at_end, at_start)                       # (B, M)""")
    graph.product("bridge", "last", encoder.bridge.weight, encoder.bridge.bias)
    graph.say("start = Tanh (bridge)")
    graph.product("memory_keys", "memory", head.key_memory.weight)
    graph.lookup("token_keys", "source", head.key_token.weight, head.key_token.bias)
    graph.say("""
        all_keys = Add (memory_keys, token_keys)
        keys = Where (mask_column, all_keys, zero)                        # (B, S, A)""")
    return graph.finish("encoder", _sized("encoder", model), DOCS["encoder"])


def _decoder(graph: Float32 | Int8, model: Seq2Seq) -> onnx.ModelProto:
    decoder, head, size = model.decoder, model.head, model.sizes.decoder
    w_input, w_state, b_input, b_state = decoder.gru.all_weights[0]
    graph.constant("gate_sizes", [2 * size, size])
    graph.constant("masked", np.float32(MASKED))
    graph.constant("head_scale", np.float32(head.scale))
    graph.embedding(decoder.embedding.weight, tied=True)
    graph.lookup("input", "token", w_input, b_input)
    graph.product("recurrent", "state", w_state, b_state)
    graph.say("""
        input_rz, input_n = Split <axis = 1> (input, gate_sizes)
        recurrent_rz, recurrent_n = Split <axis = 1> (recurrent, gate_sizes)
        gates_rz = Add (input_rz, recurrent_rz)    open = Sigmoid (gates_rz)
        r, z = Split <axis = 1, num_outputs = 2> (open)
        remembered = Mul (r, recurrent_n)
        gate_n = Add (input_n, remembered)    n = Tanh (gate_n)
        away = Sub (state, n)    kept = Mul (z, away)
        next_state = Add (n, kept)                                        # (1 - z) n + z state
        mask_row = Unsqueeze (mask, second_axis)                          # (B, 1, S)""")
    graph.product("query", "next_state", decoder.attention.query.weight)
    graph.say(f"""
        query_row = Unsqueeze (query, second_axis)                        # (B, 1, M)
        memory_columns = Transpose <perm = [0, 2, 1]> (memory)
        scores = MatMul (query_row, memory_columns)                       # (B, 1, S)
        {_masked_softmax("cross_row", "scores")}
        context_row = MatMul (cross_row, memory)                          # (B, 1, M)
        cross = Squeeze (cross_row, second_axis)    context = Squeeze (context_row, second_axis)
        both_states = Concat <axis = 1> (context, next_state)             # (B, M + D)""")
    graph.product("combined", "both_states", decoder.combine.weight)
    graph.say("features = Tanh (combined)")
    graph.tied_product("logits", "features", decoder.bias)
    graph.product("state_query", "next_state", head.query_state.weight)
    graph.lookup("token_query", "token", head.query_token.weight, head.query_token.bias)
    graph.say(f"""
        head_query = Add (state_query, token_query)                       # (B, A)
        scaled_query = Mul (head_query, head_scale)
        head_row = Unsqueeze (scaled_query, second_axis)
        key_columns = Transpose <perm = [0, 2, 1]> (keys)
        head_scores = MatMul (head_row, key_columns)                      # (B, 1, S)
        {_masked_softmax("alignment_row", "head_scores")}
        alignment = Squeeze (alignment_row, second_axis)""")
    return graph.finish("decoder", _sized("decoder", model), DOCS["decoder"])


def _masked_softmax(result: str, scores: str) -> str:
    """Spell `attention.masked_softmax`: (B, 1, S), exactly zero on padding."""
    return f"""
        {scores}_real = Where (mask_row, {scores}, masked)
        {scores}_shares = Softmax <axis = 2> ({scores}_real)
        {result} = Where (mask_row, {scores}_shares, zero)"""


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


def _sized(role: str, model: Seq2Seq) -> str:
    signature = SIGNATURES[role]
    sizes = {
        "memory": 2 * model.sizes.encoder,
        "alignment": model.sizes.alignment_head,
        "decoder": model.sizes.decoder,
        "vocabulary": model.decoder.embedding.num_embeddings,
    }
    for axis, size in sizes.items():
        signature = signature.replace(f", {axis}]", f", {size}]")
    return signature


def _signature(role: str) -> list[tuple[bundle.Tensor, ...]]:
    graph = parser.parse_graph(f"{role} {SIGNATURES[role]} {{ }}")
    return [tuple(_tensor(value) for value in values) for values in (graph.input, graph.output)]


def _tensor(value: onnx.ValueInfoProto) -> bundle.Tensor:
    kind = value.type.tensor_type
    name = TensorProto.DataType.Name(kind.elem_type).lower()
    return bundle.Tensor(value.name, name, tuple(axis.dim_param for axis in kind.shape.dim))


def _save(folder: Path, *graphs: onnx.ModelProto) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for made in graphs:
        onnx.save(made, str(folder / f"{made.graph.name}.onnx"))


def _array(weight: Tensor) -> Array:
    array: Array = weight.detach().cpu().float().numpy()
    return array
