"""Writes a model as two ONNX graphs, in float32 or in int8 with fixed scales.

`encoder.onnx` reads source sentences; `decoder.onnx` makes one step. Each graph is written
out below once, in ONNX's own text, for both precisions: these differ in how a matrix
product and a lookup of an embedded token are spelled (`Float32`, `Int8`), and in the
recurrence of the encoder. The numbers of int8 come from `quantize.py`.

Every row of a batch is computed by itself, and to the last bit alike in any company: int8
products are exact sums of integers with fixed scales, and sums over the source axis do not
see its padding as long as the axis is a multiple of `SOURCE_MULTIPLE`.

Axes: B batch, S source, V vocabulary, E embedding, H a direction of the encoder, M memory
(2 H), D decoder, A alignment head.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
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

SOURCE = bundle.Tensor("source", "int64", ("batch", "source"))
LENGTHS = bundle.Tensor("lengths", "int64", ("batch",))
MEMORY = (
    bundle.Tensor("memory", "float", ("batch", "source", "memory")),
    bundle.Tensor("keys", "float", ("batch", "source", "alignment")),
    bundle.Tensor("mask", "bool", ("batch", "source")),
)
START = bundle.Tensor("start", "float", ("batch", "decoder"))
TOKEN = bundle.Tensor("token", "int64", ("batch",))
STATE = bundle.Tensor("state", "float", ("batch", "decoder"))
STEP = (
    bundle.Tensor("logits", "float", ("batch", "vocabulary")),
    bundle.Tensor("cross", "float", ("batch", "source")),
    bundle.Tensor("alignment", "float", ("batch", "source")),
    bundle.Tensor("next_state", "float", ("batch", "decoder")),
)
INPUTS = {"encoder": (SOURCE, LENGTHS), "decoder": (TOKEN, STATE, *MEMORY)}
OUTPUTS = {"encoder": (*MEMORY, START), "decoder": STEP}
DOCS = {
    "encoder": "Bidirectional LSTM over source tokens that are padded at the end. memory "
    "(batch, source, memory) and keys (batch, source, alignment) are zero on padding; mask "
    "is true on real tokens; start is the first decoder state.",
    "decoder": "One step: reads token and state, gives the logits of the next token, the "
    "cross-attention that chose it, the alignment row of the token just read, and the new "
    "state. The source axis is a multiple of 4; rows are zero on padding.",
}


def export_fp32(model: Seq2Seq, folder: Path) -> None:
    """Write the float32 graphs, of standard operators only."""
    _write(model, folder, Float32)


def export_int8(model: Seq2Seq, folder: Path) -> None:
    """Write the int8 graphs; their products are ONNX Runtime's (`com.microsoft`)."""
    _write(model, folder, Int8)


def describe(precision: Precision) -> dict[str, Any]:
    """Return what a manifest says of the graphs, as JSON, in the fields of `bundle.Model`.

    `special` and `limits` are the caller's to add.
    """
    graphs = [
        bundle.Graph(role, f"{role}.onnx", precision, INPUTS[role], OUTPUTS[role])
        for role in INPUTS
    ]
    state = bundle.State(STATE.name, STEP[3].name, START.name, STATE.axes)
    attention = [
        bundle.Attention("cross", STEP[1].name, heads=1, delay=0),
        bundle.Attention("alignment", STEP[2].name, heads=1, delay=1),
    ]
    scales = {"activation": quantize.ACTIVATION_SCALE, "zero_point": quantize.ZERO_POINT}
    described = {
        "precision": precision,
        "opset": OPSET,
        "graphs": [dataclasses.asdict(graph) for graph in graphs],
        "memory": [tensor.name for tensor in MEMORY],
        "state": [dataclasses.asdict(state)],
        "attention": [dataclasses.asdict(row) for row in attention],
        "scales": scales if precision == "int8" else {},
    }
    made: dict[str, Any] = json.loads(json.dumps(described))
    return made


