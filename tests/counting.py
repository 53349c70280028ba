"""A stand-in for a bundle's runner: it says the numbers of the source, and counts."""

import asyncio
import threading
from collections.abc import Mapping, Sequence

import numpy as np

from service.admission import Job
from service.beam import Beam
from service.errors import StepFailed
from service.hypotheses import Source
from service.runner import Encoded, Runner, Scored, Stepped
from service.search import Greedy, Search
from service.slots import Slots

EOS, BOS, PIECES = 0, 1, 8


def about(source: Sequence[int]) -> Source:
    return Source(len(source), EOS, BOS, {"cross": 0})


def job(*numbers: int, beams: int = 1) -> Job:
    """A sentence to translate."""
    source = (*numbers, EOS)
    search: Search = Greedy(about(source), 50)
    return Job(source, Beam(about(source), 50, beams, 1) if beams > 1 else search)


async def wait_for(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 5)


class CountingRunner(Runner):
    """Says the numbers of the source in turn, then `</s>`; can be held, and can fail."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.stepping = threading.Event()
        self.fail_encode = False
        self.fail_step = False
        self.poison: int | None = None
        self.poisoned_attention: int | None = None
        self.poisoned_memory: int | None = None
        self.batches: list[int] = []

    def slots(self, capacity: int) -> Slots:
        return Slots(capacity)

    def width(self, length: int) -> int:
        return -(-length // 4) * 4

    def encode(self, sources: Sequence[Sequence[int]]) -> list[Encoded]:
        if self.fail_encode:
            self.fail_encode = False
            raise StepFailed("encoding failed")
        made = []
        for source in sources:
            memory = np.zeros((self.width(len(source)), 1), np.float32)
            memory[: len(source), 0] = source
            if source[0] == self.poisoned_memory:
                memory[-1] = np.nan
            state = {"state": np.zeros(1, np.float32)}
            made.append(Encoded({"memory": memory}, state, bool(np.isnan(memory).any())))
        return made

    def step(
        self,
        tokens: Sequence[int],
        memory: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
    ) -> Stepped:
        self.stepping.set()
        assert self.gate.wait(10)
        if self.fail_step:
            self.fail_step = False
            raise RuntimeError("out of luck")
        self.batches.append(len(tokens))
        source, at = memory["memory"][:, :, 0], state["state"][:, 0].astype(int)
        rows = np.arange(len(at))
        scores = np.full((len(at), PIECES), -5, np.float32)
        scores[rows, source[rows, at].astype(int)] = -0.5
        if self.poison is not None:
            scores[source[:, 0] == self.poison] = np.nan
        cross = np.eye(source.shape[1], dtype=np.float32)[at]
        if self.poisoned_attention is not None:
            poisoned = source[:, :1] == self.poisoned_attention
            cross[poisoned & (source != 0)] = np.nan  # padding has no weight whatever happens
        return Stepped(scores, {"cross": cross}, {"state": state["state"] + 1})

    def top(self, scores: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        tokens = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(scores, tokens, 1), tokens


class ForcingRunner(CountingRunner):
    """The same, and it reads given targets at once; it writes down what it is asked, in order.

    `asked` holds a number for each step, its rows, and for each call a list, the lengths of its
    targets, which are no longer than their sources.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int | list[int]] = []
        self.fail_force = False

    @property
    def forces(self) -> bool:
        return True

    def step(
        self,
        tokens: Sequence[int],
        memory: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray],
    ) -> Stepped:
        stepped = super().step(tokens, memory, state)
        self.asked.append(len(tokens))
        return stepped

    def force(self, encoded: Sequence[Encoded], targets: Sequence[Sequence[int]]) -> list[Scored]:
        self.stepping.set()
        assert self.gate.wait(10)
        self.asked.append([len(target) for target in targets])
        if self.fail_force:
            self.fail_force = False
            raise RuntimeError("out of luck")
        return [self._force(one, target) for one, target in zip(encoded, targets, strict=True)]

    def _force(self, encoded: Encoded, target: Sequence[int]) -> Scored:
        source = encoded.memory["memory"][:, 0].astype(int)
        cross = np.eye(len(source), dtype=np.float32)[: len(target)]
        said = source[: len(target)]
        scores = np.where(said == np.array(target), -0.5, -5).astype(np.float32)
        if self.poison is not None and source[0] == self.poison:
            scores[:] = np.nan
        if source[0] == self.poisoned_attention:
            cross[0, 0] = np.nan
        return Scored(scores, {"cross": cross})
