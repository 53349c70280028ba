"""Every attention of the literature, by the line, and the alignment head.

*Cross-attention* is what the decoder uses to choose the next token: computed before that
token is known. The *alignment head* looks once the token has been read, and is trained to
point at the source piece that it translates.

A cross-attention prepares the memory once a sentence (`prepare`) and is then asked with the
decoder's states. Its rows say, for every target step, how much of each source token went
into the context; each row sums to one.

Shapes: B sentences, T target steps, S source tokens, E embedding of the side at hand, M
memory, D decoder state, A hidden size of a score or of the alignment head, N heads.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model_export import config

MASKED = -1e9


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where `mask` is true; exactly zero elsewhere.

    scores (B, ..., S), mask (B, S) -> (B, ..., S)
    """
    kept = mask.view(len(mask), *[1] * (scores.dim() - 2), mask.shape[-1])
    return torch.softmax(scores.masked_fill(~kept, MASKED), dim=-1) * kept


class Prepared(NamedTuple):
    """What a cross-attention looks at: computed once a sentence."""

    keys: Tensor  # (B, S, A) or the memory itself
    values: Tensor  # (B, S, M)
    mask: Tensor  # (B, S) bool, true on real tokens


class CrossAttention(nn.Module):
    """What all have in common: from scores to rows and context."""

    heads = 1

    def prepare(self, memory: Tensor, mask: Tensor) -> Prepared:
        """memory (B, S, M), mask (B, S) -> what the scores are made of."""
        return Prepared(memory, memory, mask)

    def scores(self, states: Tensor, prepared: Prepared) -> Tensor:
        """states (B, T, D) -> scores (B, T, S)."""
        raise NotImplementedError

    def forward(self, states: Tensor, prepared: Prepared) -> tuple[Tensor, Tensor]:
        """states (B, T, D) -> context (B, T, M), rows (B, T, N, S)."""
        rows = masked_softmax(self.scores(states, prepared), prepared.mask)  # (B, T, S)
        return rows @ prepared.values, rows.unsqueeze(2)


class Dot(CrossAttention):
    """Luong's *dot* score: state · memory, of one size (Luong et al. 2015, eq. 8)."""

    def scores(self, states: Tensor, prepared: Prepared) -> Tensor:
        """states (B, T, D) -> scores (B, T, S)."""
        return states @ prepared.keys.transpose(1, 2)


class General(CrossAttention):
    """Luong's *general* score: state · W · memory (Luong et al. 2015, eq. 8)."""

    def __init__(self, state: int, memory: int) -> None:
        super().__init__()
        self.query = nn.Linear(state, memory, bias=False)

    def scores(self, states: Tensor, prepared: Prepared) -> Tensor:
        """states (B, T, D) -> scores (B, T, S)."""
        query: Tensor = self.query(states)  # (B, T, M)
        return query @ prepared.keys.transpose(1, 2)


