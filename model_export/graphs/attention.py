"""The cross-attentions of a decoder step, and the alignment head, in ONNX.

Each reads a query of one step (B, D) and what the encoder's graph prepared once a sentence,
and gives a context (B, M) and rows: `cross` (B, S), or (B, N, S) of N heads.

Axes: B batch, S source, M memory, D decoder state, A hidden size, N heads, H a head (M/N).
"""

import numpy as np

from model_export import config
from model_export.attention import MASKED, Additive, AlignmentHead, CrossAttention, Local, MultiHead
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


def masks(graph: AnyGraph) -> None:
    """Say what every attention of a decoder step needs: mask_row (B, 1, S)."""
    graph.constant("masked", np.float32(MASKED))
    graph.say("mask_row = Unsqueeze (mask, second_axis)")


def attend(graph: AnyGraph, name: str, attention: CrossAttention, states: str) -> None:
    """Say `context` (B, M) and `cross` of the attention at path `name`, asked with `states`."""
    if isinstance(attention, MultiHead):
        attend_in_heads(graph, name, attention, states, "looked", "context", "cross")
        return
    if isinstance(attention, Additive):
        _additive(graph, name, attention, states)
    else:
        _bilinear(graph, name, attention, states)
    graph.say(f"""
        {masked_softmax("cross_row", "cross_scores", "mask_row")}
        context_row = MatMul (cross_row, memory)                          # (B, 1, M)
        cross = Squeeze (cross_row, second_axis)    context = Squeeze (context_row, second_axis)""")


def _bilinear(graph: AnyGraph, name: str, attention: CrossAttention, states: str) -> None:
    """Say the dot, general and local scores (B, 1, S)."""
    query = states
    if hasattr(attention, "query"):
        query = "query"
        graph.linear("query", states, f"{name}.query")
    result = "near_scores" if isinstance(attention, Local) else "cross_scores"
    graph.say(f"""
        query_row = Unsqueeze ({query}, second_axis)                      # (B, 1, M)
        memory_columns = Transpose <perm = [0, 2, 1]> (memory)
        {result} = MatMul (query_row, memory_columns)                     # (B, 1, S)""")
    if isinstance(attention, Local):
        _window(graph, name, attention, states)


def _window(graph: AnyGraph, name: str, attention: Local, states: str) -> None:
    """Say how far each source token lies from the predicted place, and take it off the scores."""
    graph.constant("place_weight", array(attention.place.weight.T))
    graph.constant("spread", np.float32(2 * attention.deviation**2))
    graph.constant("first_place", np.float32(0))
    graph.constant("next_place", np.float32(1))
    graph.linear("place_hidden", states, f"{name}.hidden")
    graph.say("""
        place_shown = Tanh (place_hidden)
        place_score = MatMul (place_shown, place_weight)                  # (B, 1)
        place_share = Sigmoid (place_score)
        real_tokens = Cast <to = 1> (mask)
        length = ReduceSum <keepdims = 1> (real_tokens, second_axis)      # (B, 1)
        place = Mul (length, place_share)
        place_column = Unsqueeze (place, third_axis)                      # (B, 1, 1)
        padded_width = Shape <start = 1> (mask)
        width_scalar = Squeeze (padded_width)
        width_float = Cast <to = 1> (width_scalar)
        places = Range (first_place, width_float, next_place)             # (S,)
        away = Sub (places, place_column)                                 # (B, 1, S)
        squared = Mul (away, away)    penalty = Div (squared, spread)
        cross_scores = Sub (near_scores, penalty)""")


def _additive(graph: AnyGraph, name: str, attention: Additive, states: str) -> None:
    graph.constant("score_weight", array(attention.score.weight.T))
    graph.linear("query", states, f"{name}.query")
    graph.say("""
        query_row = Unsqueeze (query, second_axis)                        # (B, 1, A)
        both_hidden = Add (query_row, looked)                             # (B, S, A)
        hidden_shown = Tanh (both_hidden)
        score_column = MatMul (hidden_shown, score_weight)                # (B, S, 1)
        cross_scores = Transpose <perm = [0, 2, 1]> (score_column)        # (B, 1, S)""")


def attend_in_heads(
    graph: AnyGraph,
    name: str,
    attention: MultiHead,
    states: str,
    looked: str,
    context: str,
    cross: str,
) -> None:
    """Say `context` (B, out) and `cross` (B, N, S); looked (B, S, 2 M) has keys, then values."""
    heads = attention.heads
    size = attention.query.out_features // heads
    graph.linear(f"{context}_query", states, f"{name}.query")
    heads_of(graph, f"{context}_keys_values", looked, 2 * heads, size)  # (B, 2 N, S, H)
    graph.constant(f"{context}_one_step", [0, heads, 1, size])
    graph.constant(f"{context}_joined", [0, heads * size])
    graph.constant(f"{context}_root", np.float32(size**-0.5))
    graph.say(f"""
        {context}_scaled = Mul ({context}_query, {context}_root)
        {context}_queries = Reshape ({context}_scaled, {context}_one_step) # (B, N, 1, H)
        {context}_keys, {context}_values =
            Split <axis = 1, num_outputs = 2> ({context}_keys_values)
        {context}_columns = Transpose <perm = [0, 1, 3, 2]> ({context}_keys)
        {context}_scores = MatMul ({context}_queries, {context}_columns)  # (B, N, 1, S)
        {context}_mask = Unsqueeze (mask_row, second_axis)                # (B, 1, 1, S)
        {masked_softmax(f"{context}_rows", f"{context}_scores", f"{context}_mask")}
        {context}_heads = MatMul ({context}_rows, {context}_values)       # (B, N, 1, H)
        {context}_found = Reshape ({context}_heads, {context}_joined)     # (B, M)
        {cross} = Squeeze ({context}_rows, third_axis)                    # (B, N, S)""")
    graph.linear(context, f"{context}_found", f"{name}.out")


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


def head_row(graph: AnyGraph, head: AlignmentHead, states: str) -> None:
    """Say `alignment` (B, S), about the token that this step has read."""
    graph.constant("head_scale", np.float32(head.scale))
    graph.linear("state_query", states, "head.query_state")
    graph.lookup("token_query", "token", head.query_token.weight, head.query_token.bias)
    graph.say(f"""
        head_query = Add (state_query, token_query)                       # (B, A)
        scaled_query = Mul (head_query, head_scale)
        head_row = Unsqueeze (scaled_query, second_axis)
        key_columns = Transpose <perm = [0, 2, 1]> (keys)
        head_scores = MatMul (head_row, key_columns)                      # (B, 1, S)
        {masked_softmax("alignment_row", "head_scores", "mask_row")}
        alignment = Squeeze (alignment_row, second_axis)""")


def masked_softmax(result: str, scores: str, mask: str) -> str:
    """Spell `attention.masked_softmax`: over the last axis, exactly zero where mask is false."""
    return f"""
        {scores}_real = Where ({mask}, {scores}, masked)
        {scores}_shares = Softmax <axis = -1> ({scores}_real)
        {result} = Where ({mask}, {scores}_shares, zero)"""
