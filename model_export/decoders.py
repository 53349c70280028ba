"""Decoders: recurrent ones with any cross-attention, and the Transformer's.

A decoder runs over given target tokens, one or many at once, from a state, and returns the
state behind them: so training, forced decoding and a step of search are the same code. A
state is tensors by name, as the exported graphs keep them.

Shapes: B sentences, T target steps, S source tokens, E embedding, M memory, D decoder
state, U its second layer, P past target steps, N heads of the cross-attention, V target
pieces, K keys and values of all layers of a Transformer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model_export import attention, config
from model_export.attention import MultiHead, Prepared
from model_export.encoders import EmbeddingDropout, FeedForward, SelfAttention, positions

State = Mapping[str, Tensor]
Looked = Sequence[Prepared]
"""What the cross-attentions of a decoder look at: one a layer, none without attention."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a decoder says of target positions, and its state behind the last one."""

    states: Tensor  # (B, T, D) what it knows once the token of the position is read
    features: Tensor  # (B, T, E) before the output projection
    rows: Tensor | None  # (B, T, N, S) cross-attention that chose the next token
    state: State


class Output(nn.Module):
    """The target embedding, which is the output projection too (Press and Wolf 2017)."""

    def __init__(self, pieces: int, sizes: config.Model) -> None:
        super().__init__()
        self.embedding = nn.Embedding(pieces, sizes.decoder.embedding)
        self.bias = nn.Parameter(torch.zeros(pieces))
        self.dropout = EmbeddingDropout(sizes)
        self.feature_dropout = nn.Dropout(sizes.dropout)
        self.rounding: nn.Module = nn.Identity()  # the int8 simulation rounds here

    def logits(self, features: Tensor) -> Tensor:
        """features (..., E) -> logits (..., V)."""
        return nn.functional.linear(self.rounding(features), self.embedding.weight, self.bias)