class Graph:
    """A graph in the making: lines of ONNX text, and constants by name."""

    def __init__(self) -> None:
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
        self.constants[name] = np.ascontiguousarray(values).reshape(np.shape(values))

    def finish(self, role: str, sizes: Mapping[str, int]) -> onnx.ModelProto:
        """Return the checked model; `sizes` are the axes that are not dynamic."""
        opsets = f'"": {OPSET}, "{MICROSOFT}": {MICROSOFT_OPSET}'
        text = f"""<ir_version: {IR_VERSION}, opset_import: [{opsets}], producer_name: "interlinea">
            {role} ({_declare(INPUTS[role], sizes)}) => ({_declare(OUTPUTS[role], sizes)})
            {{ {"".join(self.lines)}
            }}"""
        model: onnx.ModelProto = parser.parse_model(text)
        for name, values in self.constants.items():
            model.graph.initializer.append(numpy_helper.from_array(values, name))
        model.doc_string = model.graph.doc_string = DOCS[role]
        checker.check_model(model)
        return model


class Float32(Graph):
    """Spells products and lookups with standard float32 operators."""

    precision: Precision = "fp32"

    def embedding(self, weight: Tensor, tied: bool) -> None:
        """Take the table (V, E) that lookups read and, if `tied`, the output projection."""
        self.constant("embedding", _array(weight))

    def lookup(self, result: str, ids: str, weight: Tensor, bias: Tensor) -> None:
        """result (..., N) = embedding[ids] · weight.T + bias, for weight (N, E)."""
        self.constant(f"{result}_weight", _array(weight.T))
        self.constant(f"{result}_bias", _array(bias))
        self.say(f"""
            {result}_embedded = Gather (embedding, {ids})
            {result}_product = MatMul ({result}_embedded, {result}_weight)
            {result} = Add ({result}_product, {result}_bias)""")

    def round(self, values: str) -> None:
        """Ready an activation for products: nothing to do."""

    def product(self, result: str, left: str, weight: Tensor, bias: Tensor | None = None) -> None:
        """result (..., N) = left (..., K) · weight.T + bias, for weight (N, K)."""
        self.constant(f"{result}_weight", _array(weight.T))
        if bias is None:
            self.say(f"{result} = MatMul ({left}, {result}_weight)")
            return
        self.constant(f"{result}_bias", _array(bias))
        self.say(f"""
            {result}_product = MatMul ({left}, {result}_weight)
            {result} = Add ({result}_product, {result}_bias)""")

    def tied_product(self, result: str, left: str, bias: Tensor) -> None:
        """result (B, V) = left (B, E) · embedding.T + bias."""
        self.constant(f"{result}_bias", _array(bias))
        self.say(f"{result} = Gemm <transB = 1> ({left}, embedding, {result}_bias)")

    def lstm(self, layer: nn.LSTM) -> None:
        """source, lengths -> states (B, S, M), of any value on padding."""
        ways = _directions(layer)
        self.constant("lstm_input", np.stack([_array(way.input) for way in ways]))
        self.constant("lstm_state", np.stack([_array(way.state) for way in ways]))
        bias = [np.concatenate([_array(way.bias), 0 * _array(way.bias)]) for way in ways]
        self.constant("lstm_bias", np.stack(bias))
        self.constant("side_by_side", [0, 0, 2 * layer.hidden_size])
        self.say(f"""
            steps = Transpose <perm = [1, 0]> (source)            # (S, B)
            embedded = Gather (embedding, steps)                  # (S, B, E)
            lengths_32 = Cast <to = {TensorProto.INT32}> (lengths)
            hidden = LSTM <direction = "bidirectional", hidden_size = {layer.hidden_size}>
                (embedded, lstm_input, lstm_state, lstm_bias, lengths_32)  # (S, 2, B, H)
            by_batch = Transpose <perm = [2, 0, 1, 3]> (hidden)   # (B, S, 2, H)
            states = Reshape (by_batch, side_by_side)             # (B, S, M)""")


