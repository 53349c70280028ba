"""Writes a model as ONNX graphs, in float32 or in int8 with fixed scales.

`encoder.onnx` reads source sentences; `decoder.onnx` makes one step; `candidates.onnx` holds
no weights and ranks what a step says, for beams. Each graph is written out below once, in
ONNX's own text, for both precisions: these differ in how a matrix product and a lookup of
an embedded token are spelled (`Float32`, `Int8`), and in the recurrence of the encoder. The
numbers of int8 come from `quantize.py`.

In int8 every row of a batch comes out alike to the last bit, whatever the other rows: the
products are exact sums of integers with fixed scales, and float32 sums over the source axis
do not see its padding as long as the axis is a multiple of `SOURCE_MULTIPLE`.

Axes: B batch, S source, V vocabulary, E embedding, H a direction of the encoder, M memory
(2 H), D first GRU of the decoder, U second one, A alignment head.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, parser

from model_export import quantize
from model_export.attention import MASKED
from model_export.model import Seq2Seq
from model_export.spelling import OPSET, Float32, Int8
from service import bundle

SOURCE_MULTIPLE = 4
Precision = Literal["fp32", "int8"]

SIGNATURES = {
    "encoder": """(int64[batch, source] source, int64[batch] lengths) =>
        (float[batch, source, memory] memory, float[batch, source, alignment] keys,
         bool[batch, source] mask, float[batch, decoder] start)""",
    "decoder": """(int64[batch] token, float[batch, decoder] state,
         float[batch, source, memory] memory, float[batch, source, alignment] keys,
         bool[batch, source] mask) =>
        (float[batch, vocabulary] log_probabilities, float[batch, source] cross,
         float[batch, source] alignment, float[batch, decoder] next_state)""",
    "candidates": """(float[batch, vocabulary] log_probabilities, int64[one] count) =>
        (float[batch, best] top_scores, int64[batch, best] top_tokens)""",
}
DOCS = {
    "encoder": "Sources are padded at the end; memory and keys are zero on padding.",
    "decoder": "One step: `log_probabilities` and `cross` are of the next token, `alignment` of "
    "`token`.",
    "candidates": "The best tokens of every row, the lower one first where two are equal.",
}


def export_fp32(model: Seq2Seq, folder: Path) -> None:
    """Write the float32 graphs, of standard operators only."""
    _save(folder, _encoder(Float32(), model), _decoder(Float32(), model), _candidates(model))


def export_int8(model: Seq2Seq, folder: Path) -> None:
    """Write the int8 graphs; their products are ONNX Runtime's (`com.microsoft`)."""
    _save(folder, _encoder(Int8(), model), _decoder(Int8(), model), _candidates(model))


def describe(precision: Precision) -> dict[str, Any]:
    """Return what a manifest says of the graphs, as JSON, in the fields of `bundle.Model`.

    `special` and `limits` are the caller's to add.
    """
    graphs = [
        bundle.Graph(role, f"{role}.onnx", precision, *_signature(role)) for role in SIGNATURES
    ]
    encoder, decoder, _ = graphs
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