class RecurrentDecoder(Output):
    """A GRU or LSTM under its attention and, if the recipe has a `top`, another one above.

    Luong et al. 2015: the state behind a token asks the memory, and both make the features.
    Bahdanau et al. 2015 (`additive`): the state before a token asks, and what it finds is
    read along with the token. A top layer knows what has been translated, as input feeding
    does, but lets training run over a whole target at once (Wu et al. 2016 place it so).
    """

    def __init__(self, pieces: int, sizes: config.Model) -> None:
        super().__init__(pieces, sizes)
        about, memory = sizes.decoder, sizes.encoder.size
        self.about = about
        self.attention = attention.build(sizes.attention, about.size, memory)
        self.asks_before = sizes.attention.kind == "additive"
        found = memory if self.attention else 0
        kind = nn.LSTM if about.kind == "lstm" else nn.GRU
        read = about.embedding + (found if self.asks_before else 0)
        read += about.embedding if about.input_feeding else 0
        self.lower = kind(read, about.size, batch_first=True)
        self.top = kind(found + about.size, about.top, batch_first=True) if about.top else None
        self.combine = nn.Linear(found + about.size + about.top, about.embedding, bias=False)

    @property
    def starts(self) -> int:
        """How much of a first state comes from the encoder: D + U; what follows is zero."""
        return self.about.size + self.about.top

    @property
    def at_once(self) -> bool:
        """Whether a target can be read at once: no step reads what the one before has found."""
        return not (self.about.input_feeding or (self.attention and self.asks_before))

    @property
    def layout(self) -> list[int]:
        """Sizes of what lies in the state: lower, upper, their cells (LSTM), fed features."""
        sizes = [self.about.size, self.about.top]
        cells = sizes if self.about.kind == "lstm" else [0, 0]
        return [*sizes, *cells, self.about.embedding if self.about.input_feeding else 0]

    def prepare(self, memory: Tensor, mask: Tensor) -> Looked:
        """memory (B, S, M), mask (B, S) -> what the attention looks at."""
        return [self.attention.prepare(memory, mask)] if self.attention is not None else []

    def first(self, start: Tensor) -> State:
        """start (B, D + U) -> the state before the first token."""
        rest = sum(self.layout) - self.starts
        return {"state": torch.cat([start, start.new_zeros(len(start), rest)], dim=-1)}

    def forward(self, tokens: Tensor, state: State, looked: Looked) -> Decoded:
        """tokens (B, T) -> Decoded; a step at a time where a step reads what the last found."""
        embedded = self.dropout(self.embedding(tokens))  # (B, T, E)
        if self.at_once:
            return self._run(embedded, state, looked)
        steps = []
        for step in range(tokens.shape[1]):
            steps.append(self._run(embedded[:, step : step + 1], state, looked))
            state = steps[-1].state
        rows = [step.rows for step in steps if step.rows is not None]
        return Decoded(
            torch.cat([step.states for step in steps], dim=1),
            torch.cat([step.features for step in steps], dim=1),
            torch.cat(rows, dim=1) if rows else None,
            state,
        )

    def _run(self, embedded: Tensor, state: State, looked: Looked) -> Decoded:
        lower, upper, lower_cell, upper_cell, fed = torch.split(state["state"], self.layout, dim=-1)
        read, found, rows = [embedded], [], None
        if self.attention is not None and self.asks_before:
            context, rows = self.attention(lower.unsqueeze(1), *looked)  # (B, 1, M)
            read, found = [embedded, context], [context]
        if self.about.input_feeding:
            read.append(fed.unsqueeze(1))
        states, lower, lower_cell = self._layer(self.lower, torch.cat(read, -1), lower, lower_cell)
        if self.attention is not None and not self.asks_before:
            context, rows = self.attention(states, *looked)  # (B, T, M)
            found = [context]
        known = torch.cat([*found, states], dim=-1)  # (B, T, M + D)
        if self.top is not None:
            below = self.feature_dropout(known)
            above, upper, upper_cell = self._layer(self.top, below, upper, upper_cell)
            known = torch.cat([known, above], dim=-1)  # (B, T, M + D + U)
        features = torch.tanh(self.combine(known))
        fed = features[:, -1, : fed.shape[1]]
        state = {"state": torch.cat([lower, upper, lower_cell, upper_cell, fed], dim=-1)}
        return Decoded(states, self.feature_dropout(features), rows, state)

    def _layer(
        self, layer: nn.Module, inputs: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """inputs (B, T, ...), state (B, D) -> states (B, T, D), last state and cell (B, D)."""
        first = hidden.unsqueeze(0).contiguous()
        if self.about.kind == "lstm":
            states, (last, last_cell) = layer(inputs, (first, cell.unsqueeze(0).contiguous()))
            return states, last[0], last_cell[0]
        states, last = layer(inputs, first)
        return states, last[0], cell


class TransformerDecoder(Output):
    """Self-attention over past target tokens, cross-attention and feed-forward, in layers.

    Its state holds the keys and values of all past tokens and grows by one entry a step.
    """

    starts = 0
    layout: Sequence[int] = ()
    at_once = True

    def __init__(self, pieces: int, sizes: config.Model) -> None:
        super().__init__(pieces, sizes)
        about = sizes.decoder
        self.enter = nn.Linear(about.embedding, about.size)
        self.layers = nn.ModuleList(DecoderLayer(sizes) for _ in range(about.layers))
        self.norm = nn.LayerNorm(about.size)
        self.leave = nn.Linear(about.size, about.embedding)

    def prepare(self, memory: Tensor, mask: Tensor) -> Looked:
        """memory (B, S, M), mask (B, S) -> keys and values of every layer."""
        return [layer.cross.prepare(memory, mask) for layer in self.stack()]

    def first(self, start: Tensor) -> State:
        """start (B, 0) -> the state before the first token: nothing is past."""
        return {
            "past": start.new_zeros(len(start), 0, 2 * len(self.layers) * self.enter.out_features)
        }

    def forward(self, tokens: Tensor, state: State, looked: Looked) -> Decoded:
        """tokens (B, T) -> Decoded."""
        past = state["past"].chunk(len(self.layers), dim=-1)  # each (B, P, 2 D)
        before, count = state["past"].shape[1], tokens.shape[1]
        places = torch.arange(before, before + count, device=tokens.device)
        states = self.enter(self.dropout(self.embedding(tokens)))  # (B, T, D)
        states = states + positions(places, states.shape[-1])
        seen = torch.arange(before + count, device=tokens.device) <= places.unsqueeze(1)
        rows, entries = None, []
        for layer, own, prepared in zip(self.stack(), past, looked, strict=True):
            states, rows, entry = layer(states, own, seen, prepared)
            entries.append(entry)
        states = self.norm(states)
        grown = torch.cat([state["past"], torch.cat(entries, dim=-1)], dim=1)
        return Decoded(states, self.feature_dropout(self.leave(states)), rows, {"past": grown})

    def stack(self) -> Iterator["DecoderLayer"]:
        """Yield the layers, lowest first."""
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            yield layer


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and feed-forward, each normalised before and added."""

    def __init__(self, sizes: config.Model) -> None:
        super().__init__()
        size, memory = sizes.decoder.size, sizes.encoder.size
        self.self_norm = nn.LayerNorm(size)
        self.cross_norm = nn.LayerNorm(size)
        self.feed_norm = nn.LayerNorm(size)
        self.self_attention = SelfAttention(size, sizes.decoder.heads)
        self.cross = MultiHead(size, memory, size, sizes.attention.heads)
        self.feed = FeedForward(size, sizes.decoder.inner, sizes.dropout)
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(
        self, states: Tensor, past: Tensor, seen: Tensor, prepared: Prepared
    ) -> tuple[Tensor, Tensor, Tensor]:
        """states (B, T, D), past (B, P, 2 D), seen (T, P + T) bool
        -> states (B, T, D), cross-attention rows (B, T, N, S), entry (B, T, 2 D)
        """
        normed = self.self_norm(states)
        attention = self.self_attention
        entry = torch.cat([attention.key(normed), attention.value(normed)], dim=-1)
        keys, values = torch.cat([past, entry], dim=1).chunk(2, dim=-1)  # (B, P + T, D)
        states = states + self.dropout(attention(normed, keys, values, seen[None, None]))
        context, rows = self.cross(self.cross_norm(states), prepared)
        states = states + self.dropout(context)
        states = states + self.dropout(self.feed(self.feed_norm(states)))
        return states, rows, entry


def build(pieces: int, sizes: config.Model) -> RecurrentDecoder | TransformerDecoder:
    """Return the decoder of a recipe."""
    kind = TransformerDecoder if sizes.decoder.kind == "transformer" else RecurrentDecoder
    return kind(pieces, sizes)
