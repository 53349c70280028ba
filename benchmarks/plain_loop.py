"""The shipped graphs in a plain loop: encode a batch, step until all are done, next batch.

What one writes first: one session on all cores, batches that are closed, numpy.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks import ours
from benchmarks.sessions import Array, Session
from service.bundle import Bundle

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

SCORES = "log_probabilities"


class PlainLoop:
    """Static batches on ONNX Runtime."""

    def __init__(self, bundle: Bundle, threads: int) -> None:
        self._model = bundle.manifest.model
        encoder, decoder = (
            bundle.path(self._model.graph(role).file) for role in ("encoder", "decoder")
        )
        self._encoder = Session(encoder.read_bytes(), threads)
        self._decoder = Session(decoder.read_bytes(), threads)
        self._attention = [attention.output for attention in self._model.attention]

    def fixed(self, sources: Sequence[Sequence[int]], length: int, beam: int) -> None:
        """Decode exactly `length` tokens of every source, ids with `</s>` last."""
        if beam > 1:
            self._beam(sources, length, beam)
            return
        tokens, scores, rows = self._greedy(sources, np.full(len(sources), length), stop=False)
        assert tokens.shape == scores.shape == (len(sources), length)
        assert len(rows) == length

    def greedy(self, sources: Sequence[Sequence[int]], batch: int) -> int:
        """Decode until `</s>` in batches by order of arrival; return how many tokens."""
        most, total = self._model.limits.target_tokens, 0
        for start in range(0, len(sources), batch):
            part = sources[start : start + batch]
            limits = np.array([ours.limit(len(source), most) for source in part])
            tokens, _, _ = self._greedy(part, limits, stop=True)
            ends = tokens == self._model.special.eos
            lengths = np.where(ends.any(axis=1), ends.argmax(axis=1) + 1, limits)
            total += int(lengths.sum())
        return total

    def _greedy(
        self, sources: Sequence[Sequence[int]], limits: Ints, stop: bool
    ) -> tuple[Ints, Floats, list[list[Floats]]]:
        """Return tokens (B, T), log-probabilities (B, T) and attention of every step."""
        feeds = self.encode(sources)
        rows = np.arange(len(sources))
        token: Ints = np.full(len(rows), self._model.special.bos)
        done = np.zeros(len(rows), bool)
        tokens, scores, attention = [], [], []
        for step in range(int(limits.max())):
            out = self._step(token, feeds)
            token = out[SCORES].argmax(axis=1)
            tokens.append(token)
            scores.append(out[SCORES][rows, token])
            attention.append([out[name] for name in self._attention])
            done |= (token == self._model.special.eos) | (step + 1 >= limits)
            if stop and done.all():
                break
        return np.stack(tokens, axis=1), np.stack(scores, axis=1), attention

    def _beam(self, sources: Sequence[Sequence[int]], length: int, beam: int) -> Ints:
        """Return the hypotheses (B, beam, T), with attention carried along and dropped."""
        count = len(sources)
        feeds = {k: np.repeat(v, beam, axis=0) for k, v in self.encode(sources).items()}
        token: Ints = np.full(count * beam, self._model.special.bos)
        totals = np.full((count, beam), -np.inf, np.float32)
        totals[:, 0] = 0.0
        tokens = np.zeros((count * beam, 0), np.int64)
        attention: list[Array] = []  # (rows, T, S) of every kind
        for _ in range(length):
            out = self._step(token, feeds)
            scores = totals[:, :, None] + out[SCORES].reshape(count, beam, -1)
            flat = scores.reshape(count, -1)
            best = np.argpartition(flat, -beam, axis=1)[:, -beam:]
            totals = np.take_along_axis(flat, best, axis=1)
            origin, piece = np.divmod(best, scores.shape[2])
            parents = (origin + np.arange(count)[:, None] * beam).ravel()
            token = piece.ravel()
            tokens = np.concatenate([tokens[parents], token[:, None]], axis=1)
            for state in self._model.state:
                feeds[state.input] = feeds[state.input][parents]
            new = [out[name][:, None] for name in self._attention]
            joined = zip(attention or [part[:, :0] for part in new], new, strict=True)
            attention = [np.concatenate([old, part], axis=1)[parents] for old, part in joined]
        return tokens.reshape(count, beam, length)

    def encode(self, sources: Sequence[Sequence[int]]) -> dict[str, Array]:
        """Return what every step reads, memory and first state: (B, ...) by name."""
        multiple = self._model.limits.source_multiple
        lengths = np.array([len(source) for source in sources])
        width = -(-int(lengths.max()) // multiple) * multiple
        padded = np.full((len(sources), width), self._model.special.pad)
        for row, source in enumerate(sources):
            padded[row, : len(source)] = source
        out = self._encoder.run(self._encoder.outputs, {"source": padded, "lengths": lengths})
        memory = {name: out[name] for name in self._model.memory}
        return memory | {state.input: out[state.start] for state in self._model.state}

    def _step(self, token: Ints, feeds: dict[str, Array]) -> Mapping[str, Floats]:
        """Run the decoder on `feeds` and put the new state into them."""
        out = self._decoder.run(self._decoder.outputs, {"token": token, **feeds})
        for state in self._model.state:
            feeds[state.input] = out[state.output]
        return {name: array.astype(np.float32, copy=False) for name, array in out.items()}