def _encoder(graph: Float32 | Int8, model: Seq2Seq) -> onnx.ModelProto:
    encoder, head = model.encoder, model.head
    graph.constant("one", [1])
    graph.constant("third_axis", [2])
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
        states = Transpose <perm = [1, 0, 2]> (hidden)                    # (B, S, M)
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
    decoder, head, sizes = model.decoder, model.head, model.sizes
    w_input, w_state, b_input, b_state = decoder.gru.all_weights[0]
    graph.constant("masked", np.float32(MASKED))
    graph.constant("head_scale", np.float32(head.scale))
    graph.embedding(decoder.embedding.weight, tied=True)
    graph.lookup("new_lower_input", "token", w_input, b_input)
    if decoder.top is None:
        graph.say("lower = Identity (state)")
    else:
        graph.constant("state_sizes", [sizes.decoder, sizes.decoder_top])
        graph.say("lower, upper = Split <axis = 1> (state, state_sizes)   # (B, D), (B, U)")
    graph.product("new_lower_recurrent", "lower", w_state, b_state)
    graph.say(_gru(graph, "new_lower", sizes.decoder, "lower"))
    graph.say("mask_row = Unsqueeze (mask, second_axis)                           # (B, 1, S)")
    graph.product("query", "new_lower", decoder.attention.query.weight)
    graph.say(f"""
        query_row = Unsqueeze (query, second_axis)                        # (B, 1, M)
        memory_columns = Transpose <perm = [0, 2, 1]> (memory)
        scores = MatMul (query_row, memory_columns)                       # (B, 1, S)
        {_masked_softmax("cross_row", "scores")}
        context_row = MatMul (cross_row, memory)                          # (B, 1, M)
        cross = Squeeze (cross_row, second_axis)    context = Squeeze (context_row, second_axis)
        both = Concat <axis = 1> (context, new_lower)                     # (B, M + D)""")
    if decoder.top is None:
        graph.say("known = Identity (both)    next_state = Identity (new_lower)")
    else:
        w_input, w_state, b_input, b_state = decoder.top.all_weights[0]
        graph.product("new_upper_input", "both", w_input, b_input)
        graph.product("new_upper_recurrent", "upper", w_state, b_state)
        graph.say(_gru(graph, "new_upper", sizes.decoder_top, "upper"))
        graph.say("""
            known = Concat <axis = 1> (both, new_upper)                   # (B, M + D + U)
            next_state = Concat <axis = 1> (new_lower, new_upper)         # (B, D + U)""")
    graph.product("combined", "known", decoder.combine.weight)
    graph.say("features = Tanh (combined)")
    graph.tied_product("logits", "features", decoder.bias)
    graph.say("log_probabilities = LogSoftmax <axis = 1> (logits)")
    graph.product("state_query", "new_lower", head.query_state.weight)
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


def _candidates(model: Seq2Seq) -> onnx.ModelProto:
    """Rank tokens for beam search: in the runtime's own code, several times numpy's speed."""
    graph = Float32()
    graph.say("top_scores, top_tokens = TopK <axis = 1> (log_probabilities, count)")
    return graph.finish("candidates", _sized("candidates", model), DOCS["candidates"])


def _gru(graph: Float32 | Int8, name: str, size: int, state: str) -> str:
    """Spell a GRU (Cho et al. 2014) as torch has it: name = (1 - z) n + z state.

    Reads {name}_input and {name}_recurrent (B, 3 size), gates in the order r, z, n.
    """
    graph.constant(f"{name}_sizes", [2 * size, size])
    return f"""
        {name}_input_rz, {name}_input_n = Split <axis = 1> ({name}_input, {name}_sizes)
        {name}_past_rz, {name}_past_n = Split <axis = 1> ({name}_recurrent, {name}_sizes)
        {name}_sum_rz = Add ({name}_input_rz, {name}_past_rz)
        {name}_open = Sigmoid ({name}_sum_rz)
        {name}_r, {name}_z = Split <axis = 1, num_outputs = 2> ({name}_open)
        {name}_past = Mul ({name}_r, {name}_past_n)
        {name}_sum_n = Add ({name}_input_n, {name}_past)    {name}_n = Tanh ({name}_sum_n)
        {name}_away = Sub ({state}, {name}_n)    {name}_kept = Mul ({name}_z, {name}_away)
        {name} = Add ({name}_n, {name}_kept)"""


def _masked_softmax(result: str, scores: str) -> str:
    """Spell `attention.masked_softmax`: (B, 1, S), exactly zero on padding."""
    return f"""
        {scores}_real = Where (mask_row, {scores}, masked)
        {scores}_shares = Softmax <axis = 2> ({scores}_real)
        {result} = Where (mask_row, {scores}_shares, zero)"""


def _sized(role: str, model: Seq2Seq) -> str:
    signature = SIGNATURES[role]
    sizes = {
        "memory": 2 * model.sizes.encoder,
        "alignment": model.sizes.alignment_head,
        "decoder": model.sizes.decoder + model.sizes.decoder_top,
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
