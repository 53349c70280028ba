"""The decoder's graph: one step of search.

Axes: B batch, S source, P past target steps, E embedding, M memory, D decoder state, U its
second layer, N heads, H a head, K keys and values of all layers.
"""

import numpy as np
import torch

from model_export.decoders import DecoderLayer, RecurrentDecoder, TransformerDecoder
from model_export.encoders import positions
from model_export.graphs import attention, recurrence
from model_export.graphs.attention import AnyGraph
from model_export.graphs.encoders import feed_forward
from model_export.model import Seq2Seq

PLACES = 1024
"""Target positions in a Transformer's table; translations are shorter."""


def decoder(graph: AnyGraph, model: Seq2Seq) -> None:
    """Say the whole graph."""
    attention.masks(graph)
    graph.embedding(model.decoder.embedding.weight, tied=True)
    if isinstance(model.decoder, TransformerDecoder):
        states = _transformer(graph, model, model.decoder)
    else:
        states = _recurrent(graph, model.decoder)
    graph.tied_product("logits", "features", model.decoder.bias, "decoder.logits")
    graph.say("log_probabilities = LogSoftmax <axis = 1> (logits)")
    if model.head is not None:
        attention.head_row(graph, model.head, states)


def _recurrent(graph: AnyGraph, decoder: RecurrentDecoder) -> str:
    """Say features (B, E), cross and next_state; return the name of the state (B, D)."""
    names = ["lower", "upper", "lower_cell", "upper_cell", "fed"]
    parts = [(n, size) for n, size in zip(names, decoder.layout, strict=True) if size]
    graph.constant("state_sizes", [size for _, size in parts])
    graph.say(f"{', '.join(n for n, _ in parts)} = Split <axis = 1> (state, state_sizes)")
    if decoder.attention is not None and decoder.asks_before:
        attention.attend(graph, "decoder.attention", decoder.attention, "lower")
    _lower(graph, decoder)
    if decoder.attention is not None and not decoder.asks_before:
        attention.attend(graph, "decoder.attention", decoder.attention, "new_lower")
    found = "context, new_lower" if decoder.attention is not None else "new_lower"
    graph.say(f"below = Concat <axis = 1> ({found})                               # (B, M + D)")
    known = "below"
    if decoder.top is not None:
        w_input, w_state, b_input, b_state = decoder.top.all_weights[0]
        graph.product("new_upper_input", "below", w_input, b_input, "decoder.top")
        graph.product("new_upper_recurrent", "upper", w_state, b_state)
        recurrence.step(graph, decoder.top, "new_upper", "upper", "upper_cell")
        graph.say("known = Concat <axis = 1> (below, new_upper)                   # (B, M + D + U)")
        known = "known"
    graph.linear("combined", known, "decoder.combine")
    graph.say("features = Tanh (combined)")
    after = {
        "lower": "new_lower",
        "upper": "new_upper",
        "lower_cell": "new_lower_cell",
        "upper_cell": "new_upper_cell",
        "fed": "features",
    }
    graph.say(f"next_state = Concat <axis = 1> ({', '.join(after[n] for n, _ in parts)})")
    return "new_lower"


def _lower(graph: AnyGraph, decoder: RecurrentDecoder) -> None:
    """Say the recurrence under the attention: what a token says is looked up."""
    w_input, w_state, b_input, b_state = decoder.lower.all_weights[0]
    width = decoder.about.embedding
    others = []
    if decoder.attention is not None and decoder.asks_before:
        others.append("context")
    if decoder.about.input_feeding:
        others.append("fed")
    read = "token_input" if others else "new_lower_input"
    graph.lookup(read, "token", w_input[:, :width], b_input)
    if others:
        graph.say(f"also_read = Concat <axis = 1> ({', '.join(others)})")
        graph.product("also_input", "also_read", w_input[:, width:], name="decoder.lower")
        graph.say("new_lower_input = Add (token_input, also_input)")
    graph.product("new_lower_recurrent", "lower", w_state, b_state)
    recurrence.step(graph, decoder.lower, "new_lower", "lower", "lower_cell")


