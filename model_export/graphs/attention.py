"""The cross-attentions of a decoder, and the alignment head, in ONNX.

Each reads queries (R, D) and what the encoder's graph prepared once a sentence, and gives a
context (R, M) and attention: `cross` (B, S), or (B, N, S) of N heads. Where the rows are
positions (see `rows.py`) there is an axis of them behind B, here written [T].

Axes: R rows, B batch, T positions, S source, M memory, D decoder state, A hidden size, N heads,
H a head (M/N).
"""

import numpy as np

from model_export import config
from model_export.attention import MASKED, Additive, AlignmentHead, CrossAttention, Local, MultiHead
from model_export.graphs.rows import Positions, Rows
from model_export.graphs.spelling import Float32, Int8, array
from model_export.model import Seq2Seq

AnyGraph = Float32 | Int8


def prepared(sizes: config.Model) -> dict[str, str]:
    """Return the memory tensors that a decoder's attentions read: name to axes behind B and S."""
    match sizes.attention.kind:
        case "none":
            return {}
        case "multi-head":
            return {"looked": "looked"}
        case "additive" | "concat":
            return {"memory": "memory", "looked": "looked"}
        case _:
            return {"memory": "memory"}


def looked(model: Seq2Seq) -> list[str]:
    """Return the paths of the layers that make `looked` of the memory."""
    parts = []
    for path, module in model.decoder.named_modules():
        if isinstance(module, Additive):
            parts.append(f"decoder.{path}.key")
        elif isinstance(module, MultiHead):
            parts += [f"decoder.{path}.key", f"decoder.{path}.value"]
    return parts


def prepare(graph: AnyGraph, model: Seq2Seq) -> None:
    """Say what the encoder's graph prepares, from `memory` (B, S, M), zero on padding.

    `looked` holds the keys of an additive score (B, S, A), or keys and values of every
    layer's heads side by side (B, S, 2 L M).
    """
    parts = looked(model)
    if not parts:
        return
    for number, name in enumerate(parts):
        graph.linear(f"looked_{number}", "memory", name)
    sides = ", ".join(f"looked_{number}" for number in range(len(parts)))
    graph.say(f"""
        all_looked = Concat <axis = 2> ({sides})
        looked = Where (mask_column, all_looked, zero)""")


def masks(graph: AnyGraph, rows: Rows) -> None:
    """Say what every attention of a decoder needs: mask_row (B, [1], 1, S)."""
    rows.start(graph)
    graph.constant("masked", np.float32(MASKED))
    graph.say("mask_row = Unsqueeze (mask, row_axes)")


def attend(graph: AnyGraph, rows: Rows, name: str, attention: CrossAttention, states: str) -> None:
    """Say `context` (R, M) and `cross` of the attention at path `name`, asked with `states`."""
    if isinstance(attention, MultiHead):
        attend_in_heads(graph, rows, name, attention, states, "looked", "context", "cross")
        return
    if isinstance(attention, Additive):
        _additive(graph, rows, name, attention, states)
    else:
        _bilinear(graph, rows, name, attention, states)
    graph.say(masked_softmax("cross_row", "cross_scores", "mask_row"))
    rows.meet(graph, "context_row", "cross_row", "memory")  # (B, [T], 1, M)
    graph.say("""
        cross = Squeeze (cross_row, row_axis)
        context = Flatten <axis = -1> (context_row)""")


def _bilinear(
    graph: AnyGraph, rows: Rows, name: str, attention: CrossAttention, states: str
) -> None:
    """Say the dot, general and local scores (B, [T], 1, S)."""
    query = states
    if hasattr(attention, "query"):
        query = "query"
        graph.linear("query", states, f"{name}.query")
    result = "near_scores" if isinstance(attention, Local) else "cross_scores"
    rows.spread(graph, "query_row", query, [1, -1])
    rows.ask(graph, result, "query_row", "memory")
    if isinstance(attention, Local):
        _window(graph, rows, name, attention, states)


def _window(graph: AnyGraph, rows: Rows, name: str, attention: Local, states: str) -> None:
    """Say how far each source token lies from the predicted place, and take it off the scores."""
    graph.constant("place_weight", array(attention.place.weight.T))
    graph.constant("spread", np.float32(2 * attention.deviation**2))
    graph.constant("first_place", np.float32(0))
    graph.constant("next_place", np.float32(1))
    graph.constant("last_axis", [-1])
    graph.linear("place_hidden", states, f"{name}.hidden")
    graph.say("""
        place_shown = Tanh (place_hidden)
        place_score = MatMul (place_shown, place_weight)                  # (R, 1)
        place_share = Sigmoid (place_score)""")
    rows.spread(graph, "place_column", "place_share", [1, 1])
    graph.say("""
        real_tokens = Cast <to = 1> (mask_row)
        length = ReduceSum <keepdims = 1> (real_tokens, last_axis)        # (B, [1], 1, 1)
        place = Mul (length, place_column)                                # (B, [T], 1, 1)
        padded_width = Shape <start = 1> (mask)
        width_scalar = Squeeze (padded_width)
        width_float = Cast <to = 1> (width_scalar)
        places = Range (first_place, width_float, next_place)             # (S,)
        away = Sub (places, place)                                        # (B, [T], 1, S)
        squared = Mul (away, away)    penalty = Div (squared, spread)
        cross_scores = Sub (near_scores, penalty)""")


