"""Recurrent layers in ONNX: both directions of an encoder, and single steps of a decoder.

In float32 an encoder's layers are ONNX's own LSTM and GRU. In int8 they are a `Scan` over
both directions as one batch of 2 B rows: the second half reads each sentence backwards from
its own last token, so that padding comes last for both.

Axes: B batch, S source, V vocabulary, H a direction, D decoder state, G gates (4 H of an
LSTM, 3 H of a GRU).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from model_export.graphs.rows import Positions, Rows
from model_export.graphs.spelling import INT32, Float32, Int8, array, integer_product

Layers = nn.LSTM | nn.GRU
Direction = tuple[Tensor, Tensor, Tensor, Tensor]
"""Input weight (G, E), state weight (G, H), input bias (G,), state bias (G,); torch's order."""


def encode(graph: Float32 | Int8, layers: Layers) -> None:
    """Say hidden (S, B, 2 H), of any value on padding, from steps (S, B) and lengths (B,)."""
    if isinstance(graph, Int8):
        _encode_int8(graph, layers)
    else:
        _encode_float32(graph, layers)
    graph.say(f"hidden = Identity (hidden_{layers.num_layers})")


def _ways(layers: Layers) -> list[tuple[Direction, Direction]]:
    """Return both directions of every layer."""
    weights = [(way[0], way[1], way[2], way[3]) for way in layers.all_weights]
    return list(zip(weights[::2], weights[1::2], strict=True))


def _encode_float32(graph: Float32, layers: Layers) -> None:
    size = layers.hidden_size
    lstm = isinstance(layers, nn.LSTM)
    kind = "LSTM <" if lstm else "GRU <linear_before_reset = 1, "
    graph.constant("both_ways", [0, 0, 2 * size])
    graph.say(f"""
        lengths_32 = Cast <to = {INT32}> (lengths)
        hidden_0 = Gather (embedding, steps)                              # (S, B, E)""")
    for number, ways in enumerate(_ways(layers), 1):
        ordered = [[array(_onnx_order(part, lstm)) for part in way] for way in ways]
        name = f"layer_{number}"
        graph.constant(f"{name}_input", np.stack([way[0] for way in ordered]))
        graph.constant(f"{name}_state", np.stack([way[1] for way in ordered]))
        graph.constant(f"{name}_bias", np.stack([np.append(way[2], way[3]) for way in ordered]))
        graph.say(f"""
            {name} = {kind}direction = "bidirectional", hidden_size = {size}>
                (hidden_{number - 1}, {name}_input, {name}_state, {name}_bias, lengths_32)
            {name}_rows = Transpose <perm = [0, 2, 1, 3]> ({name})        # (S, B, 2, H)
            hidden_{number} = Reshape ({name}_rows, both_ways)""")


def _onnx_order(gates: Tensor, lstm: bool) -> Tensor:
    if lstm:
        i, f, c, o = gates.chunk(4)
        return torch.cat([i, o, f, c])
    r, z, n = gates.chunk(3)
    return torch.cat([z, r, n])


def _encode_int8(graph: Int8, layers: Layers) -> None:
    size = layers.hidden_size
    graph.constant(
        "gate_sizes", [3 * size, size] if isinstance(layers, nn.LSTM) else [2 * size, size]
    )
    graph.constant("size", [size])
    graph.constant("one", [1])
    graph.say("""
        rows = Shape (lengths)    ones = Expand (one, rows)
        turning = Concat <axis = 0> (ones, lengths)                       # (2 B,)
        both_rows = Shape (turning)
        state_shape = Concat <axis = 0> (both_rows, size)
        no_state = Expand (zero, state_shape)                             # (2 B, H)""")
    for number, ways in enumerate(_ways(layers), 1):
        given = [_given(way, layers) for way in ways]
        if number == 1:
            _inputs_of_tokens(graph, given)
        else:
            _inputs_of_hidden(graph, number, given)
        for name, way in zip(("ahead", "back"), ways, strict=True):
            _weigh_state(graph, f"{name}_{number}_state", way, layers)
        body = _lstm_body if isinstance(layers, nn.LSTM) else _gru_body
        graph.say(body(number))
        graph.say(f"""
            straight_{number} = ReverseSequence <time_axis = 0, batch_axis = 1>
                (outputs_{number}, turning)
            ahead_{number}, back_{number} = Split <axis = 1, num_outputs = 2> (straight_{number})
            hidden_{number} = Concat <axis = 2> (ahead_{number}, back_{number})""")


