"""The two attentions of a model, by the line.

*Cross-attention* is what the decoder uses to choose the next token: computed before that
token is known. The *alignment head* looks once the token has been read, and is trained to
point at the source piece that it translates.

Shapes: B sentences, T target steps, S source tokens, E embedding of the side at
hand, M memory, D decoder, A alignment head.
"""

import torch
from torch import Tensor, nn

MASKED = -1e9


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where `mask` is true; exactly zero elsewhere.

    scores (B, T, S), mask (B, S) -> (B, T, S)
    """
    kept = mask.unsqueeze(1)
    return torch.softmax(scores.masked_fill(~kept, MASKED), dim=-1) * kept


class GeneralAttention(nn.Module):
    """Luong's *general* score: state · W · memory (Luong et al. 2015, eq. 8)."""

    def __init__(self, decoder: int, memory: int) -> None:
        super().__init__()
        self.query = nn.Linear(decoder, memory, bias=False)

    def forward(self, states: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """states (B, T, D), memory (B, S, M), mask (B, S) -> context (B, T, M), rows (B, T, S)."""
        query = self.query(states)  # (B, T, M)
        scores = query @ memory.transpose(1, 2)  # (B, T, S)
        rows = masked_softmax(scores, mask)  # (B, T, S), each sums to one
        return rows @ memory, rows


class AlignmentHead(nn.Module):
    """A small scaled dot-product attention that says what a token, once read, translates.

    The query sees the decoder state after the token and the token itself, the key sees the
    memory and the source token itself; own projections, no values (Shift-AET, Chen et al.
    2020; guided as in Garg et al. 2019).
    """

    def __init__(self, decoder: int, memory: int, source: int, target: int, size: int) -> None:
        super().__init__()
        self.query_state = nn.Linear(decoder, size, bias=False)
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