def _additive(graph: AnyGraph, rows: Rows, name: str, attention: Additive, states: str) -> None:
    """Say scores (B, [T], 1, S); of positions one at a time, for what they add up is large."""
    graph.constant("score_weight", array(attention.score.weight.T))
    graph.linear("query", states, f"{name}.query")
    if not isinstance(rows, Positions):
        graph.say(_additive_scores("cross_scores", "query"))
        return
    rows.spread(graph, "queries", "query", [-1])
    graph.say(f"""
        cross_scores = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1],
            body = position (float[B, A] query_now) => (float[B, 1, S] scores_now) {{
                {_additive_scores("scores_now", "query_now")}
            }}> (queries)""")


def _additive_scores(result: str, query: str) -> str:
    """Spell result (B, 1, S) of query (B, A)."""
    return f"""
        query_row = Unsqueeze ({query}, second_axis)                      # (B, 1, A)
        both_hidden = Add (query_row, looked)                             # (B, S, A)
        hidden_shown = Tanh (both_hidden)
        score_column = MatMul (hidden_shown, score_weight)                # (B, S, 1)
        {result} = Transpose <perm = [0, 2, 1]> (score_column)"""


def attend_in_heads(
    graph: AnyGraph,
    rows: Rows,
    name: str,
    attention: MultiHead,
    states: str,
    looked: str,
    context: str,
    cross: str,
) -> None:
    """Say `context` (R, out) and `cross` (B, [T], N, S).

    looked (B, S, 2 M) has keys, then values.
    """
    heads = attention.heads
    size = attention.query.out_features // heads
    graph.linear(f"{context}_query", states, f"{name}.query")
    heads_of(graph, f"{context}_keys_values", looked, 2 * heads, size)  # (B, 2 N, S, H)
    graph.constant(f"{context}_root", np.float32(size**-0.5))
    graph.say(f"{context}_mask = Unsqueeze (mask_row, second_axis)            # (B, [1], 1, 1, S)")
    found_in_heads(graph, rows, context, f"{context}_mask", heads, size)
    graph.say(f"{cross} = Squeeze ({context}_rows, row_axis)                  # (B, [T], N, S)")
    graph.linear(context, f"{context}_found", f"{name}.out")


def found_in_heads(
    graph: AnyGraph, rows: Rows, name: str, mask: str, heads: int, size: int
) -> None:
    """Say {name}_rows (B, [T], N, 1, S) and {name}_found (R, N H).

    Reads {name}_query (R, N H), {name}_keys_values (B, 2 N, S, H) and {name}_root.
    """
    graph.say(f"""
        {name}_scaled = Mul ({name}_query, {name}_root)
        {name}_keys, {name}_values = Split <axis = 1, num_outputs = 2> ({name}_keys_values)
        {name}_columns = Transpose <perm = [0, 1, 3, 2]> ({name}_keys)""")
    rows.spread(graph, f"{name}_queries", f"{name}_scaled", [heads, 1, size])
    rows.meet(graph, f"{name}_scores", f"{name}_queries", f"{name}_columns")  # (B, [T], N, 1, S)
    graph.say(masked_softmax(f"{name}_rows", f"{name}_scores", mask))
    rows.meet(graph, f"{name}_heads", f"{name}_rows", f"{name}_values")  # (B, [T], N, 1, H)
    graph.say(f"{name}_found = Flatten <axis = -3> ({name}_heads)                 # (R, N H)")


def heads_of(graph: AnyGraph, result: str, values: str, heads: int, size: int) -> None:
    """result (B, N, S, H) = values (B, S, N H)."""
    graph.constant(f"{result}_parts", [0, 0, heads, size])
    graph.say(f"""
        {result}_split = Reshape ({values}, {result}_parts)
        {result} = Transpose <perm = [0, 2, 1, 3]> ({result}_split)""")


def head_keys(graph: AnyGraph, head: AlignmentHead) -> None:
    """Say `keys` (B, S, A) of the alignment head, from `memory`, in the encoder's graph."""
    graph.linear("memory_keys", "memory", "head.key_memory")
    graph.lookup("token_keys", "source", head.key_token.weight, head.key_token.bias)
    graph.say("""
        all_keys = Add (memory_keys, token_keys)
        keys = Where (mask_column, all_keys, zero)                        # (B, S, A)""")


def head_row(graph: AnyGraph, rows: Rows, head: AlignmentHead, states: str) -> None:
    """Say `alignment` (B, [T], S), about the `token` (R,) that a row has read."""
    graph.constant("head_scale", np.float32(head.scale))
    graph.linear("state_query", states, "head.query_state")
    graph.lookup("token_query", "token", head.query_token.weight, head.query_token.bias)
    graph.say("""
        head_query = Add (state_query, token_query)                       # (R, A)
        scaled_query = Mul (head_query, head_scale)""")
    rows.spread(graph, "head_row", "scaled_query", [1, -1])
    rows.ask(graph, "head_scores", "head_row", "keys")  # (B, [T], 1, S)
    graph.say(f"""
        {masked_softmax("alignment_row", "head_scores", "mask_row")}
        alignment = Squeeze (alignment_row, row_axis)""")


def masked_softmax(result: str, scores: str, mask: str) -> str:
    """Spell `attention.masked_softmax`: over the last axis, exactly zero where mask is false."""
    return f"""
        {scores}_real = Where ({mask}, {scores}, masked)
        {scores}_shares = Softmax <axis = -1> ({scores}_real)
        {result} = Where ({mask}, {scores}_shares, zero)"""
