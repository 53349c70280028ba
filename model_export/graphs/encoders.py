"""The encoder's graph: source ids and lengths -> what the decoder looks at, and its start.

Axes: B batch, S source, E embedding, M memory, N heads, H a head (M/N), D decoder state.
"""

import numpy as np
import torch

from model_export.attention import MASKED
from model_export.encoders import RecurrentEncoder, TransformerEncoder, positions
from model_export.graphs import attention, recurrence
from model_export.graphs.attention import AnyGraph
from model_export.model import Seq2Seq

PLACES = 512
"""Source positions in a Transformer's table; sentences are shorter."""


def encoder(graph: AnyGraph, model: Seq2Seq) -> None:
    """Say the whole graph."""
    graph.constant("first_position", 0)
    graph.constant("next_position", 1)
    graph.embedding(model.encoder.embedding.weight, tied=False)
    graph.say("""
        width = Shape <start = 1> (source)    end = Squeeze (width)
        positions = Range (first_position, end, next_position)
        length_column = Unsqueeze (lengths, second_axis)
        mask = Less (positions, length_column)                            # (B, S)
        mask_column = Unsqueeze (mask, third_axis)                        # (B, S, 1)""")
    if isinstance(model.encoder, TransformerEncoder):
        _transformer(graph, model, model.encoder)
    else:
        _recurrent(graph, model.encoder)
    attention.prepare(graph, model)
    if model.head is not None:
        attention.head_keys(graph, model.head)
    _start(graph, model)


def _recurrent(graph: AnyGraph, encoder: RecurrentEncoder) -> None:
    """Say memory (B, S, M) and summary (B, M); nothing is computed beyond the longest, L."""
    size = encoder.layers.hidden_size
    graph.constant("is_forward", np.arange(2).repeat(size) == 0)
    graph.constant("single", [1])
    graph.constant("none_before", [0, 0, 0, 0])
    graph.constant("none_behind", [0])
    graph.say("""
        longest = ReduceMax <keepdims = 1> (lengths)
        read = Slice (source, none_behind, longest, single)               # (B, L)
        steps = Transpose <perm = [1, 0]> (read)                          # (L, B)""")
    recurrence.encode(graph, encoder.layers)
    graph.say("""
        by_sentence = Transpose <perm = [1, 0, 2]> (hidden)               # (B, L, M)
        padding = Sub (width, longest)
        pads = Concat <axis = 0> (none_before, padding, none_behind)
        states = Pad (by_sentence, pads)                                  # (B, S, M)
        memory = Where (mask_column, states, zero)
        last_index = Sub (length_column, single)
        at_end = GatherND <batch_dims = 1> (memory, last_index)           # (B, M)
        at_start = Gather <axis = 1> (memory, first_position)             # (B, M)
        summary = Where (is_forward, at_end, at_start)""")


def _transformer(graph: AnyGraph, model: Seq2Seq, encoder: TransformerEncoder) -> None:
    """Say memory (B, S, M) and summary (B, M), the mean over real tokens."""
    about = model.sizes.encoder
    size = about.size // about.heads
    graph.constant("masked", np.float32(MASKED))
    graph.constant("root", np.float32(size**-0.5))
    graph.constant("joined", [0, 0, about.size])
    table = positions(torch.arange(PLACES), about.size)
    graph.constant("places_table", table.numpy())
    graph.lookup("entered", "source", encoder.enter.weight, encoder.enter.bias)
    graph.say("""
        places = Gather (places_table, positions)                         # (S, M)
        layer_0 = Add (entered, places)
        mask_row = Unsqueeze (mask, second_axis)
        mask_plane = Unsqueeze (mask_row, second_axis)                    # (B, 1, 1, S)""")
    for number in range(about.layers):
        _layer(graph, number, about.heads, size)
    graph.norm("normed", f"layer_{about.layers}", "encoder.norm")
    graph.say("""
        memory = Where (mask_column, normed, zero)
        total = ReduceSum <keepdims = 0> (memory, second_axis)            # (B, M)
        count = Cast <to = 1> (length_column)
        summary = Div (total, count)""")


def _layer(graph: AnyGraph, number: int, heads: int, size: int) -> None:
    """Say layer_{number + 1} (B, S, M) from layer_{number}."""
    path, name = f"encoder.layers.{number}", f"layer_{number}"
    graph.norm(f"{name}_normed", name, f"{path}.attention_norm")
    for part in ("query", "key", "value"):
        graph.linear(f"{name}_{part}", f"{name}_normed", f"{path}.attention.{part}")
        attention.heads_of(graph, f"{name}_{part}_heads", f"{name}_{part}", heads, size)
    graph.say(f"""
        {name}_columns = Transpose <perm = [0, 1, 3, 2]> ({name}_key_heads)
        {name}_products = MatMul ({name}_query_heads, {name}_columns)
        {name}_scores = Mul ({name}_products, root)                       # (B, N, S, S)
        {attention.masked_softmax(f"{name}_rows", f"{name}_scores", "mask_plane")}
        {name}_found = MatMul ({name}_rows, {name}_value_heads)           # (B, N, S, H)
        {name}_by_token = Transpose <perm = [0, 2, 1, 3]> ({name}_found)
        {name}_context = Reshape ({name}_by_token, joined)                # (B, S, M)""")
    graph.linear(f"{name}_looked", f"{name}_context", f"{path}.attention.out")
    graph.say(f"{name}_between = Add ({name}, {name}_looked)")
    feed_forward(graph, name, f"{name}_between", path, f"layer_{number + 1}")


def feed_forward(graph: AnyGraph, name: str, states: str, path: str, result: str) -> None:
    """result = states + the feed-forward part of a Transformer's layer at `path`."""
    graph.norm(f"{name}_feed_normed", states, f"{path}.feed_norm")
    graph.linear(f"{name}_grown", f"{name}_feed_normed", f"{path}.feed.grow")
    graph.say(f"{name}_inner = Relu ({name}_grown)")
    graph.linear(f"{name}_shrunk", f"{name}_inner", f"{path}.feed.shrink")
    graph.say(f"{result} = Add ({states}, {name}_shrunk)")


def _start(graph: AnyGraph, model: Seq2Seq) -> None:
    """Say the first state of a recurrent decoder, or the first position of a Transformer's."""
    starts = model.decoder.starts
    if not starts:
        graph.constant("no_entries", [0, model.entry_size])
        graph.say("""
            start_position = Sub (lengths, lengths)                       # (B,) of zeros
            sentences = Shape (lengths)
            empty_shape = Concat <axis = 0> (sentences, no_entries)
            start_past = Expand (zero, empty_shape)                       # (B, 0, K)""")
        return
    graph.linear("bridge", "summary", "bridge")
    rest = model.state_size - starts
    if not rest:
        graph.say("start = Tanh (bridge)")
        return
    graph.constant("nothing", np.zeros((1, rest), np.float32))
    graph.constant("rest", [rest])
    graph.say("""
        known_start = Tanh (bridge)
        sentences = Shape (lengths)    rest_shape = Concat <axis = 0> (sentences, rest)
        rest_start = Expand (nothing, rest_shape)
        start = Concat <axis = 1> (known_start, rest_start)""")
