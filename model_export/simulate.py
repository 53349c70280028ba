"""The int8 model in torch: the same network with the rounding of `quantize.py` put in.

`simulate` swaps the modules whose products are quantised in the exported graphs; `encode`,
`step` and `forward` are still those of `Seq2Seq`. Sums are made in float32, not in
integers, so an activation that lies on the very border between two uint8 steps may fall on
the other side of it than in the graph.

Shapes: B sentences, S source tokens, T target steps, E embedding, H encoder, D decoder.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from model_export.model import Decoder, Seq2Seq
from model_export.quantize import Quantized, fake_quantize, quantize_product, quantize_table


def simulate(model: Seq2Seq) -> Seq2Seq:
    """Return a copy of `model`, for inference, that computes as its int8 graphs do."""
    rounded = copy.deepcopy(model)
    rounded.decoder = RoundedDecoder(model.decoder.embedding.num_embeddings, model.sizes)
    rounded.decoder.load_state_dict(model.decoder.state_dict())
    for name in ("encoder.embedding", "head.key_token", "head.query_token"):
        _set(rounded.get_parameter(f"{name}.weight"), quantize_table)
    _set(rounded.decoder.embedding.weight, quantize_product)
    products = ("encoder.bridge", "head.key_memory", "head.query_state")
    for name in (*products, "decoder.attention.query", "decoder.combine"):
        layer = rounded.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        rounded.set_submodule(name, RoundedLinear(layer))
    rounded.set_submodule("encoder.lstm", RoundedLSTM(model.encoder.lstm))
    rounded.set_submodule("decoder.gru", RoundedGRU(model.decoder.gru, of_tokens=True))
    if model.decoder.top is not None:
        rounded.set_submodule("decoder.top", RoundedGRU(model.decoder.top, of_tokens=False))
    return rounded.eval()


class RoundedDecoder(Decoder):
    """The decoder, whose features are rounded before the output projection."""

    def logits(self, features: Tensor) -> Tensor:
        """features (..., E) -> logits (..., V)."""
        return super().logits(fake_quantize(features))


class RoundedLinear(nn.Module):
    """A linear layer over rounded activations."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        _set(layer.weight, quantize_product)

    def forward(self, inputs: Tensor) -> Tensor:
        """inputs (..., K) -> (..., N)."""
        out: Tensor = self.layer(fake_quantize(inputs))
        return out


class RoundedLSTM(nn.Module):
    """A bidirectional LSTM whose hidden state is rounded where it enters the next step."""

    def __init__(self, layer: nn.LSTM) -> None:
        super().__init__()
        self.layer = copy.deepcopy(layer)
        for name, weight in self.layer.named_parameters():
            if name.startswith("weight_ih_l0"):
                _set(weight, quantize_table)
            elif name.startswith("weight"):
                _set(weight, quantize_product)

    def forward(self, packed: PackedSequence) -> tuple[PackedSequence, tuple[Tensor, Tensor]]:
        """Packed (B, S, E) -> packed (B, S, 2 H), last hidden and cell states (2 L, B, H)."""
        out, lengths = pad_packed_sequence(packed, batch_first=True)
        mask = torch.arange(out.shape[1]) < lengths.unsqueeze(1)  # (B, S)
        hidden, cell = [], []
        for layer in range(self.layer.num_layers):
            inputs = fake_quantize(out) if layer else out
            ahead, *end = self._run(inputs, mask, 2 * layer)
            back, *start = self._run(inputs.flip(1), mask.flip(1), 2 * layer + 1)
            out = torch.cat([ahead, back.flip(1)], dim=-1)  # (B, S, 2 H)
            hidden += [end[0], start[0]]
            cell += [end[1], start[1]]
        again = pack_padded_sequence(out, lengths, batch_first=True, enforce_sorted=False)
        return again, (torch.stack(hidden), torch.stack(cell))

    def _run(self, inputs: Tensor, mask: Tensor, way: int) -> tuple[Tensor, Tensor, Tensor]:
        w_input, w_state, b_input, b_state = self.layer.all_weights[way]
        gates = inputs @ w_input.T + b_input + b_state  # (B, S, 4 H)
        hidden = cell = inputs.new_zeros(len(inputs), self.layer.hidden_size)
        rows = []
        for step in range(inputs.shape[1]):
            i, f, c, o = (gates[:, step] + fake_quantize(hidden) @ w_state.T).chunk(4, dim=-1)
            grown = f.sigmoid() * cell + i.sigmoid() * c.tanh()
            real = mask[:, step, None]  # padding holds the state
            cell = torch.where(real, grown, cell)
            hidden = torch.where(real, o.sigmoid() * grown.tanh(), hidden)
            rows.append(hidden)
        return torch.stack(rows, 1), hidden, cell


class RoundedGRU(nn.Module):
    """A GRU whose state is rounded where it enters the recurrent product, and only there.

    So are its inputs, unless they are embedded tokens, whose products are looked up.
    """

    def __init__(self, layer: nn.GRU, of_tokens: bool) -> None:
        super().__init__()
        self.layer, self.of_tokens = copy.deepcopy(layer), of_tokens
        rounding = quantize_table if of_tokens else quantize_product
        _set(self.layer.get_parameter("weight_ih_l0"), rounding)
        _set(self.layer.get_parameter("weight_hh_l0"), quantize_product)

    def forward(self, inputs: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        """inputs (B, T, E), first state (1, B, D) -> states (B, T, D), last state (1, B, D)."""
        w_input, w_state, b_input, b_state = self.layer.all_weights[0]
        given = inputs if self.of_tokens else fake_quantize(inputs)
        gates = given @ w_input.T + b_input  # (B, T, 3 D)
        state, states = first[0], []
        for step in range(inputs.shape[1]):
            recurrent = fake_quantize(state) @ w_state.T + b_state
            input_r, input_z, input_n = gates[:, step].chunk(3, dim=-1)
            r, z, n = recurrent.chunk(3, dim=-1)
            new = torch.tanh(input_n + torch.sigmoid(input_r + r) * n)
            state = new + torch.sigmoid(input_z + z) * (state - new)
            states.append(state)
        return torch.stack(states, 1), state.unsqueeze(0)


def _set(weight: Tensor, rounding: Callable[[Tensor], Quantized]) -> None:
    """Put what the integers stand for in the place of a weight."""
    with torch.no_grad():
        weight.copy_(rounding(weight).tensor())
