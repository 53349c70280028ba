"""The decoder's graphs: one step of search, and a given target read at once.

Both are said by the same lines on rows (see `rows.py`): of sentences in a step, of all
positions of the target in the other. What tells them apart is how a state goes on.

Axes: R rows, R' those that are not padding, B batch, T positions, S source, P past target steps,
E embedding, M memory, D decoder state, U its second layer, N heads, H a head, K keys and values
of all layers.
"""

import numpy as np
import torch

from model_export.decoders import DecoderLayer, RecurrentDecoder, TransformerDecoder
from model_export.encoders import positions
from model_export.graphs import attention, recurrence
from model_export.graphs.attention import AnyGraph
from model_export.graphs.encoders import feed_forward
from model_export.graphs.rows import Positions, Rows
from model_export.model import Seq2Seq

PLACES = 1024
"""Target positions in a Transformer's table; translations are shorter."""

ROOM = 16
"""Entries of the past are read a multiple of so many at once, as the service holds them."""


def decoder(graph: AnyGraph, model: Seq2Seq) -> None:
    """Say the graph of a step: `token` (B,), the state and the memory -> what may follow."""
    rows = Rows()
    attention.masks(graph, rows)
    _log_probabilities(graph, model, rows)
    if isinstance(model.decoder, RecurrentDecoder):
        _next_state(graph, model.decoder)


def forced(graph: AnyGraph, model: Seq2Seq) -> None:
    """Say the graph of given targets: `tokens` (B, T) are read, `following` (B, T) are scored.

    The model's decoder must read `at_once`. What follows is weighed where there is no padding
    (R',), for the product with the vocabulary is half of all work.
    """
    rows = Positions()
    attention.masks(graph, rows)
    graph.constant("one_column", [-1, 1])
    graph.say("""
        token = Reshape (tokens, flat)                                    # (R,)
        wanted = Reshape (following, one_column)                          # (R, 1)""")
    _log_probabilities(graph, model, rows, "all_log_probabilities")
    wanted = rows.kept(graph, "wanted")
    graph.say(f"weighed = GatherElements <axis = 1> (all_log_probabilities, {wanted})")
    rows.put_back(graph, "log_probabilities", "weighed")


def _log_probabilities(
    graph: AnyGraph, model: Seq2Seq, rows: Rows, result: str = "log_probabilities"
) -> None:
    """Say result (R', V) of what follows `token` (R,), and both attentions."""
    graph.embedding(model.decoder.embedding.weight, tied=True)
    if isinstance(model.decoder, TransformerDecoder):
        states = _transformer(graph, model, model.decoder, rows)
    else:
        states = _recurrent(graph, model.decoder, rows)
    graph.tied_product("logits", "features", model.decoder.bias, "decoder.logits")
    graph.say(f"{result} = LogSoftmax <axis = 1> (logits)")
    if model.head is not None:
        attention.head_row(graph, rows, model.head, states)


def _recurrent(graph: AnyGraph, decoder: RecurrentDecoder, rows: Rows) -> str:
    """Say features (R', E) and cross; return the name of the state (R, D)."""
    parts = _parts(decoder)
    graph.constant("state_sizes", list(parts.values()))
    graph.say(f"{', '.join(parts)} = Split <axis = 1> (state, state_sizes)")
    if decoder.attention is not None and decoder.asks_before:
        attention.attend(graph, rows, "decoder.attention", decoder.attention, "lower")
    _lower(graph, decoder, rows)
    if decoder.attention is not None and not decoder.asks_before:
        attention.attend(graph, rows, "decoder.attention", decoder.attention, "new_lower")
    found = "context, new_lower" if decoder.attention is not None else "new_lower"
    graph.say(f"below = Concat <axis = 1> ({found})                               # (R, M + D)")
    known = "below"
    if decoder.top is not None:
        w_input, _, b_input, _ = decoder.top.all_weights[0]
        graph.product("new_upper_input", "below", w_input, b_input, "decoder.top")
        recurrence.advance(graph, rows, decoder.top, "new_upper", "upper", "upper_cell")
        graph.say("known = Concat <axis = 1> (below, new_upper)                   # (R, M + D + U)")
        known = "known"
    graph.linear("combined", rows.kept(graph, known), "decoder.combine")
    graph.say("features = Tanh (combined)")
    return "new_lower"


def _parts(decoder: RecurrentDecoder) -> dict[str, int]:
    """Return what lies in a state, and how much of it."""
    names = ["lower", "upper", "lower_cell", "upper_cell", "fed"]
    return {name: size for name, size in zip(names, decoder.layout, strict=True) if size}


def _next_state(graph: AnyGraph, decoder: RecurrentDecoder) -> None:
    """Say next_state (B, D + U + ...), from what a step has made of its parts."""
    made = ["features" if part == "fed" else f"new_{part}" for part in _parts(decoder)]
    graph.say(f"next_state = Concat <axis = 1> ({', '.join(made)})")


def _lower(graph: AnyGraph, decoder: RecurrentDecoder, rows: Rows) -> None:
    """Say the recurrence under the attention: what a token says is looked up."""
    w_input, _, b_input, _ = decoder.lower.all_weights[0]
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
    recurrence.advance(graph, rows, decoder.lower, "new_lower", "lower", "lower_cell")