def _transformer(graph: AnyGraph, model: Seq2Seq, decoder: TransformerDecoder) -> str:
    """Say features, cross, entry (B, K) and next_position; return the name of the state (B, D).

    The past (B, P, K) has room for the entry of this step at `position` (B,); what lies
    behind it is not looked at.
    """
    about = model.sizes.decoder
    size = about.size // about.heads
    graph.constant("root", np.float32(size**-0.5))
    graph.constant("first_place", 0)
    graph.constant("next_place", 1)
    graph.constant("one_step", [0, about.heads, 1, size])
    graph.constant("joined", [0, about.size])
    graph.constant("places_table", positions(torch.arange(PLACES), about.size).numpy())
    graph.lookup("entered", "token", decoder.enter.weight, decoder.enter.bias)
    count = about.layers
    sides = [", ".join(f"{part}_{n}" for n in range(count)) for part in ("past", "looked")]
    graph.say(f"""
        place = Gather (places_table, position)                           # (B, D)
        layer_0 = Add (entered, place)
        room = Shape <start = 1, end = 2> (past)    room_end = Squeeze (room)
        places = Range (first_place, room_end, next_place)                # (P,)
        position_column = Unsqueeze (position, second_axis)               # (B, 1)
        is_now = Equal (places, position_column)                          # (B, P)
        is_seen = LessOrEqual (places, position_column)
        now_column = Unsqueeze (is_now, third_axis)                       # (B, P, 1)
        seen_row = Unsqueeze (is_seen, second_axis)
        seen_plane = Unsqueeze (seen_row, second_axis)                    # (B, 1, 1, P)
        {sides[0]} = Split <axis = 2, num_outputs = {count}> (past)       # (B, P, 2 D) each
        {sides[1]} = Split <axis = 2, num_outputs = {count}> (looked)     # (B, S, 2 M) each""")
    for number, layer in enumerate(decoder.stack()):
        _layer(graph, number, layer, about.heads, size)
    graph.norm("states", f"layer_{count}", "decoder.norm")
    graph.linear("features", "states", "decoder.leave")
    entries = ", ".join(f"entry_{number}" for number in range(count))
    graph.constant("one_more", 1)
    graph.say(f"""
        cross = Identity (cross_{count - 1})
        entry = Concat <axis = 1> ({entries})                             # (B, K)
        next_position = Add (position, one_more)""")
    return "states"


def _layer(graph: AnyGraph, number: int, layer: DecoderLayer, heads: int, size: int) -> None:
    """Say layer_{number + 1} (B, D), cross_{number} (B, N, S) and entry_{number} (B, 2 D)."""
    path, name = f"decoder.layers.{number}", f"layer_{number}"
    graph.norm(f"{name}_normed", name, f"{path}.self_norm")
    for part in ("query", "key", "value"):
        graph.linear(f"{name}_{part}", f"{name}_normed", f"{path}.self_attention.{part}")
    both = f"{name}_keys_values"
    graph.say(f"""
        entry_{number} = Concat <axis = 1> ({name}_key, {name}_value)
        {name}_entry_row = Unsqueeze (entry_{number}, second_axis)        # (B, 1, 2 D)
        {name}_past = Where (now_column, {name}_entry_row, past_{number})""")
    attention.heads_of(graph, both, f"{name}_past", 2 * heads, size)  # (B, 2 N, P, H)
    graph.say(f"""
        {name}_scaled = Mul ({name}_query, root)
        {name}_queries = Reshape ({name}_scaled, one_step)                # (B, N, 1, H)
        {name}_keys, {name}_values = Split <axis = 1, num_outputs = 2> ({both})
        {name}_columns = Transpose <perm = [0, 1, 3, 2]> ({name}_keys)
        {name}_scores = MatMul ({name}_queries, {name}_columns)           # (B, N, 1, P)
        {attention.masked_softmax(f"{name}_rows", f"{name}_scores", "seen_plane")}
        {name}_heads = MatMul ({name}_rows, {name}_values)                # (B, N, 1, H)
        {name}_found = Reshape ({name}_heads, joined)                     # (B, D)""")
    graph.linear(f"{name}_own", f"{name}_found", f"{path}.self_attention.out")
    graph.say(f"{name}_first = Add ({name}, {name}_own)")
    graph.norm(f"{name}_asking", f"{name}_first", f"{path}.cross_norm")
    attention.attend_in_heads(
        graph,
        f"{path}.cross",
        layer.cross,
        f"{name}_asking",
        f"looked_{number}",
        f"{name}_context",
        f"cross_{number}",
    )
    graph.say(f"{name}_second = Add ({name}_first, {name}_context)")
    feed_forward(graph, name, f"{name}_second", path, f"layer_{number + 1}")
