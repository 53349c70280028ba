"""The whole network: an encoder, a decoder that attends to it, and an alignment head.

    source ids -> encode() -> Memory: what the decoder looks at, and its first state
    target ids, Memory -> forward() -> features, cross-attention, alignment scores
    one token, state, Memory -> step() -> logits, attention rows, next state

Which encoder, decoder and attention they are, the recipe says; `step` is the contract that
the exported graphs keep. Shapes: B sentences, T target steps, S source tokens, E embedding
of the side at hand, M memory, D decoder state, N heads, A alignment head, V target pieces.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model_export import config, decoders, encoders
from model_export.attention import AlignmentHead, masked_softmax
from model_export.decoders import Decoded, Looked, State, TransformerDecoder
from model_export.encoders import TransformerEncoder


@dataclass(frozen=True, slots=True)
class Memory:
    """What the encoder leaves for the decoder."""

    states: Tensor  # (B, S, M), zero on padding
    mask: Tensor  # (B, S) bool, true on real tokens
    looked: Looked  # what the cross-attention looks at
    keys: Tensor | None  # (B, S, A) of the alignment head
    first: State  # decoder state before the first token


@dataclass(frozen=True, slots=True)
class Output:
    """What the decoder says of every target position."""

    features: Tensor  # (B, T, E) before the output projection
    cross: Tensor | None  # (B, T, S) mean of the heads; row t chose token t
    alignment: Tensor | None  # (B, T, S) scores of the head; row t is about the token *read* at t


@dataclass(frozen=True, slots=True)
class Step:
    """What one step says: of the next token, and of the token it has read."""

    logits: Tensor  # (B, V)
    cross: Tensor | None  # (B, N, S), chose the next token
    alignment: Tensor | None  # (B, S), of the token read
    state: State


class Seq2Seq(nn.Module):
    """Encoder, decoder and alignment head."""

    def __init__(self, source_pieces: int, target_pieces: int, sizes: config.Model) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoder = encoders.build(source_pieces, sizes)
        self.decoder = decoders.build(target_pieces, sizes)
        self.bridge: nn.Linear | None = None
        if self.decoder.starts:
            self.bridge = nn.Linear(sizes.encoder.size, self.decoder.starts)
        self.head: AlignmentHead | None = None
        if sizes.alignment_head:
            self.head = AlignmentHead(
                state=sizes.decoder.size,
                memory=sizes.encoder.size,
                source=sizes.encoder.embedding,
                target=sizes.decoder.embedding,
                size=sizes.alignment_head,
            )
        for side in (self.encoder, self.decoder):
            nn.init.normal_(side.embedding.weight, std=sizes.embedding_std)
            if isinstance(side, TransformerEncoder | TransformerDecoder):
                # A token enters with a variance of 1, as large as its position.
                side.enter.weight.data *= 3**0.5 / sizes.embedding_std

    @property
    def state_size(self) -> int:
        """Width of a recurrent decoder's state; 0 of a Transformer's, which grows."""
        return sum(self.decoder.layout)

    @property
    def entry_size(self) -> int:
        """Keys and values of one token in all layers of a Transformer decoder."""
        return 2 * self.sizes.decoder.layers * self.sizes.decoder.size

    @property
    def heads(self) -> int:
        """Heads of the cross-attention; 0 without one."""
        about = self.sizes.attention
        return {"none": 0, "multi-head": about.heads}.get(about.kind, 1)

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """source (B, S) padded at the end, lengths (B,) -> Memory."""
        read = self.encoder(source, lengths)
        mask = torch.arange(source.shape[1], device=source.device) < lengths.unsqueeze(1)
        keys = self.head.keys(read.states, read.embedded) if self.head is not None else None
        start = read.summary[:, :0]
        if self.bridge is not None:
            start = torch.tanh(self.bridge(read.summary))  # (B, D + U)
        first = self.decoder.first(start)
        return Memory(read.states, mask, self.decoder.prepare(read.states, mask), keys, first)

    def forward(self, source: Tensor, lengths: Tensor, target_in: Tensor) -> Output:
        """source (B, S), lengths (B,), target_in (B, T) from `<s>` on -> Output."""
        memory = self.encode(source, lengths)
        decoded = self.decoder(target_in, memory.first, memory.looked)
        cross = decoded.rows.mean(2) if decoded.rows is not None else None
        return Output(decoded.features, cross, self._aligned(target_in, decoded, memory))

    def step(self, token: Tensor, state: State, memory: Memory) -> Step:
        """One step of decoding, token (B,): read it, say what may follow."""
        tokens = token.unsqueeze(1)  # (B, 1)
        decoded = self.decoder(tokens, state, memory.looked)
        cross = decoded.rows[:, 0] if decoded.rows is not None else None
        scores = self._aligned(tokens, decoded, memory)
        aligned = masked_softmax(scores, memory.mask)[:, 0] if scores is not None else None
        return Step(self.decoder.logits(decoded.features[:, 0]), cross, aligned, decoded.state)

    def _aligned(self, tokens: Tensor, decoded: Decoded, memory: Memory) -> Tensor | None:
        """tokens (B, T) that were read -> scores of the head (B, T, S)."""
        if self.head is None or memory.keys is None:
            return None
        return self.head.scores(decoded.states, self.decoder.embedding(tokens), memory.keys)
