"""CTranslate2 on a Transformer no larger than ours, with random weights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from benchmarks.transformer import Shape

START, END, UNKNOWN = "<s>", "</s>", "<unk>"


@dataclass(frozen=True, slots=True)
class Layout:
    """How threads are spread: batches at once, and threads of each."""

    batches: int
    threads: int

    @classmethod
    def best_of(cls, cores: int) -> "list[Layout]":
        """Return the two layouts worth trying: all cores on one batch, a batch a core."""
        return [cls(1, cores), cls(cores, 1)] if cores > 1 else [cls(1, 1)]

    def __str__(self) -> str:
        return f"{self.batches}×{self.threads}"


class CTranslate2:
    """A `ctranslate2.Translator` that decodes a given number of tokens."""

    def __init__(self, folder: Path, compute_type: str, layout: Layout) -> None:
        self._layout = layout
        self._translator: Any = ctranslate2.Translator(
            str(folder),
            device="cpu",
            compute_type=compute_type,
            inter_threads=layout.batches,
            intra_threads=layout.threads,
        )

    def fixed(
        self, sources: Sequence[Sequence[str]], length: int, beam: int, attention: bool
    ) -> None:
        """Decode exactly `length` tokens of every source, pieces with `</s>` last.

        The batch is cut into as many equal parts as can run at once.
        """
        made = self._translator.translate_batch(
            sources,
            max_batch_size=-(-len(sources) // self._layout.batches),
            beam_size=beam,
            min_decoding_length=length,
            max_decoding_length=length,
            return_attention=attention,
        )
        assert all(len(one.hypotheses[0]) == length for one in made)
        assert not attention or len(made[0].attention[0]) == length


def spell(sources: Sequence[Sequence[int]]) -> list[list[str]]:
    """Return sources of ids with `</s>` last as the pieces of `save_model`."""
    return [[*(_piece(token) for token in source[:-1]), END] for source in sources]


def save_model(shape: Shape, folder: Path) -> int:
    """Save a model of random weights in float32; return its number of parameters."""
    spec = ctranslate2.specs.TransformerSpec.from_config(
        (shape.encoder_layers, shape.decoder_layers), shape.heads, pre_norm=True
    )
    _fill(spec, shape)
    names = [START, "<blank>", UNKNOWN, END, *(_piece(i) for i in range(4, shape.pieces))]
    spec.register_source_vocabulary(names)
    spec.register_target_vocabulary(names)
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(str(folder))
    return sum(array.size for array in _arrays(spec))


def _piece(token: int) -> str:
    return f"t{token}"


class _Random:
    """Weights of fitting spread, the same in every run."""

    def __init__(self) -> None:
        self._generator = np.random.default_rng(1)

    def linear(self, spec: Any, outputs: int, inputs: int) -> None:
        """Fill a layer: weight (outputs, inputs) and bias."""
        spec.weight = self.matrix(outputs, inputs)
        spec.bias = np.zeros(outputs, np.float32)

    def norm(self, spec: Any, size: int) -> None:
        """Fill a layer normalisation."""
        spec.gamma, spec.beta = np.ones(size, np.float32), np.zeros(size, np.float32)

    def matrix(self, outputs: int, inputs: int) -> NDArray[np.float32]:
        """Return a matrix (outputs, inputs)."""
        numbers = self._generator.standard_normal((outputs, inputs), np.float32)
        return numbers * np.float32(inputs**-0.5)


def _fill(spec: Any, shape: Shape) -> None:
    numbers, size = _Random(), shape.size
    spec.encoder.embeddings[0].weight = numbers.matrix(shape.pieces, size)
    table = numbers.matrix(shape.pieces, size)
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = table
    spec.decoder.projection.bias = np.zeros(shape.pieces, np.float32)
    for side in (spec.encoder, spec.decoder):
        numbers.norm(side.layer_norm, size)
        for layer in side.layer:
            _fill_attention(layer.self_attention, (3, 1), shape, numbers)
            if hasattr(layer, "attention"):
                _fill_attention(layer.attention, (1, 2, 1), shape, numbers)
            numbers.norm(layer.ffn.layer_norm, size)
            numbers.linear(layer.ffn.linear_0, shape.inner, size)
            numbers.linear(layer.ffn.linear_1, size, shape.inner)


def _fill_attention(spec: Any, widths: Sequence[int], shape: Shape, numbers: _Random) -> None:
    numbers.norm(spec.layer_norm, shape.size)
    for layer, width in zip(spec.linear, widths, strict=True):
        numbers.linear(layer, width * shape.size, shape.size)


def _arrays(spec: Any) -> Iterator[NDArray[np.float32]]:
    """Yield every weight once; a shared one has a name that stands for the other."""
    for variable in spec.variables().values():
        array = variable.numpy() if hasattr(variable, "numpy") else variable
        if isinstance(array, np.ndarray) and array.size > 1:
            yield array
