"""Runs a bundle's graphs; home of every shape. On another device, `device_runner` does.

    source ids -> encode() -> memory and first state of each sentence
    tokens, state, memory -> step() -> log-probabilities, attention rows, next state
    log-probabilities -> top() -> the best few of each row
    given targets, memory, first state -> force() -> what all their steps say, at once

Shapes: B rows, S source tokens (padded to the manifest's multiple), T target tokens, V target
pieces. One runner serves all worker threads: a session runs outside the interpreter lock.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract import Contract
from service.device import HOST, Array, Device, Session
from service.errors import StepFailed
from service.forced_graph import forced_graph
from service.manifest import Model
from service.slots import AnySlots, Held, Slots

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

TOP = ("top_scores", "top_tokens")


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the encoder says of one sentence: memory (S, ...) and first decoder state (...).

    It is `broken` where not all of that are numbers.
    """

    memory: Mapping[str, Array]
    state: Mapping[str, Array]
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Stepped:
    """What one decoder step says.

    scores (B, V) are log-probabilities, attention rows (B, S), or (B, N, S) of N heads, state
    (B, ...) as the slots of the runner hold it.
    """

    scores: Floats
    attention: Mapping[str, Floats]
    state: Held


@dataclass(frozen=True, slots=True)
class Scored:
    """What all steps of one given target say.

    scores (T,) are the log-probabilities of its tokens, attention rows (T, S), or (T, N, S) of
    N heads.
    """

    scores: Floats
    attention: Mapping[str, Floats]


class Runner:
    """The sessions of one bundle; `pieces` is how many target pieces they know."""

    _forced: Session | None = None

    def __init__(self, read: Callable[[str], bytes], model: Model, device: Device = HOST) -> None:
        self.model = model
        self._encoder_outputs = [*model.memory, *(state.start for state in model.state)]
        self._decoder_outputs = [
            "log_probabilities",
            *(attention.output for attention in model.attention),
            *(state.output for state in model.state),
        ]
        inputs = ["token", *model.memory, *(state.input for state in model.state)]
        contract = Contract(model)

        def opened(
            role: str, takes: Sequence[str], gives: Sequence[str], device: Device
        ) -> Session:
            file = model.graph(role).file
            session = device.open(read(file), file)
            contract.check(role, session, takes, gives)
            return session

        self._encoder = opened("encoder", ["source", "lengths"], self._encoder_outputs, device)
        self._decoder = opened("decoder", inputs, self._decoder_outputs, device)
        self._candidates = opened("candidates", ["log_probabilities", "count"], TOP, HOST)
        contract.check_state()
        self.pieces = contract.width("decoder", "log_probabilities")
        if graph := forced_graph(model):
            names = [tensor.name for tensor in graph.inputs]
            self._first = [state.input for state in model.state if state.input in names]
            self._forced_outputs = self._decoder_outputs[: 1 + len(model.attention)]
            self._forced = opened("forced", names, self._forced_outputs, device)

    @property
    def forces(self) -> bool:
        """Whether the bundle has a graph that reads a given target at once."""
        return self._forced is not None

    def slots(self, capacity: int) -> AnySlots:
        """Return slots for up to `capacity` decoder rows; they hold what `step` takes."""
        return Slots(capacity, self.model.growing)

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
        out = self._encoder.run(self._encoder_outputs, feeds)
        broken = _broken(out.values()).tolist()
        return [
            self._encoded(out, row, self.width(len(source)), broken[row])
            for row, source in enumerate(sources)
        ]

    def _encoded(self, out: Mapping[str, Array], row: int, width: int, broken: bool) -> Encoded:
        memory = {name: out[name][row, :width] for name in self.model.memory}
        state = {state.input: out[state.start][row] for state in self.model.state}
        return Encoded(memory, state, broken)

    def step(self, tokens: Sequence[int], memory: Held, state: Held) -> Stepped:
        """Read one token a row, (B,), and say what may follow; raises `StepFailed`."""
        feeds = {"token": np.array(tokens, np.int64), **memory, **state}
        out = self._decoder.run(self._decoder_outputs, feeds)
        return self._stepped(out, out)

    def _stepped(self, out: Mapping[str, Any], kept: Held) -> Stepped:
        return Stepped(
            out["log_probabilities"],
            {attention.kind: out[attention.output] for attention in self.model.attention},
            {state.input: kept[state.output] for state in self.model.state},
        )

    def force(self, encoded: Sequence[Encoded], targets: Sequence[Sequence[int]]) -> list[Scored]:
        """Read whole targets, ids with `</s>` last; raises `StepFailed`. Only if it `forces`."""
        assert self._forced is not None
        shape = len(targets), max(len(target) for target in targets)
        following = np.full(shape, self.model.special.pad, np.int64)
        for row, target in enumerate(targets):
            following[row, : len(target)] = target
        tokens = np.roll(following, 1, axis=1)
        tokens[:, 0] = self.model.special.bos
        memory = {
            name: _stacked([one.memory[name] for one in encoded]) for name in self.model.memory
        }
        state = {name: np.stack([one.state[name] for one in encoded]) for name in self._first}
        lengths = np.array([len(target) for target in targets], np.int64)
        given = {"tokens": tokens, "following": following, "lengths": lengths}
        feeds = {**given, **memory, **state}
        out = self._forced.run(self._forced_outputs, feeds)
        if any(out[name].shape[:2] != shape for name in self._forced_outputs):
            raise StepFailed("the model failed: the graph for given targets has lost some")
        return [self._scored(out, row, len(target)) for row, target in enumerate(targets)]

    def _scored(self, out: Mapping[str, Any], row: int, length: int) -> Scored:
        rows = {one.kind: out[one.output][row, :length] for one in self.model.attention}
        return Scored(out["log_probabilities"][row, :length], rows)

    def top(self, scores: Floats, count: int) -> tuple[Floats, Ints]:
        """Return the `count` best of each row and their tokens, both (B, K), best first.

        Of equal ones the lower token comes first. K is V where `count` is more.
        """
        if not count:
            return np.empty((len(scores), 0), np.float32), np.empty((len(scores), 0), np.int64)
        most = np.array([min(count, scores.shape[1])], np.int64)
        out = self._candidates.run(list(TOP), {"log_probabilities": scores, "count": most})
        return out["top_scores"], out["top_tokens"].astype(np.int64, copy=False)


def _broken(arrays: Iterable[Array]) -> NDArray[np.bool_]:
    """Return (B,), in which rows of arrays (B, ...) something is no number."""
    sums = [one.reshape(len(one), -1).sum(axis=1) for one in arrays]
    return np.asarray(np.isnan(sums).any(axis=0))


def _stacked(parts: Sequence[Array]) -> Array:
    """Return parts (S', ...) of different S' as one array (B, S, ...), zero where they end."""
    width = max(len(part) for part in parts)
    stacked = np.zeros((len(parts), width, *parts[0].shape[1:]), parts[0].dtype)
    for row, part in enumerate(parts):
        stacked[row, : len(part)] = part
    return stacked
