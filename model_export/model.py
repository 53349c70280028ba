"""The whole network: bidirectional LSTM encoder, GRU decoder, Luong attention, alignment head.

Luong et al. 2015 without input feeding, so that training runs the decoder over a whole
target at once. A second GRU may read what the attention found: it knows what has been
translated, as input feeding does, and still runs over a whole target (Wu et al. 2016 place
their attention so). The output projection is the target embedding (Press and Wolf 2017).

Shapes: B sentences, T target steps, S source tokens, E embedding of the side at hand, M
memory (twice the encoder's size), D first GRU of the decoder, U second one (0: none), A
alignment head, L encoder layers, V target pieces. `step` is the contract that the exported
graphs keep.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from model_export import config
from model_export.attention import AlignmentHead, GeneralAttention, masked_softmax


@dataclass(frozen=True, slots=True)
class Memory:
    """What the encoder leaves for the decoder."""

    states: Tensor  # (B, S, M), zero on padding
    keys: Tensor  # (B, S, A) of the alignment head
    mask: Tensor  # (B, S) bool, true on real tokens
    start: Tensor  # (B, D + U) first decoder state


@dataclass(frozen=True, slots=True)
class Output:
    """What the decoder says of every target position."""

    features: Tensor  # (B, T, E) before the output projection, within (-1, 1)
    cross: Tensor  # (B, T, S) cross-attention; row t chose token t
    alignment: Tensor  # (B, T, S) scores of the head; row t is about the token *read* at t


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


class Encoder(nn.Module):
    """Bidirectional LSTM over embedded source tokens."""

    def __init__(self, pieces: int, sizes: config.Model) -> None:
        super().__init__()
        self.embedding = nn.Embedding(pieces, sizes.source_embedding)
        self.dropout = EmbeddingDropout(sizes)
        self.lstm = nn.LSTM(
            sizes.source_embedding,
            sizes.encoder,
            sizes.encoder_layers,
            batch_first=True,
            bidirectional=True,
            dropout=sizes.dropout if sizes.encoder_layers > 1 else 0.0,
        )
        self.bridge = nn.Linear(2 * sizes.encoder, sizes.decoder + sizes.decoder_top)

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """source (B, S), lengths (B,) -> embedded (B, S, E), states (B, S, M), start (B, D + U)."""
        embedded = self.embedding(source)  # (B, S, E)
        packed = pack_padded_sequence(
            self.dropout(embedded), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        out, (last, _) = self.lstm(packed)  # last (2 L, B, M/2): where each direction ended
        states, _ = pad_packed_sequence(out, batch_first=True, total_length=source.shape[1])
        start = torch.tanh(self.bridge(torch.cat([last[-2], last[-1]], dim=-1)))  # (B, D + U)
        return embedded, states, start


class Decoder(nn.Module):
    """GRU over embedded target tokens, attention over the memory, and a GRU over both."""

    def __init__(self, pieces: int, sizes: config.Model) -> None:
        super().__init__()
        memory = 2 * sizes.encoder
        self.embedding = nn.Embedding(pieces, sizes.target_embedding)
        self.dropout = EmbeddingDropout(sizes)
        self.feature_dropout = nn.Dropout(sizes.dropout)
        self.gru = nn.GRU(sizes.target_embedding, sizes.decoder, batch_first=True)
        self.attention = GeneralAttention(sizes.decoder, memory)
        self.top: nn.GRU | None = None
        if sizes.decoder_top:
            self.top = nn.GRU(memory + sizes.decoder, sizes.decoder_top, batch_first=True)
        width = memory + sizes.decoder + sizes.decoder_top
        self.combine = nn.Linear(width, sizes.target_embedding, bias=False)
        self.size = sizes.decoder
        self.bias = nn.Parameter(torch.zeros(pieces))

    def forward(
        self, embedded: Tensor, state: Tensor, memory: Memory
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Run over given target tokens; shapes in the order of the return.

        embedded (B, T, E), state (B, D + U)
        -> states (B, T, D), features (B, T, E), cross (B, T, S), last state (B, D + U)
        """
        lower, upper = state[:, : self.size], state[:, self.size :]
        states, last = self.gru(self.dropout(embedded), lower[None].contiguous())
        context, cross = self.attention(states, memory.states, memory.mask)
        known = torch.cat([context, states], dim=-1)  # (B, T, M + D)
        if self.top is not None:
            above, last_above = self.top(self.feature_dropout(known), upper[None].contiguous())
            known = torch.cat([known, above], dim=-1)  # (B, T, M + D + U)
            last = torch.cat([last, last_above], dim=-1)
        features = torch.tanh(self.combine(known))
        return states, self.feature_dropout(features), cross, last.squeeze(0)

    def logits(self, features: Tensor) -> Tensor:
        """features (..., E) -> logits (..., V)."""
        return nn.functional.linear(features, self.embedding.weight, self.bias)


class Seq2Seq(nn.Module):
    """Encoder, decoder and alignment head."""

    def __init__(self, source_pieces: int, target_pieces: int, sizes: config.Model) -> None:
        super().__init__()
        self.sizes = sizes
        self.encoder = Encoder(source_pieces, sizes)
        self.decoder = Decoder(target_pieces, sizes)
        self.head = AlignmentHead(
            decoder=sizes.decoder,
            memory=2 * sizes.encoder,
            source=sizes.source_embedding,
            target=sizes.target_embedding,
            size=sizes.alignment_head,
        )
        for embedding in (self.encoder.embedding, self.decoder.embedding):
            nn.init.normal_(embedding.weight, std=sizes.embedding_std)

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """source (B, S) padded at the end, lengths (B,) -> Memory."""
        embedded, states, start = self.encoder(source, lengths)
        mask = torch.arange(source.shape[1], device=source.device) < lengths.unsqueeze(1)
        return Memory(states, self.head.keys(states, embedded), mask, start)

    def forward(self, source: Tensor, lengths: Tensor, target_in: Tensor) -> Output:
        """source (B, S), lengths (B,), target_in (B, T) from `<s>` on -> Output."""
        memory = self.encode(source, lengths)
        embedded = self.decoder.embedding(target_in)  # (B, T, E)
        states, features, cross, _ = self.decoder(embedded, memory.start, memory)
        return Output(features, cross, self.head.scores(states, embedded, memory.keys))

    def step(
        self, token: Tensor, state: Tensor, memory: Memory
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One step of decoding: read `token`, say what may follow.

        token (B,), state (B, D + U)
        -> logits (B, V), cross row (B, S), alignment row of `token` (B, S), state (B, D + U)
        """
        embedded = self.decoder.embedding(token).unsqueeze(1)  # (B, 1, E)
        states, features, cross, state = self.decoder(embedded, state, memory)
        aligned = masked_softmax(self.head.scores(states, embedded, memory.keys), memory.mask)
        return self.decoder.logits(features[:, 0]), cross[:, 0], aligned[:, 0], state
