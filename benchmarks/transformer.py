"""The Transformer that the peers run: no more parameters than the shipped bundle."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """Layers, width, heads, inner width of the feed-forward part, and pieces of either side."""

    encoder_layers: int
    decoder_layers: int
    size: int
    heads: int
    inner: int
    pieces: int


def small(pieces: int) -> Shape:
    """Return six encoder and two decoder layers of 256: deep encoder, shallow decoder."""
    return Shape(6, 2, 256, 4, 1024, pieces)
