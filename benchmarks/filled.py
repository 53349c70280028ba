"""A Transformer that this repository trained, as CTranslate2 would serve it.

Its layers go into a `TransformerSpec` one by one. What has no place there is multiplied into
what has: the linear layer behind the embeddings into their table, the one before the tied
output projection into that projection.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_export.decoders import TransformerDecoder
from model_export.encoders import FeedForward, SelfAttention, TransformerEncoder, positions
from model_export.model import Seq2Seq

PLACES = 1024
SPECIAL = ("<blank>", "<unk>", "<s>", "</s>")
"""Names of the first pieces: padding, unknown, start and end."""

Floats = NDArray[np.float32]


def save(model: Seq2Seq, folder: Path) -> None:
    """Save a trained Transformer in float32; CTranslate2 rounds it when it loads it."""
    encoder, decoder = model.encoder, model.decoder
    assert isinstance(encoder, TransformerEncoder)
    assert isinstance(decoder, TransformerDecoder)
    about = model.sizes
    assert about.encoder.heads == about.decoder.heads == about.attention.heads
    spec = ctranslate2.specs.TransformerSpec.from_config(
        (about.encoder.layers, about.decoder.layers), about.encoder.heads, pre_norm=True
    )
    _enter(spec.encoder, spec.encoder.embeddings[0], encoder.embedding, encoder.enter)
    _enter(spec.decoder, spec.decoder.embeddings, decoder.embedding, decoder.enter)
    for filled, layer in zip(spec.encoder.layer, encoder.stack(), strict=True):
        _attention(filled.self_attention, layer.attention_norm, layer.attention)
        _feed(filled.ffn, layer.feed_norm, layer.feed)
    for filled, one in zip(spec.decoder.layer, decoder.stack(), strict=True):
        _attention(filled.self_attention, one.self_norm, one.self_attention)
        _cross(filled.attention, one.cross_norm, one.cross)
        _feed(filled.ffn, one.feed_norm, one.feed)
    _norm(spec.encoder.layer_norm, encoder.norm)
    _norm(spec.decoder.layer_norm, decoder.norm)
    table, leave = decoder.embedding.weight, decoder.leave
    spec.decoder.projection.weight = _array(table @ leave.weight)
    spec.decoder.projection.bias = _array(table @ leave.bias + decoder.bias)
    spec.register_source_vocabulary(names(encoder.embedding.num_embeddings))
    spec.register_target_vocabulary(names(decoder.embedding.num_embeddings))
    spec.validate()
    spec.optimize(quantization=None)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))


def names(pieces: int) -> list[str]:
    """Return the names of pieces by their id."""
    return [*SPECIAL, *(f"t{i}" for i in range(len(SPECIAL), pieces))]


def spell(ids: Sequence[int]) -> list[str]:
    """Return ids as the pieces that the saved model knows."""
    return [SPECIAL[i] if i < len(SPECIAL) else f"t{i}" for i in ids]


def read(pieces: Sequence[str]) -> list[int]:
    """Return pieces of the saved model as ids."""
    return [SPECIAL.index(piece) if piece in SPECIAL else int(piece[1:]) for piece in pieces]


def _enter(side: Any, embeddings: Any, embedding: nn.Embedding, layer: nn.Linear) -> None:
    embeddings.weight = _array(layer(embedding.weight))
    side.scale_embeddings = False
    side.position_encodings.encodings = _array(positions(torch.arange(PLACES), layer.out_features))


def _attention(filled: Any, norm: nn.Module, layer: SelfAttention) -> None:
    _norm(filled.layer_norm, norm)
    _linear(filled.linear[0], layer.query, layer.key, layer.value)
    _linear(filled.linear[1], layer.out)


def _cross(filled: Any, norm: nn.Module, layer: Any) -> None:
    _norm(filled.layer_norm, norm)
    _linear(filled.linear[0], layer.query)
    _linear(filled.linear[1], layer.key, layer.value)
    _linear(filled.linear[2], layer.out)


def _feed(filled: Any, norm: nn.Module, layer: FeedForward) -> None:
    _norm(filled.layer_norm, norm)
    _linear(filled.linear_0, layer.grow)
    _linear(filled.linear_1, layer.shrink)


def _norm(filled: Any, norm: Any) -> None:
    filled.gamma, filled.beta = _array(norm.weight), _array(norm.bias)


def _linear(filled: Any, *layers: nn.Linear) -> None:
    """Fill a layer with others stacked: weight (outputs, inputs) and bias (outputs,)."""
    filled.weight = _array(torch.cat([layer.weight for layer in layers]))
    filled.bias = _array(torch.cat([layer.bias for layer in layers]))


def _array(values: Tensor) -> Floats:
    array: Floats = values.detach().float().numpy()
    return np.ascontiguousarray(array)