class Additive(CrossAttention):
    """v · tanh(W · state + U · memory): Bahdanau et al. 2015, and Luong's *concat*.

    The two differ in where the decoder asks: Bahdanau's asks with the state before the
    recurrence, Luong's with the one after it.
    """

    def __init__(self, state: int, memory: int, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(state, size)
        self.key = nn.Linear(memory, size, bias=False)
        self.score = nn.Linear(size, 1, bias=False)

    def prepare(self, memory: Tensor, mask: Tensor) -> Prepared:
        """memory (B, S, M), mask (B, S) -> keys (B, S, A)."""
        return Prepared(self.key(memory), memory, mask)

    def scores(self, states: Tensor, prepared: Prepared) -> Tensor:
        """states (B, T, D) -> scores (B, T, S)."""
        query: Tensor = self.query(states)  # (B, T, A)
        both = torch.tanh(query.unsqueeze(2) + prepared.keys.unsqueeze(1))  # (B, T, S, A)
        scores: Tensor = self.score(both).squeeze(-1)
        return scores


class Local(General):
    """Luong's *local-p*: a window of source tokens around a predicted place (eqs. 9 and 10).

    The place is `length · sigmoid(v · tanh(W · state))`; the general score is weighted by a
    Gaussian around it whose deviation is half the window. Unlike Luong's, a row is then
    normalised, and what lies outside the window fades instead of being cut off.
    """

    def __init__(self, state: int, memory: int, window: int) -> None:
        super().__init__(state, memory)
        self.hidden = nn.Linear(state, state, bias=False)
        self.place = nn.Linear(state, 1, bias=False)
        self.deviation = window / 2

    def scores(self, states: Tensor, prepared: Prepared) -> Tensor:
        """states (B, T, D) -> scores (B, T, S)."""
        lengths = prepared.mask.sum(-1).view(-1, 1, 1)  # (B, 1, 1)
        place = lengths * torch.sigmoid(self.place(torch.tanh(self.hidden(states))))  # (B, T, 1)
        away = (torch.arange(prepared.mask.shape[1], device=place.device) - place) / self.deviation
        return super().scores(states, prepared) - away.square() / 2


class MultiHead(CrossAttention):
    """Scaled dot products in several heads (Vaswani et al. 2017, sec. 3.2)."""

    def __init__(self, state: int, memory: int, out: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(state, memory)
        self.key = nn.Linear(memory, memory)
        self.value = nn.Linear(memory, memory)
        self.out = nn.Linear(memory, out)

    def prepare(self, memory: Tensor, mask: Tensor) -> Prepared:
        """memory (B, S, M), mask (B, S) -> keys and values (B, S, M)."""
        return Prepared(self.key(memory), self.value(memory), mask)

    def forward(self, states: Tensor, prepared: Prepared) -> tuple[Tensor, Tensor]:
        """states (B, T, D) -> context (B, T, out), rows (B, T, N, S)."""
        query = split_heads(self.query(states), self.heads)  # (B, N, T, M/N)
        keys = split_heads(prepared.keys, self.heads)  # (B, N, S, M/N)
        values = split_heads(prepared.values, self.heads)
        scores = query @ keys.transpose(2, 3) / math.sqrt(query.shape[-1])  # (B, N, T, S)
        rows = masked_softmax(scores, prepared.mask)
        context: Tensor = self.out(join_heads(rows @ values))
        return context, rows.transpose(1, 2)


def split_heads(values: Tensor, heads: int) -> Tensor:
    """values (B, S, M) -> (B, N, S, M/N)."""
    return values.view(*values.shape[:2], heads, -1).transpose(1, 2)


def join_heads(values: Tensor) -> Tensor:
    """values (B, N, S, M/N) -> (B, S, M)."""
    return values.transpose(1, 2).flatten(2)


def build(sizes: config.Attention, state: int, memory: int) -> CrossAttention | None:
    """Return the cross-attention of a recipe; None where it says `none`."""
    match sizes.kind:
        case "dot":
            return Dot()
        case "general":
            return General(state, memory)
        case "additive" | "concat":
            return Additive(state, memory, sizes.size)
        case "local-p":
            return Local(state, memory, sizes.window)
        case "multi-head":
            return MultiHead(state, memory, memory, sizes.heads)
        case _:
            return None


class AlignmentHead(nn.Module):
    """A small scaled dot-product attention that says what a token, once read, translates.

    The query sees the decoder state after the token and the token itself, the key sees the
    memory and the source token itself; own projections, no values (Shift-AET, Chen et al.
    2020; guided as in Garg et al. 2019).
    """

    def __init__(self, state: int, memory: int, source: int, target: int, size: int) -> None:
        super().__init__()
        self.query_state = nn.Linear(state, size, bias=False)
        self.query_token = nn.Linear(target, size)
        self.key_memory = nn.Linear(memory, size, bias=False)
        self.key_token = nn.Linear(source, size)
        self.scale = size**-0.5

    def keys(self, memory: Tensor, embedded: Tensor) -> Tensor:
        """memory (B, S, M), embedded source (B, S, E) -> (B, S, A)."""
        keys: Tensor = self.key_memory(memory) + self.key_token(embedded)
        return keys

    def scores(self, states: Tensor, embedded: Tensor, keys: Tensor) -> Tensor:
        """states (B, T, D), embedded target (B, T, E), keys (B, S, A) -> scores (B, T, S)."""
        query: Tensor = self.query_state(states) + self.query_token(embedded)  # (B, T, A)
        scores: Tensor = (query * self.scale) @ keys.transpose(1, 2)
        return scores
