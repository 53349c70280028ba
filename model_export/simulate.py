"""The int8 model in torch: the same network with the rounding of `quantize.py` put in.

`simulate` swaps the modules whose products are quantised in the exported graphs; `encode`,
`step` and `forward` are still those of `Seq2Seq`. Sums are made in float32, not in
integers, so an activation that lies on the very border between two uint8 steps may fall on
the other side of it than in the graph.

Shapes: B sentences, S source tokens, T steps, E embedding, H a recurrent layer's state, G
its gates.
"""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from model_export.model import Seq2Seq
from model_export.quantize import (
    FLOAT,
    LOGITS,
    TOKENS,
    Quantized,
    fake_quantize,
    quantize_product,
    quantize_table,
    scale_of,
)

Last = Tensor | tuple[Tensor, Tensor]


def simulate(model: Seq2Seq, scales: Mapping[str, float]) -> Seq2Seq:
    """Return a copy of `model`, for inference, that computes as its int8 graphs do."""
    rounded = copy.deepcopy(model)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and not name.endswith(FLOAT):
            _swap_linear(rounded, name, module, scales)
        if isinstance(module, nn.LSTM | nn.GRU):
            tokens = _token_width(model, name)
            layers = RoundedLayers(module, tokens, scale_of(name, scales))
            rounded.set_submodule(name, layers)
    _set(rounded.encoder.embedding.weight, quantize_table)
    _set(rounded.decoder.embedding.weight, quantize_product)
    rounded.decoder.rounding = Rounding(scale_of(LOGITS, scales))
    return rounded.eval()


def _swap_linear(
    rounded: Seq2Seq, name: str, layer: nn.Linear, scales: Mapping[str, float]
) -> None:
    if name in TOKENS:
        _set(rounded.get_parameter(f"{name}.weight"), quantize_table)
    else:
        rounded.set_submodule(name, RoundedLinear(layer, scale_of(name, scales)))


def _token_width(model: Seq2Seq, name: str) -> int:
    """Return how much of a recurrent layer's first inputs are embedded tokens."""
    widths = {
        "encoder.layers": model.sizes.encoder.embedding,
        "decoder.lower": model.sizes.decoder.embedding,
    }
    return widths.get(name, 0)


class Rounding(nn.Module):
    """Rounds activations as a product sees them."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, values: Tensor) -> Tensor:
        """Any shape."""
        return fake_quantize(values, self.scale)


class RoundedLinear(nn.Module):
    """A linear layer over rounded activations."""

    def __init__(self, layer: nn.Linear, scale: float) -> None:
        super().__init__()
        self.layer, self.scale = copy.deepcopy(layer), scale
        self.out_features = layer.out_features
        _set(self.layer.weight, quantize_product)

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (..., K) -> (..., N)."""
        out: Tensor = self.layer(fake_quantize(inputs, self.scale))
        return out