class Int8(Graph):
    """Spells products with uint8 activations, int8 weights and fixed scales.

    What depends on a token alone is a table of one row a piece. The file holds int8 factors
    of the tables; ONNX Runtime multiplies them out once, when it loads the graph (it folds
    `Cast` and `Mul` of constants, but not `DequantizeLinear`).
    """

    precision: Precision = "int8"

    def __init__(self) -> None:
        super().__init__()
        self.constant("scale", np.float32(quantize.ACTIVATION_SCALE))
        self.constant("zero_point", np.uint8(quantize.ZERO_POINT))

    def embedding(self, weight: Tensor, tied: bool) -> None:
        """Take the table (V, E) that lookups read and, if `tied`, the output projection."""
        rows = quantize.quantize_product(weight) if tied else quantize.quantize_table(weight)
        self.constant("embedding", rows.values)
        self.constant("embedding_scale", rows.scales)
        self.say(f"""
            embedding_column = Unsqueeze (embedding_scale, second_axis)     # (V, 1)
            embedding_integers = Cast <to = {TensorProto.FLOAT}> (embedding)
            embedding_rows = Mul (embedding_integers, embedding_column)   # (V, E)""")

    def table(self, result: str, weight: Tensor, bias: Tensor) -> None:
        """result_table (V, N) = embedding · weight.T + bias, from constants alone."""
        columns = quantize.quantize_table(weight)
        self.constant(f"{result}_weight", columns.values.T)
        self.constant(f"{result}_scale", columns.scales)
        self.constant(f"{result}_bias", _array(bias))
        self.say(f"""
            {result}_integers = Cast <to = {TensorProto.FLOAT}> ({result}_weight)
            {result}_columns = Mul ({result}_integers, {result}_scale)
            {result}_table = Gemm (embedding_rows, {result}_columns, {result}_bias)""")

    def lookup(self, result: str, ids: str, weight: Tensor, bias: Tensor) -> None:
        """result (..., N) = embedding[ids] · weight.T + bias, for weight (N, E)."""
        self.table(result, weight, bias)
        self.say(f"{result} = Gather ({result}_table, {ids})")

    def round(self, values: str) -> None:
        """Ready an activation for products, once for all of them."""
        self.say(f"{values}_uint8 = QuantizeLinear ({values}, scale, zero_point)")

    def product(self, result: str, left: str, weight: Tensor, bias: Tensor | None = None) -> None:
        """result (..., N) = left (..., K) · weight.T + bias, for weight (N, K)."""
        columns = quantize.quantize_product(weight)
        self.constant(f"{result}_weight", columns.values.T)
        self.constant(f"{result}_scale", columns.scales)
        if bias is not None:
            self.constant(f"{result}_bias", _array(bias))
        self.say(_integer_product(result, f"{left}_uint8", result, bias is not None))

    def tied_product(self, result: str, left: str, bias: Tensor) -> None:
        """result (B, V) = left (B, E) · embedding.T + bias."""
        self.constant(f"{result}_bias", _array(bias))
        self.say(f"""
            {result}_weight = Transpose (embedding)                       # (E, V)
            {result}_scale = Identity (embedding_scale)""")
        self.say(_integer_product(result, f"{left}_uint8", result, True))

    def lstm(self, layer: nn.LSTM) -> None:
        """source, lengths -> states (B, S, M), of any value on padding.

        Both directions run as one batch of 2 B rows: the second half reads each sentence
        backwards from its own last token, so that padding comes last for both.
        """
        forward, backward = _directions(layer)
        self.table("forward", forward.input, forward.bias)
        self.table("backward", backward.input, backward.bias)
        for name, way in (("ahead", forward), ("back", backward)):
            columns = quantize.quantize_product(way.state)
            self.constant(f"{name}_weight", columns.values.T)
            self.constant(f"{name}_scale", columns.scales)
        size = layer.hidden_size
        self.constant("pieces", self.constants["embedding"].shape[0])
        self.constant("gate_sizes", [3 * size, size])
        self.constant("size", [size])
        self.constant("ways", [0, 2, -1, size])
        self.constant("side_by_side", [0, 0, 2 * size])
        self.say(f"""
            table = Concat <axis = 0> (forward_table, backward_table)     # (2 V, 4 H)
            steps = Transpose <perm = [1, 0]> (source)                    # (S, B)
            shifted = Add (steps, pieces)
            both = Concat <axis = 1> (steps, shifted)                     # (S, 2 B)
            rows = Shape (lengths)
            ones = Expand (one, rows)
            turning = Concat <axis = 0> (ones, lengths)                   # (2 B,)
            turned = ReverseSequence <time_axis = 0, batch_axis = 1> (both, turning)
            inputs = Gather (table, turned)                               # (S, 2 B, 4 H)
            both_rows = Shape (turning)
            state_shape = Concat <axis = 0> (both_rows, size)
            first_cell = Expand (zero, state_shape)                       # (2 B, H)
            first_hidden = Expand (zero_point, state_shape)               # (2 B, H) uint8
            last_cell, last_hidden, outputs = Scan <num_scan_inputs = 1, body = step
                (float[rows, H] cell, uint8[rows, H] hidden, float[rows, G] input)
                => (float[rows, H] next_cell, uint8[rows, H] next_hidden, float[rows, H] output) {{
                    ahead, back = Split <axis = 0, num_outputs = 2> (hidden)
                    {_integer_product("from_ahead", "ahead", "ahead")}
                    {_integer_product("from_back", "back", "back")}
                    recurrent = Concat <axis = 0> (from_ahead, from_back)
                    gates = Add (input, recurrent)
                    iof, c = Split <axis = 1> (gates, gate_sizes)
                    open = Sigmoid (iof)
                    i, o, f = Split <axis = 1, num_outputs = 3> (open)
                    candidate = Tanh (c)
                    kept = Mul (f, cell)
                    added = Mul (i, candidate)
                    next_cell = Add (kept, added)
                    shown = Tanh (next_cell)
                    output = Mul (o, shown)
                    next_hidden = QuantizeLinear (output, scale, zero_point)
                }}> (first_cell, first_hidden, inputs)
            straight = ReverseSequence <time_axis = 0, batch_axis = 1> (outputs, turning)
            by_way = Reshape (straight, ways)                             # (S, 2, B, H)
            by_batch = Transpose <perm = [2, 0, 1, 3]> (by_way)           # (B, S, 2, H)
            states = Reshape (by_batch, side_by_side)                     # (B, S, M)""")