def _transformer(graph: AnyGraph, model: Seq2Seq, decoder: TransformerDecoder, rows: Rows) -> str:
    """Say features (R', E) and cross; return the name of the state (R, D)."""
    about = model.sizes.decoder
    count, size = about.layers, about.size // about.heads
    graph.constant("first_place", 0)
    graph.constant("next_place", 1)
    graph.constant("places_table", positions(torch.arange(PLACES), about.size).numpy())
    graph.lookup("entered", "token", decoder.enter.weight, decoder.enter.bias)
    if isinstance(rows, Positions):
        _all_places(graph, rows)
    else:
        _one_place(graph, count)
    looked = ", ".join(f"looked_{number}" for number in range(count))
    graph.say(f"{looked} = Split <axis = 2, num_outputs = {count}> (looked)       # (B, S, 2 M)")
    for number, layer in enumerate(decoder.stack()):
        _layer(graph, rows, number, layer, about.heads, size)
    graph.norm("states", f"layer_{count}", "decoder.norm")
    graph.linear("features", rows.kept(graph, "states"), "decoder.leave")
    graph.say(f"cross = Identity (cross_{count - 1})")
    if not isinstance(rows, Positions):
        _next_place(graph, count)
    return "states"


def _one_place(graph: AnyGraph, count: int) -> None:
    """Say layer_0 (B, D), and what a step sees of the past (B, P, K): seen (B, 1, 1, P).

    The past has room for the entry of this step at `position` (B,); what lies behind it is not
    looked at.
    """
    pasts = ", ".join(f"past_{number}" for number in range(count))
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
        seen = Unsqueeze (seen_row, second_axis)                          # (B, 1, 1, P)
        {pasts} = Split <axis = 2, num_outputs = {count}> (past)          # (B, P, 2 D)""")


def _next_place(graph: AnyGraph, count: int) -> None:
    """Say entry (B, K) and next_position (B,)."""
    entries = ", ".join(f"entry_{number}" for number in range(count))
    graph.constant("one_more", 1)
    graph.say(f"""
        entry = Concat <axis = 1> ({entries})
        next_position = Add (position, one_more)""")


def _all_places(graph: AnyGraph, rows: Positions) -> None:
    """Say layer_0 (R, D), and what positions see of each other: seen (T, 1, 1, P).

    P is T, or somewhat more: `behind` says what is to be added to entries (B, T, ...).
    """
    graph.constant("room_step", [ROOM])
    graph.constant("room_rest", [ROOM - 1])
    graph.constant("place_axes", [1, 2, 3])
    graph.constant("behind_start", [0, 0, 0, 0])
    graph.constant("behind_end", [0])
    rows.spread(graph, "entered_positions", "entered", [-1])
    graph.say("""
        at_least = Add (steps, room_rest)    rooms = Div (at_least, room_step)
        room = Mul (rooms, room_step)    room_end = Squeeze (room)
        extra = Sub (room, steps)
        behind = Concat <axis = 0> (behind_start, extra, behind_end)
        place = Gather (places_table, positions)                          # (T, D)
        placed = Add (entered_positions, place)
        layer_0 = Flatten <axis = -1> (placed)
        places = Range (first_place, room_end, next_place)                # (P,)
        position_column = Unsqueeze (positions, place_axes)               # (T, 1, 1, 1)
        seen = LessOrEqual (places, position_column)""")


def _layer(
    graph: AnyGraph, rows: Rows, number: int, layer: DecoderLayer, heads: int, size: int
) -> None:
    """Say layer_{number + 1} (R, D), cross_{number} and entry_{number} (R, 2 D)."""
    path, name = f"decoder.layers.{number}", f"layer_{number}"
    graph.norm(f"{name}_normed", name, f"{path}.self_norm")
    for part in ("query", "key", "value"):
        graph.linear(f"{name}_{part}", f"{name}_normed", f"{path}.self_attention.{part}")
    graph.say(f"entry_{number} = Concat <axis = 1> ({name}_key, {name}_value)")
    if isinstance(rows, Positions):
        rows.spread(graph, f"{name}_entries", f"entry_{number}", [-1])
        graph.say(f"{name}_past = Pad ({name}_entries, behind)                    # (B, P, 2 D)")
    else:
        graph.say(f"""
            {name}_entry_row = Unsqueeze (entry_{number}, second_axis)    # (B, 1, 2 D)
            {name}_past = Where (now_column, {name}_entry_row, past_{number})""")
    graph.constant(f"{name}_root", np.float32(size**-0.5))
    attention.heads_of(graph, f"{name}_keys_values", f"{name}_past", 2 * heads, size)
    attention.found_in_heads(graph, rows, name, "seen", heads, size)
    graph.linear(f"{name}_own", f"{name}_found", f"{path}.self_attention.out")
    graph.say(f"{name}_first = Add ({name}, {name}_own)")
    graph.norm(f"{name}_asking", f"{name}_first", f"{path}.cross_norm")
    attention.attend_in_heads(
        graph,
        rows,
        f"{path}.cross",
        layer.cross,
        f"{name}_asking",
        f"looked_{number}",
        f"{name}_context",
        f"cross_{number}",
    )
    graph.say(f"{name}_second = Add ({name}_first, {name}_context)")
    feed_forward(graph, name, f"{name}_second", path, f"layer_{number + 1}")
