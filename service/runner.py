"""Runs a bundle's graphs; the only importer of ONNX Runtime, and home of every shape.

    source ids -> encode() -> memory and first state of each sentence
    tokens, state, memory -> step() -> log-probabilities, attention rows, next state
    log-probabilities -> top() -> the best few of each row

Shapes: B rows, S source tokens (padded to the manifest's multiple), V target pieces. One
runner serves all worker threads: a session runs outside the interpreter lock.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.bundle import Model
from service.errors import DamagedBundle, StepFailed

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # the library reports its use otherwise
import onnxruntime

Array = NDArray[np.generic]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

TOP = ("top_scores", "top_tokens")


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the encoder says of one sentence: memory (S, ...) and first decoder state (...)."""

    memory: Mapping[str, Array]
    state: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Stepped:
    """What one decoder step says.

    scores (B, V) are log-probabilities, attention rows (B, S), state (B, ...).
    """

    scores: Floats
    attention: Mapping[str, Floats]
    state: Mapping[str, Array]


class Runner:
    """The encoder and decoder sessions of one bundle."""

    def __init__(self, path: Callable[[str], Path], model: Model, threads: int = 1) -> None:
        self.model = model
        self._encoder = _session(path(model.graph("encoder").file), threads)
        self._decoder = _session(path(model.graph("decoder").file), threads)
        self._candidates = _session(path(model.graph("candidates").file), threads)
        self._encoder_outputs = [*model.memory, *(state.start for state in model.state)]
        self._decoder_outputs = [
            "log_probabilities",
            *(attention.output for attention in model.attention),
            *(state.output for state in model.state),
        ]
        _check_names(self._encoder, ["source", "lengths"], self._encoder_outputs)
        inputs = ["token", *model.memory, *(state.input for state in model.state)]
        _check_names(self._decoder, inputs, self._decoder_outputs)
        _check_names(self._candidates, ["log_probabilities", "count"], list(TOP))

    def width(self, length: int) -> int:
        """Return the padded width of a source of `length` tokens, `</s>` included."""
        multiple = self.model.limits.source_multiple
        return -(-length // multiple) * multiple

    def encode(self, sources: Sequence[Sequence[int]]) -> list[Encoded]:
        """Encode sentences, ids with `</s>` last; raises `StepFailed`."""
        lengths = np.array([len(source) for source in sources], np.int64)
        width = self.width(int(lengths.max()))
        padded = np.full((len(sources), width), self.model.special.pad, np.int64)
        for row, source in enumerate(sources):
            padded[row, : len(source)] = source
        feeds = {"source": padded, "lengths": lengths}
        out = _run(self._encoder, self._encoder_outputs, feeds)
        return [self._encoded(out, row, self.width(len(s))) for row, s in enumerate(sources)]

    def _encoded(self, out: Mapping[str, Array], row: int, width: int) -> Encoded:
        memory = {name: out[name][row, :width] for name in self.model.memory}
        return Encoded(memory, {state.input: out[state.start][row] for state in self.model.state})

    def step(
        self, tokens: Sequence[int], memory: Mapping[str, Array], state: Mapping[str, Array]
    ) -> Stepped:
        """Read one token a row, (B,), and say what may follow; raises `StepFailed`."""
        feeds = {"token": np.array(tokens, np.int64), **memory, **state}
        out = _run(self._decoder, self._decoder_outputs, feeds)
        return Stepped(
            out["log_probabilities"],
            {attention.kind: out[attention.output] for attention in self.model.attention},
            {state.input: out[state.output] for state in self.model.state},
        )

    def top(self, scores: Floats, count: int) -> tuple[Floats, Ints]:
        """Return the `count` best of each row and their tokens, both (B, K), best first.

        Of equal ones the lower token comes first. K is V where `count` is more.
        """
        if not count:
            return np.empty((len(scores), 0), np.float32), np.empty((len(scores), 0), np.int64)
        most = np.array([min(count, scores.shape[1])], np.int64)
        out = _run(self._candidates, list(TOP), {"log_probabilities": scores, "count": most})
        return out["top_scores"], out["top_tokens"].astype(np.int64, copy=False)


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library raises bare types of its own
        raise DamagedBundle(f"{path.name} cannot be loaded: {error}") from error


def _check_names(
    session: onnxruntime.InferenceSession, inputs: list[str], outputs: list[str]
) -> None:
    has = {node.name for node in session.get_inputs()} | {n.name for n in session.get_outputs()}
    missing = [name for name in (*inputs, *outputs) if name not in has]
    if missing:
        raise DamagedBundle(f"the graph has no tensor {missing[0]!r}")


def _run(
    session: onnxruntime.InferenceSession, outputs: list[str], feeds: Mapping[str, Array]
) -> dict[str, Floats]:
    try:
        values = session.run(outputs, dict(feeds))
    except Exception as error:  # the library raises bare types of its own
        raise StepFailed(f"the model failed: {error}") from error
    return dict(zip(outputs, values, strict=True))