def _encoder(graph: Float32 | Int8, model: Seq2Seq) -> onnx.ModelProto:
    encoder, head = model.encoder, model.head
    graph.constant("one", [1])
    graph.constant("third_axis", [2])
    graph.constant("first_position", np.int64(0))
    graph.constant("next_position", np.int64(1))
    graph.embedding(encoder.embedding.weight, tied=False)
    graph.say("""
        width = Shape <start = 1> (source)
        end = Squeeze (width)
        positions = Range (first_position, end, next_position)
        length_column = Unsqueeze (lengths, second_axis)
        mask = Less (positions, length_column)                            # (B, S)
        mask_column = Unsqueeze (mask, third_axis)                         # (B, S, 1)""")
    graph.lstm(encoder.lstm)
    graph.say("""
        memory = Where (mask_column, states, zero)                        # (B, S, M)
        last_index = Sub (length_column, one)
        at_end = GatherND <batch_dims = 1> (memory, last_index)           # (B, M)
        at_start = Gather <axis = 1> (memory, first_position)             # (B, M)
        forward_end, unused_end = Split <axis = 1, num_outputs = 2> (at_end)
        unused_start, backward_end = Split <axis = 1, num_outputs = 2> (at_start)
        last = Concat <axis = 1> (forward_end, backward_end)              # (B, M)""")
    graph.round("last")
    graph.product("bridge", "last", encoder.bridge.weight, encoder.bridge.bias)
    graph.say("start = Tanh (bridge)")
    graph.round("memory")
    graph.product("memory_keys", "memory", head.key_memory.weight)
    graph.lookup("token_keys", "source", head.key_token.weight, head.key_token.bias)
    graph.say("""
        all_keys = Add (memory_keys, token_keys)
        keys = Where (mask_column, all_keys, zero)                        # (B, S, A)""")
    return graph.finish("encoder", _sizes(model))


