"""Encoders: recurrent ones that read in both directions, and the Transformer's.

Shapes: B sentences, S source tokens, E embedding, M what is said of a token, H a direction
(M / 2), L layers.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from model_export import config
from model_export.attention import join_heads, split_heads


@dataclass(frozen=True, slots=True)
class Read:
    """What an encoder says of its sentences."""

    embedded: Tensor  # (B, S, E) before dropout
    states: Tensor  # (B, S, M), zero on padding
    summary: Tensor  # (B, M) of the whole sentence


class EmbeddingDropout(nn.Module):
    """Dropout of embedded tokens, single numbers and whole tokens; nothing in inference."""

    def __init__(self, sizes: config.Model) -> None:
        super().__init__()
        self.dropout = nn.Dropout(sizes.dropout)
        self.words = nn.Dropout(sizes.word_dropout)

    def forward(self, embedded: Tensor) -> Tensor:
        """embedded (B, T, E) -> (B, T, E)."""
        kept: Tensor = self.words(embedded.new_ones(*embedded.shape[:2], 1))  # (B, T, 1)
        dropped: Tensor = self.dropout(embedded * kept)
        return dropped


class RecurrentEncoder(nn.Module):
    """Bidirectional LSTM or GRU over embedded source tokens."""

    def __init__(self, pieces: int, sizes: config.Model) -> None:
        super().__init__()
        about = sizes.encoder
        self.embedding = nn.Embedding(pieces, about.embedding)
        self.dropout = EmbeddingDropout(sizes)
        kind = nn.LSTM if about.kind == "lstm" else nn.GRU
        self.layers = kind(
            about.embedding,
            about.size // 2,
            about.layers,
            batch_first=True,
            bidirectional=True,
            dropout=sizes.dropout if about.layers > 1 else 0.0,
        )

    def forward(self, source: Tensor, lengths: Tensor) -> Read:
        """source (B, S) padded at the end, lengths (B,) -> Read; the summary is both ends."""
        embedded = self.embedding(source)  # (B, S, E)
        packed = pack_padded_sequence(
            self.dropout(embedded), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        out, last = self.layers(packed)
        ends = last[0] if isinstance(last, tuple) else last  # (2 L, B, H): each layer, each way
        states, _ = pad_packed_sequence(out, batch_first=True, total_length=source.shape[1])
        return Read(embedded, states, torch.cat([ends[-2], ends[-1]], dim=-1))


class TransformerEncoder(nn.Module):
    """Self-attention layers over embedded source tokens and their places."""

    def __init__(self, pieces: int, sizes: config.Model) -> None:
        super().__init__()
        about = sizes.encoder
        self.embedding = nn.Embedding(pieces, about.embedding)
        self.enter = nn.Linear(about.embedding, about.size)
        self.dropout = EmbeddingDropout(sizes)
        self.layers = nn.ModuleList(
            EncoderLayer(about.size, about.heads, about.inner, sizes.dropout)
            for _ in range(about.layers)
        )
        self.norm = nn.LayerNorm(about.size)

    def forward(self, source: Tensor, lengths: Tensor) -> Read:
        """source (B, S) padded at the end, lengths (B,) -> Read; the summary is the mean."""
        embedded = self.embedding(source)  # (B, S, E)
        mask = torch.arange(source.shape[1], device=source.device) < lengths.unsqueeze(1)
        places = torch.arange(source.shape[1], device=source.device)
        entered = self.enter(self.dropout(embedded))  # (B, S, M)
        states = entered + positions(places, entered.shape[-1])
        for layer in self.stack():
            states = layer(states, mask)
        states = self.norm(states) * mask.unsqueeze(2)
        return Read(embedded, states, states.sum(1) / lengths.unsqueeze(1))

    def stack(self) -> Iterator["EncoderLayer"]:
        """Yield the layers, lowest first."""
        for layer in self.layers:
            assert isinstance(layer, EncoderLayer)
            yield layer


class SelfAttention(nn.Module):
    """Scaled dot products of a sequence with itself, in several heads."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(size, size)
        self.key = nn.Linear(size, size)
        self.value = nn.Linear(size, size)
        self.out = nn.Linear(size, size)

    def forward(self, states: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """states (B, T, M) look at keys (B, S, M) where mask (B or 1, 1, T or 1, S) is true.

        keys and values are those of `self.key` and `self.value`.
        """
        query, keys, values = (
            split_heads(part, self.heads) for part in (self.query(states), keys, values)
        )
        context = nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        out: Tensor = self.out(join_heads(context))
        return out


class FeedForward(nn.Module):
    """Two linear layers around a ReLU, for every token alone."""

    def __init__(self, size: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.grow = nn.Linear(size, inner)
        self.shrink = nn.Linear(inner, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """states (B, T, M) -> (B, T, M)."""
        out: Tensor = self.shrink(self.dropout(torch.relu(self.grow(states))))
        return out


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each normalised before and added to what it read."""

    def __init__(self, size: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(size)
        self.attention = SelfAttention(size, heads)
        self.feed_norm = nn.LayerNorm(size)
        self.feed = FeedForward(size, inner, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """states (B, S, M), mask (B, S) -> (B, S, M)."""
        normed = self.attention_norm(states)
        keys, values = self.attention.key(normed), self.attention.value(normed)
        looked = self.attention(normed, keys, values, mask[:, None, None])
        states = states + self.dropout(looked)
        fed: Tensor = states + self.dropout(self.feed(self.feed_norm(states)))
        return fed


def positions(places: Tensor, size: int) -> Tensor:
    """Sinusoids of places (...) -> (..., size): sines, then cosines (Vaswani et al. 2017)."""
    half = torch.arange(size // 2, device=places.device)
    angles = places.unsqueeze(-1) * torch.exp(-math.log(10_000.0) * half / max(1, size // 2 - 1))
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def build(pieces: int, sizes: config.Model) -> RecurrentEncoder | TransformerEncoder:
    """Return the encoder of a recipe."""
    kind = TransformerEncoder if sizes.encoder.kind == "transformer" else RecurrentEncoder
    return kind(pieces, sizes)
