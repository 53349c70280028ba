"""From log-probabilities to tokens: greedy, beam and forced decoding; numpy, no session.

A search owns what is known of one sentence's hypotheses. Each step it is shown the rows of
the batch that are its own, and says which token each row reads next and from which row it
goes on. Attention rows are kept as they come and picked along the winning path at the end.

An attention of delay d that stands in the outputs of step i is about the token chosen at
step i - d: cross-attention (0) chose the token of its own step, the alignment head (1)
has just read the token of the step before. Rows belong to the hypotheses *before* the
step reorders them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a decoder step says of all R rows of the batch.

    logits (R, V); normalizers (R,) are their log-sum-exp; best (R,) their argmax;
    attention maps a kind to (R, S).
    """

    logits: Floats
    normalizers: Floats
    best: Ints
    attention: Mapping[str, Floats]

    @classmethod
    def of(cls, logits: Floats, attention: Mapping[str, Floats]) -> "Outputs":
        """Work out what every search needs of the logits, all rows at once."""
        best = logits.argmax(axis=1)
        top = logits[np.arange(len(logits)), best]
        total = np.exp(logits - top[:, None]).sum(axis=1)
        return cls(logits, top + np.log(total), best, attention)


@dataclass(frozen=True, slots=True)
class Path:
    """A finished hypothesis: T tokens, their log-probabilities (T,), attentions (T, S).

    The tokens end with `</s>` unless the hypothesis was cut at its length limit.
    """

    tokens: tuple[int, ...]
    scores: Floats
    attention: Mapping[str, Floats]
    finished: bool

    @property
    def score(self) -> float:
        """Mean log-probability of the tokens, `</s>` included."""
        return float(self.scores.mean(dtype=np.float64)) if len(self.scores) else 0.0


@dataclass(frozen=True, slots=True)
class Source:
    """What a search knows of its sentence: S source tokens with `</s>` last, and delays."""

    length: int
    eos: int
    bos: int
    delays: Mapping[str, int]


class Search(Protocol):
    """One sentence's hypotheses, step by step."""

    tokens: list[int]
    paths: list[Path] | None

    @property
    def beams(self) -> int:
        """Rows of the batch that the search occupies."""
        ...

    def advance(self, outputs: Outputs, rows: Sequence[int]) -> list[int] | None:
        """Take a step; return the row each goes on from, None where each goes on from itself.

        Sets `tokens`, one to read next a row, or `paths` when the search is over.
        """
        ...


@dataclass(slots=True)
class _Node:
    """One chosen token, and the hypothesis it extends."""

    token: int
    score: float
    before: "_Node | None"
    row: int  # row of the step's outputs that it was chosen from


