"""From log-probabilities to tokens: greedy and forced decoding; numpy, no session.

A search owns what is known of one sentence's hypotheses. Each step it is shown the rows of
the batch that are its own, and says which token each row reads next and from which row it
goes on. Attention rows are kept as they come and picked along the winning path at the end.
Beam search is in `beam.py`, what is shown and kept in `hypotheses.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from service.guard import begin, best
from service.hypotheses import Chosen, Floats, Node, Outputs, Path, Source, Trail, whole_path


class Search(Protocol):
    """One sentence's hypotheses, step by step."""

    tokens: list[int]
    paths: list[Path] | None

    @property
    def beams(self) -> int:
        """Rows of the batch that the search occupies."""
        ...

    @property
    def candidates(self) -> int:
        """How many of the best tokens of a row it must be shown; 0: only the best."""
        ...

    def advance(self, outputs: Outputs, rows: Sequence[int]) -> list[int] | None:
        """Take a step; return the row each goes on from, None where each goes on from itself.

        Sets `tokens`, one to read next a row, or `paths` when the search is over.
        """
        ...

    def chosen(self) -> Chosen | None:
        """What the last step has settled for good, if anything, for those who watch."""
        ...

    def forget(self) -> None:
        """Let go of what the steps said of the whole batch; `paths` stay. Nothing comes after."""
        ...


class Greedy:
    """The best token at every step; the beam of one without its bookkeeping."""

    beams = 1
    candidates = 0

    def __init__(self, source: Source, limit: int) -> None:
        self.tokens = [source.bos]
        self.paths: list[Path] | None = None
        self._trail = Trail(source)
        self._limit = limit
        self._last: Node | None = None
        self._written = begin(source)

    def advance(self, outputs: Outputs, rows: Sequence[int]) -> list[int] | None:
        """Take the argmax; a hypothesis cut by length needs one step more to be read."""
        row, source = rows[0], self._trail.source
        self._trail.steps.append(outputs.attention)
        left = self._limit - len(self._trail.steps) + 1
        if self._last is not None and left < 1:
            self.paths = [self._trail.path(self._last, False, row)]
            return None
        token, score, self._written = best(
            self._written, outputs.scores[row], outputs.best[row], source, left
        )
        self._last = Node(token, score, self._last, row)
        self.tokens = [token]
        if token == source.eos:
            self.paths = [self._trail.path(self._last, True)]
        return None

    def chosen(self) -> Chosen | None:
        """The token of the last step; none in the step that only reads the last one."""
        if self._last is None or len(self._trail.steps) > self._limit:
            return None
        return self._trail.chosen(self._last)

    def forget(self) -> None:
        """Let go of what the steps said."""
        self._trail.steps.clear()


class Forced:
    """A given target: its log-probabilities and its attention, token by token or at once."""

    beams = 1
    candidates = 0

    def __init__(self, source: Source, target: Sequence[int]) -> None:
        self.tokens = [source.bos]
        self.paths: list[Path] | None = None
        self._trail = Trail(source)
        self._target = [*target, source.eos]
        self._last: Node | None = None

    def advance(self, outputs: Outputs, rows: Sequence[int]) -> list[int] | None:
        """Score the next given token and read it."""
        row, token = rows[0], self._target[len(self._trail.steps)]
        self._trail.steps.append(outputs.attention)
        self._last = Node(token, float(outputs.scores[row, token]), self._last, row)
        self.tokens = [token]
        if len(self._trail.steps) == len(self._target):
            self.paths = [self._trail.path(self._last, True)]
        return None

    @property
    def target(self) -> Sequence[int]:
        """The given tokens, `</s>` last."""
        return self._target

    def settle(self, scores: Floats, attention: Mapping[str, Floats]) -> list[Path]:
        """Take all steps at once, and return the paths; shapes as in `whole_path`."""
        self.paths = [whole_path(self._trail.source, self._target, scores, attention)]
        return self.paths

    def chosen(self) -> Chosen | None:
        """The token that was scored last."""
        return None if self._last is None else self._trail.chosen(self._last)

    def forget(self) -> None:
        """Let go of what the steps said."""
        self._trail.steps.clear()