def _given(way: Direction, layers: Layers) -> tuple[Tensor, Tensor]:
    """Return weight (G, E) and bias (G,) of what a way reads: an LSTM's whole bias, i o f c."""
    w_input, _, b_input, b_state = way
    if isinstance(layers, nn.LSTM):
        return _onnx_order(w_input, lstm=True), _onnx_order(b_input + b_state, lstm=True)
    return w_input, b_input


def _weigh_state(graph: Int8, name: str, way: Direction, layers: Layers) -> None:
    """Add the weight (G, H) of a way's recurrent product and, of a GRU, its bias (G,)."""
    _, w_state, _, b_state = way
    if isinstance(layers, nn.LSTM):
        graph.weight(name, _onnx_order(w_state, lstm=True))
    else:
        graph.weight(name, w_state)
        graph.constant(f"{name}_bias", array(b_state))


def _inputs_of_tokens(graph: Int8, given: list[tuple[Tensor, Tensor]]) -> None:
    """Say inputs_1 (S, 2 B, G) of the first layer: looked up, one row a piece and way."""
    for name, (weight, bias) in zip(("ahead", "back"), given, strict=True):
        graph.table(f"{name}_1", weight, bias)
    graph.constant("pieces", graph.constants["embedding"].shape[0])
    graph.say("""
        table = Concat <axis = 0> (ahead_1_table, back_1_table)           # (2 V, G)
        shifted = Add (steps, pieces)
        both = Concat <axis = 1> (steps, shifted)                         # (S, 2 B)
        turned = ReverseSequence <time_axis = 0, batch_axis = 1> (both, turning)
        inputs_1 = Gather (table, turned)""")


def _inputs_of_hidden(graph: Int8, number: int, given: list[tuple[Tensor, Tensor]]) -> None:
    """Say inputs_N (S, 2 B, G) of a later layer: products with the one before."""
    for name, (weight, bias) in zip(("ahead", "back"), given, strict=True):
        graph.product(f"{name}_{number}_input", f"hidden_{number - 1}", weight, bias)
    graph.say(f"""
        both_{number} = Concat <axis = 1> (ahead_{number}_input, back_{number}_input)
        inputs_{number} = ReverseSequence <time_axis = 0, batch_axis = 1>
            (both_{number}, turning)""")


def _recurrent(number: int, biased: bool) -> str:
    """Spell the recurrent products of both ways of a scan's body, hidden_uint8 -> recurrent."""
    sides = [
        integer_product(f"from_{way}", (f"{way}_uint8", "scale"), f"{way}_{number}_state", biased)
        for way in ("ahead", "back")
    ]
    return f"""
                    ahead_uint8, back_uint8 = Split <axis = 0, num_outputs = 2> (hidden_uint8)
                    {sides[0]}
                    {sides[1]}
                    recurrent = Concat <axis = 0> (from_ahead, from_back)"""


def _lstm_body(number: int) -> str:
    """Spell an LSTM layer; what a step hands on is the uint8 of its output."""
    return f"""
            no_hidden_{number} = Expand (zero_point, state_shape)
            last_cell_{number}, last_hidden_{number}, outputs_{number} =
                Scan <num_scan_inputs = 1, body = step
                (float[rows, H] cell, uint8[rows, H] hidden_uint8, float[rows, G] input)
                => (float[rows, H] next_cell, uint8[rows, H] output_uint8, float[rows, H] output) {{
                    {_recurrent(number, biased=False)}
                    gates = Add (input, recurrent)
                    iof, c = Split <axis = 1> (gates, gate_sizes)       # onto (0, 1), (-1, 1)
                    open = Sigmoid (iof)    candidate = Tanh (c)
                    i, o, f = Split <axis = 1, num_outputs = 3> (open)
                    kept = Mul (f, cell)    added = Mul (i, candidate)
                    next_cell = Add (kept, added)
                    shown = Tanh (next_cell)    output = Mul (o, shown)
                    output_uint8 = QuantizeLinear (output, scale, zero_point)
                }}> (no_state, no_hidden_{number}, inputs_{number})         # (S, 2 B, H)"""


def _gru_body(number: int) -> str:
    """Spell a GRU layer; its state is rounded for the products alone."""
    return f"""
            last_{number}, outputs_{number} =
                Scan <num_scan_inputs = 1, body = step
                (float[rows, H] state, float[rows, G] input)
                => (float[rows, H] next, float[rows, H] output) {{
                    hidden_uint8 = QuantizeLinear (state, scale, zero_point)
                    {_recurrent(number, biased=True)}
                    input_rz, input_n = Split <axis = 1> (input, gate_sizes)
                    past_rz, past_n = Split <axis = 1> (recurrent, gate_sizes)
                    sum_rz = Add (input_rz, past_rz)    open = Sigmoid (sum_rz)
                    r, z = Split <axis = 1, num_outputs = 2> (open)
                    past = Mul (r, past_n)    sum_n = Add (input_n, past)    n = Tanh (sum_n)
                    away = Sub (state, n)    kept = Mul (z, away)
                    next = Add (n, kept)    output = Identity (next)
                }}> (no_state, inputs_{number})                             # (S, 2 B, H)"""