class _Trail:
    """The attention outputs of every step, and paths read off them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.steps: list[Mapping[str, Floats]] = []

    def path(self, node: _Node, finished: bool, last_row: int | None = None) -> Path:
        """Follow a hypothesis back to its start; `last_row` is where its last token was read."""
        nodes: list[_Node] = []
        step: _Node | None = node
        while step is not None:
            nodes.append(step)
            step = step.before
        nodes.reverse()
        rows = [n.row for n in nodes] + ([] if last_row is None else [last_row])
        attention = {kind: self._matrix(kind, rows, len(nodes)) for kind in self.source.delays}
        scores = np.array([n.score for n in nodes], np.float32)
        return Path(tuple(n.token for n in nodes), scores, attention, finished)

    def _matrix(self, kind: str, rows: list[int], length: int) -> Floats:
        delay = self.source.delays[kind]
        matrix = np.zeros((length, self.source.length), np.float32)
        for index in range(length):
            at = index + delay
            if at < len(rows):
                matrix[index] = self.steps[at][kind][rows[at], : self.source.length]
            else:
                matrix[index, -1] = 1.0  # `</s>` is about the source's `</s>`, by definition
        return matrix


class Greedy:
    """The best token at every step; the beam of one without its bookkeeping."""

    beams = 1

    def __init__(self, source: Source, limit: int) -> None:
        self.tokens = [source.bos]
        self.paths: list[Path] | None = None
        self._trail = _Trail(source)
        self._limit = limit
        self._last: _Node | None = None

    def advance(self, outputs: Outputs, rows: Sequence[int]) -> list[int] | None:
        """Take the argmax; a hypothesis cut by length needs one step more to be read."""
        row = rows[0]
        self._trail.steps.append(outputs.attention)
        if self._last is not None and len(self._trail.steps) > self._limit:
            self.paths = [self._trail.path(self._last, False, row)]
            return None
        token = int(outputs.best[row])
        score = float(outputs.logits[row, token] - outputs.normalizers[row])
        self._last = _Node(token, score, self._last, row)
        self.tokens = [token]
        if token == self._trail.source.eos:
            self.paths = [self._trail.path(self._last, True)]
        return None


class Forced:
    """A given target, token by token: its log-probabilities and its attention."""

    beams = 1

    def __init__(self, source: Source, target: Sequence[int]) -> None:
        self.tokens = [source.bos]
        self.paths: list[Path] | None = None
        self._trail = _Trail(source)
        self._target = [*target, source.eos]
        self._last: _Node | None = None

    def advance(self, outputs: Outputs, rows: Sequence[int]) -> list[int] | None:
        """Score the next given token and read it."""
        row, token = rows[0], self._target[len(self._trail.steps)]
        self._trail.steps.append(outputs.attention)
        score = float(outputs.logits[row, token] - outputs.normalizers[row])
        self._last = _Node(token, score, self._last, row)
        self.tokens = [token]
        if len(self._trail.steps) == len(self._target):
            self.paths = [self._trail.path(self._last, True)]
        return None


class Beam:
    """Beam search; hypotheses rank by their mean log-probability (the score returned).

    Each step the 2k best extensions are looked at: an `</s>` among the first k finishes a
    hypothesis, the k best others go on. The search is over when k have finished, or at the
    limit; hypotheses cut there are given only if none has finished.
    """

    def __init__(self, source: Source, limit: int, size: int, n_best: int) -> None:
        self.tokens = [source.bos] * size
        self.paths: list[Path] | None = None
        self._trail = _Trail(source)
        self._limit, self._size, self._n_best = limit, size, n_best
        self._nodes: list[_Node | None] = [None] * size
        self._totals = np.full(size, -np.inf, np.float64)
        self._totals[0] = 0.0
        self._finished: list[Path] = []

    @property
    def beams(self) -> int:
        """Rows of the batch that the search occupies."""
        return self._size

    def advance(self, outputs: Outputs, rows: Sequence[int]) -> list[int] | None:
        """Extend every hypothesis, keep the best, and say which row each goes on from."""
        self._trail.steps.append(outputs.attention)
        if len(self._trail.steps) > self._limit:
            self._end(rows)
            return None
        kept: list[tuple[int, _Node]] = []
        for rank, (beam, token, total) in enumerate(self._extensions(outputs, rows)):
            node = self._extend(beam, token, total, rows[beam])
            if token == self._trail.source.eos:
                if rank < self._size:
                    self._finished.append(self._trail.path(node, True))
            elif len(kept) < self._size:
                kept.append((beam, node))
        if len(self._finished) >= self._size or not kept:
            self._end(rows)
            return None
        return self._continue(kept, rows)

    def _extend(self, beam: int, token: int, total: float, row: int) -> _Node:
        score = total - float(self._totals[beam])
        return _Node(token, score, self._nodes[beam], row)

    def _extensions(self, outputs: Outputs, rows: Sequence[int]) -> list[tuple[int, int, float]]:
        """Return the 2k best (beam, token, total log-probability), best first."""
        wide = 2 * self._size
        logits = outputs.logits[rows]
        wide = min(wide, logits.shape[1])
        tokens = np.argpartition(logits, -wide, axis=1)[:, -wide:]
        scores = np.take_along_axis(logits, tokens, 1) - outputs.normalizers[rows][:, None]
        totals = (self._totals[:, None] + scores).ravel()
        flat = tokens.ravel()
        order = np.lexsort((flat, -totals))[: 2 * self._size]
        return [
            (int(at) // wide, int(flat[at]), float(totals[at]))
            for at in order
            if totals[at] > -np.inf
        ]

    def _continue(self, kept: list[tuple[int, _Node]], rows: Sequence[int]) -> list[int]:
        parents = [rows[beam] for beam, _ in kept]
        totals = [float(self._totals[beam]) + node.score for beam, node in kept]
        missing = self._size - len(kept)
        nodes = [node for _, node in kept] + [kept[0][1]] * missing
        self._nodes = list(nodes)
        self._totals = np.array(totals + [-np.inf] * missing)
        self.tokens = [node.token for node in nodes]
        return parents + [parents[0]] * missing

    def _end(self, rows: Sequence[int]) -> None:
        paths = self._finished
        if not paths:
            open_nodes = zip(self._nodes, self._totals, rows, strict=True)
            paths = [
                self._trail.path(node, False, row)
                for node, total, row in open_nodes
                if node is not None and total > -np.inf
            ]
        self.paths = sorted(paths, key=lambda path: -path.score)[: self._n_best]
