"""What a search is shown, what it remembers, and the finished hypotheses it hands out.

An attention of delay d that stands in the outputs of step i is about the token chosen at
step i - d: cross-attention (0) chose the token of its own step, the alignment head (1)
has just read the token of the step before. Rows belong to the hypotheses *before* the
step reorders them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

UNGUARDED = 1 << 30


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a decoder step says of all R rows of the batch.

    scores (R, V) are log-probabilities; best (R) their argmax; attention maps a kind to (R, S), or
    (R, N, S) of one with N heads. top_scores and top_tokens (R, K) are the K best of each row,
    best first and the lower token first where two are equal; without beams on board they are
    empty. `broken` are the rows whose best score or attention is no number. What searches read
    one by one are lists: an array takes several times longer to give a number.
    """

    scores: Floats
    best: list[int]
    attention: Mapping[str, Floats]
    top_scores: list[list[float]]
    top_tokens: list[list[int]]
    broken: frozenset[int]

    @classmethod
    def of(
        cls, scores: Floats, attention: Mapping[str, Floats], top_scores: Floats, top_tokens: Ints
    ) -> "Outputs":
        """Return what the arrays of a step say; shapes as above."""
        best = scores.argmax(axis=1)
        finite = np.isfinite(scores[np.arange(len(scores)), best])
        for rows in attention.values():
            # int8 turns what is no number into one, so that scores may look well where attention
            # does not. The first weight tells: all on real tokens were divided by their sum.
            finite &= np.isfinite(rows[..., 0].reshape(len(rows), -1).sum(axis=1))
        broken = frozenset(np.flatnonzero(~finite).tolist())
        tops = top_scores.tolist(), top_tokens.tolist()
        return cls(scores, best.tolist(), attention, *tops, broken)


def mean(scores: Floats) -> float:
    """Return the mean of log-probabilities (T,), 0 of none."""
    return float(scores.mean(dtype=np.float64)) if len(scores) else 0.0


@dataclass(frozen=True, slots=True)
class Path:
    """A finished hypothesis: T tokens, their log-probabilities (T,), attentions (T, S).

    An attention of several heads is (T, N, S). The tokens end with `</s>` unless the
    hypothesis was cut at its length limit.
    """

    tokens: tuple[int, ...]
    scores: Floats
    attention: Mapping[str, Floats]
    finished: bool

    @property
    def score(self) -> float:
        """Mean log-probability of the tokens, `</s>` included."""
        return mean(self.scores)

    def cut(self) -> "Path":
        """Return it without its `</s>`, as if it had been cut at a limit."""
        attention = {kind: rows[:-1] for kind, rows in self.attention.items()}
        return Path(self.tokens[:-1], self.scores[:-1], attention, False)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A token as soon as it is chosen, and the attention rows (S,) or (N, S) that came with it.

    A row of delay 1 is about the token before, so none comes with the first.
    """

    step: int
    token: int
    score: float
    attention: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Source:
    """What a search knows of its sentence: S source tokens with `</s>` last, and delays.

    A hypothesis may end in `copies` copies of the same few tokens; one more is refused. Of the
    tokens in `stand_ins` it holds exactly those in `owed`, those `in_turn` in the order in which
    they are owed, and all of them before one that is `closing`. `gap` is a token that sets what
    follows apart: it stands between one that is `joining` and one that is `joined`, if either is a
    stand-in, and, in scripts with `spaces`, before one that comes late. It holds none that are
    `banned`, and ends where one that is `ending` would end it, or in one that is `asking`.
    """

    length: int
    eos: int
    bos: int
    delays: Mapping[str, int]
    copies: int = UNGUARDED
    owed: tuple[int, ...] = ()
    stand_ins: frozenset[int] = frozenset()
    in_turn: frozenset[int] = frozenset()
    closing: frozenset[int] = frozenset()
    gap: int | None = None
    spaces: bool = False
    joining: frozenset[int] = frozenset()
    joined: frozenset[int] = frozenset()
    banned: frozenset[int] = frozenset()
    ending: frozenset[int] = frozenset()
    asking: frozenset[int] = frozenset()


def whole_path(
    source: Source, tokens: Sequence[int], scores: Floats, attention: Mapping[str, Floats]
) -> Path:
    """Return the finished path of T tokens, of what all their steps gave at once.

    scores (T,) are theirs; attention maps a kind to the rows of all steps, (T, W) or (T, N, W)
    over a source that is padded to W.
    """
    matrices = {}
    for kind, delay in source.delays.items():
        rows = attention[kind][..., : source.length]
        matrix = np.zeros(rows.shape, np.float32)
        matrix[: len(tokens) - delay] = rows[delay:]
        matrix[len(tokens) - delay :, ..., -1] = 1.0  # as in `Trail`
        matrices[kind] = matrix
    return Path(tuple(tokens), scores.copy(), matrices, True)


@dataclass(slots=True)
class Node:
    """One chosen token, and the hypothesis it extends."""

    token: int
    score: float
    before: "Node | None"
    row: int  # row of the step's outputs that it was chosen from

    def chain(self) -> "list[Node]":
        """Return the whole hypothesis, its first token first."""
        nodes, node = [self], self.before
        while node is not None:
            nodes.append(node)
            node = node.before
        nodes.reverse()
        return nodes

    def scores(self) -> Floats:
        """Return the log-probabilities of the whole hypothesis, (T,)."""
        return np.array([one.score for one in self.chain()], np.float32)


class Trail:
    """The attention outputs of every step, and paths read off them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.steps: list[Mapping[str, Floats]] = []

    def path(self, node: Node, finished: bool, last_row: int | None = None) -> Path:
        """Return a hypothesis and its attentions; `last_row` is where its last token was read."""
        nodes = node.chain()
        rows = [n.row for n in nodes] + ([] if last_row is None else [last_row])
        attention = {kind: self._matrix(kind, rows, len(nodes)) for kind in self.source.delays}
        scores = np.array([n.score for n in nodes], np.float32)
        return Path(tuple(n.token for n in nodes), scores, attention, finished)

    def chosen(self, node: Node) -> Chosen:
        """Tell the last token of a lone hypothesis, and what the last step attended to."""
        step = len(self.steps) - 1
        length = self.source.length
        rows = {
            kind: self.steps[-1][kind][node.row, ..., :length].copy()
            for kind, delay in self.source.delays.items()
            if delay <= step
        }
        return Chosen(step, node.token, node.score, rows)

    def _matrix(self, kind: str, rows: list[int], length: int) -> Floats:
        delay = self.source.delays[kind]
        width = self.source.length
        heads = self.steps[0][kind].shape[1:-1]
        matrix = np.zeros((length, *heads, width), np.float32)
        read = min(length, len(rows) - delay)
        for index in range(read):
            matrix[index] = self.steps[index + delay][kind][rows[index + delay], ..., :width]
        matrix[read:, ..., -1] = 1.0  # `</s>` is about the source's `</s>`, by definition
        return matrix