def advance(
    graph: Float32 | Int8, rows: Rows, layers: Layers, result: str, state: str, cell: str
) -> None:
    """Say {result} (R, D) of a decoder's layer from {result}_input (R, G) and a state (B, D).

    Where a row is a sentence this is one step, and {result}_cell is said too, of an LSTM; where
    it is a position, a step after another, from the state before the first.
    """
    if isinstance(rows, Positions):
        _over_positions(graph, rows, layers, result, state, cell)
        return
    _, w_state, _, b_state = layers.all_weights[0]
    graph.product(f"{result}_recurrent", state, w_state, b_state)
    step(graph, layers, result, state, cell)


def _over_positions(
    graph: Float32 | Int8, rows: Positions, layers: Layers, result: str, state: str, cell: str
) -> None:
    """Say {result} (R, D) by a `Scan` over T steps, each of them as `step` says it."""
    now = f"{result}_now"
    with graph.body() as lines:
        _, w_state, _, b_state = layers.all_weights[0]
        graph.product(f"{now}_recurrent", f"{now}_before", w_state, b_state)
        step(graph, layers, now, f"{now}_before", f"{now}_cell_before")
    first, before, after, last = [state], [f"{now}_before"], [now], [f"{result}_last"]
    if isinstance(layers, nn.LSTM):
        first.append(cell)
        before.append(f"{now}_cell_before")
        after.append(f"{now}_cell")
        last.append(f"{result}_last_cell")
    rows.spread(graph, f"{result}_inputs", f"{result}_input", [-1])
    graph.say(f"""
        {", ".join(last)}, {result}_all =
            Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1],
                body = position ({_typed(before, "D")}, float[B, G] {now}_input)
                => ({_typed(after, "D")}, float[B, D] {now}_out) {{
                    {"".join(lines)}
                    {now}_out = Identity ({now})
                }}> ({", ".join(first)}, {result}_inputs)                 # (B, T, D)
        {result} = Flatten <axis = -1> ({result}_all)                     # (R, D)""")


def _typed(names: Sequence[str], size: str) -> str:
    return ", ".join(f"float[B, {size}] {name}" for name in names)


def step(graph: Float32 | Int8, layers: Layers, result: str, state: str, cell: str) -> None:
    """Say one step of a decoder's layer: {result} (B, D) and, of an LSTM, {result}_cell.

    Reads {result}_input and {result}_recurrent (B, G), gates in torch's order.
    """
    if isinstance(layers, nn.LSTM):
        graph.say(f"""
            {result}_gates = Add ({result}_input, {result}_recurrent)
            {result}_sum_i, {result}_sum_f, {result}_sum_c, {result}_sum_o =
                Split <axis = 1, num_outputs = 4> ({result}_gates)
            {result}_i = Sigmoid ({result}_sum_i)    {result}_f = Sigmoid ({result}_sum_f)
            {result}_c = Tanh ({result}_sum_c)    {result}_o = Sigmoid ({result}_sum_o)
            {result}_kept = Mul ({result}_f, {cell})
            {result}_added = Mul ({result}_i, {result}_c)
            {result}_cell = Add ({result}_kept, {result}_added)
            {result}_shown = Tanh ({result}_cell)
            {result} = Mul ({result}_o, {result}_shown)""")
        return
    size = layers.hidden_size
    graph.constant(f"{result}_sizes", [2 * size, size])
    graph.say(f"""
        {result}_input_rz, {result}_input_n = Split <axis = 1> ({result}_input, {result}_sizes)
        {result}_past_rz, {result}_past_n = Split <axis = 1> ({result}_recurrent, {result}_sizes)
        {result}_sum_rz = Add ({result}_input_rz, {result}_past_rz)
        {result}_open = Sigmoid ({result}_sum_rz)
        {result}_r, {result}_z = Split <axis = 1, num_outputs = 2> ({result}_open)
        {result}_past = Mul ({result}_r, {result}_past_n)
        {result}_sum_n = Add ({result}_input_n, {result}_past)    {result}_n = Tanh ({result}_sum_n)
        {result}_away = Sub ({state}, {result}_n)    {result}_kept = Mul ({result}_z, {result}_away)
        {result} = Add ({result}_n, {result}_kept)                        # (1 - z) n + z state""")