class RoundedLayers(nn.Module):
    """LSTM or GRU layers, of one way or two, whose products read rounded activations.

    States are rounded where they enter the recurrent product, and so are inputs, unless
    they are embedded tokens: the first `tokens` numbers of the first layer's inputs.
    """

    def __init__(self, layers: nn.LSTM | nn.GRU, tokens: int, scale: float) -> None:
        super().__init__()
        self.layers, self.tokens, self.scale = copy.deepcopy(layers), tokens, scale
        for name, weight in self.layers.named_parameters():
            if name.startswith("weight_ih_l0") and tokens:
                _set(weight, quantize_table, slice(0, tokens))
                if weight.shape[1] > tokens:
                    _set(weight, quantize_product, slice(tokens, None))
            elif name.startswith("weight"):
                _set(weight, quantize_product)

    def forward(
        self, given: PackedSequence | Tensor, first: Last | None = None
    ) -> tuple[PackedSequence | Tensor, Last]:
        """Packed or plain (B, S, E), first states (L, B, H) -> the same of all states, last ones.

        Packed sequences are read in both ways, from states of zeros.
        """
        if isinstance(given, PackedSequence):
            out, lengths = pad_packed_sequence(given, batch_first=True)
            made, last = self._both_ways(out, lengths)
            return pack_padded_sequence(made, lengths, True, enforce_sorted=False), last
        mask = torch.ones(given.shape[:2], dtype=torch.bool)
        assert first is not None
        hidden, cell = first if isinstance(first, tuple) else (first, torch.zeros_like(first))
        states, last_hidden, last_cell = self._run(
            self._inputs(given, 0), mask, 0, hidden[0], cell[0]
        )
        return states, self._last([last_hidden], [last_cell])

    def _both_ways(self, out: Tensor, lengths: Tensor) -> tuple[Tensor, Last]:
        mask = torch.arange(out.shape[1]) < lengths.unsqueeze(1)  # (B, S)
        nothing = out.new_zeros(len(out), self.layers.hidden_size)
        hidden, cells = [], []
        for layer in range(self.layers.num_layers):
            inputs = self._inputs(out, layer)
            ahead, *end = self._run(inputs, mask, 2 * layer, nothing, nothing)
            back, *start = self._run(inputs.flip(1), mask.flip(1), 2 * layer + 1, nothing, nothing)
            out = torch.cat([ahead, back.flip(1)], dim=-1)  # (B, S, 2 H)
            hidden += [end[0], start[0]]
            cells += [end[1], start[1]]
        return out, self._last(hidden, cells)

    def _last(self, hidden: list[Tensor], cells: list[Tensor]) -> Last:
        states = torch.stack(hidden)
        return (states, torch.stack(cells)) if isinstance(self.layers, nn.LSTM) else states

    def _inputs(self, values: Tensor, layer: int) -> Tensor:
        """values (B, S, E) -> the same as the products of a layer see them."""
        tokens = 0 if layer else self.tokens
        rest = fake_quantize(values[..., tokens:], self.scale)
        return torch.cat([values[..., :tokens], rest], dim=-1)

    def _run(
        self, inputs: Tensor, mask: Tensor, way: int, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs (B, S, E), mask (B, S), state (B, H) -> states (B, S, H), last state and cell."""
        w_input, w_state, b_input, b_state = self.layers.all_weights[way]
        gates = inputs @ w_input.T + b_input  # (B, S, G)
        next_state = _lstm if isinstance(self.layers, nn.LSTM) else _gru
        states = []
        for step in range(inputs.shape[1]):
            recurrent = fake_quantize(hidden) @ w_state.T + b_state
            new, new_cell = next_state(gates[:, step], recurrent, hidden, cell)
            real = mask[:, step, None]  # padding holds the state
            hidden, cell = torch.where(real, new, hidden), torch.where(real, new_cell, cell)
            states.append(hidden)
        return torch.stack(states, 1), hidden, cell


def _lstm(given: Tensor, recurrent: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Gates (B, 4 H) of both products -> next state and cell (B, H)."""
    i, f, c, o = (given + recurrent).chunk(4, dim=-1)
    grown = f.sigmoid() * cell + i.sigmoid() * c.tanh()
    return o.sigmoid() * grown.tanh(), grown


def _gru(given: Tensor, recurrent: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Gates (B, 3 H) of both products -> next state (B, H)."""
    input_r, input_z, input_n = given.chunk(3, dim=-1)
    r, z, n = recurrent.chunk(3, dim=-1)
    new = torch.tanh(input_n + torch.sigmoid(input_r + r) * n)
    return new + torch.sigmoid(input_z + z) * (hidden - new), cell


def _set(
    weight: Tensor, rounding: Callable[[Tensor], Quantized], columns: slice = slice(None)
) -> None:
    """Put what the integers stand for in the place of a weight, or of some of its columns."""
    with torch.no_grad():
        weight[:, columns] = rounding(weight[:, columns]).tensor()