def _decoder(graph: Float32 | Int8, model: Seq2Seq) -> onnx.ModelProto:
    decoder, head, size = model.decoder, model.head, model.sizes.decoder
    gru, combine = decoder.gru, decoder.combine.weight
    graph.constant("gate_sizes", np.array([2 * size, size], np.int64))
    graph.constant("masked", np.float32(MASKED))
    graph.constant("head_scale", np.float32(head.scale))
    graph.embedding(decoder.embedding.weight, tied=True)
    graph.lookup("input", "token", gru.weight_ih_l0, gru.bias_ih_l0)
    graph.round("state")
    graph.product("recurrent", "state", gru.weight_hh_l0, gru.bias_hh_l0)
    graph.say("""
        input_rz, input_n = Split <axis = 1> (input, gate_sizes)
        recurrent_rz, recurrent_n = Split <axis = 1> (recurrent, gate_sizes)
        gates_rz = Add (input_rz, recurrent_rz)
        open = Sigmoid (gates_rz)
        r, z = Split <axis = 1, num_outputs = 2> (open)
        remembered = Mul (r, recurrent_n)
        gate_n = Add (input_n, remembered)
        n = Tanh (gate_n)
        away = Sub (state, n)
        kept = Mul (z, away)
        next_state = Add (n, kept)                                        # (1 - z) n + z state
        mask_row = Unsqueeze (mask, second_axis)                            # (B, 1, S)""")
    graph.round("next_state")
    graph.product("query", "next_state", decoder.attention.query.weight)
    graph.say(f"""
        query_row = Unsqueeze (query, second_axis)                          # (B, 1, M)
        memory_columns = Transpose <perm = [0, 2, 1]> (memory)
        scores = MatMul (query_row, memory_columns)                       # (B, 1, S)
        {_masked_softmax("cross_row", "scores")}
        context_row = MatMul (cross_row, memory)                          # (B, 1, M)
        cross = Squeeze (cross_row, second_axis)
        context = Squeeze (context_row, second_axis)""")
    graph.round("context")
    memory = 2 * model.sizes.encoder
    graph.product("from_context", "context", combine[:, :memory])
    graph.product("from_state", "next_state", combine[:, memory:])
    graph.say("""
        combined = Add (from_context, from_state)
        features = Tanh (combined)                                        # (B, E)""")
    graph.round("features")
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
    return graph.finish("decoder", _sizes(model))


def _masked_softmax(result: str, scores: str) -> str:
    """Spell `attention.masked_softmax`: (B, 1, S), exactly zero on padding."""
    return f"""
        {scores}_real = Where (mask_row, {scores}, masked)
        {scores}_shares = Softmax <axis = 2> ({scores}_real)
        {result} = Where (mask_row, {scores}_shares, zero)"""


def _integer_product(result: str, left: str, name: str, biased: bool = False) -> str:
    """Spell (uint8 left - zero point) · int8 weight, times both scales, plus bias."""
    bias = f", , {name}_bias" if biased else ""
    factors = f"{left}, {name}_weight, scale, {name}_scale, zero_point{bias}"
    return f"\n{result} = {MICROSOFT}.MatMulIntegerToFloat ({factors})"


@dataclasses.dataclass(frozen=True, slots=True)
class _Direction:
    """One direction of an LSTM in ONNX's order of gates: input, output, forget, cell."""

    input: Tensor  # (4 H, E)
    state: Tensor  # (4 H, H)
    bias: Tensor  # (4 H,)


def _directions(layer: nn.LSTM) -> tuple[_Direction, _Direction]:
    forward, backward = (
        _Direction(_iofc(w_input), _iofc(w_state), _iofc(b_input + b_state))
        for w_input, w_state, b_input, b_state in layer.all_weights
    )
    return forward, backward


def _iofc(gates: Tensor) -> Tensor:
    i, f, c, o = gates.chunk(4)  # torch's order
    return torch.cat([i, o, f, c])


def _sizes(model: Seq2Seq) -> dict[str, int]:
    return {
        "memory": 2 * model.sizes.encoder,
        "alignment": model.sizes.alignment_head,
        "decoder": model.sizes.decoder,
        "vocabulary": model.decoder.embedding.num_embeddings,
    }


def _declare(tensors: Sequence[bundle.Tensor], sizes: Mapping[str, int]) -> str:
    axes = {t.name: ", ".join(str(sizes.get(axis, axis)) for axis in t.axes) for t in tensors}
    return ", ".join(f"{tensor.type}[{axes[tensor.name]}] {tensor.name}" for tensor in tensors)


def _write(model: Seq2Seq, folder: Path, kind: type[Float32] | type[Int8]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for role, build in (("encoder", _encoder), ("decoder", _decoder)):
        onnx.save(build(kind(), model), str(folder / f"{role}.onnx"))


def _array(weight: Tensor) -> Array:
    array: Array = weight.detach().cpu().float().numpy()
    return array
