"""Beam search with n-best lists; numpy, no session."""

from collections.abc import Sequence
from math import inf

from service.guard import Written, begin, best, instead
from service.hypotheses import Chosen, Node, Outputs, Path, Source, Trail, mean

Extension = tuple[int, int, float, bool]
"""Of a beam, a token, the total log-probability, and whether a stand-in is due behind it."""


class Beam:
    """Beam search; hypotheses rank by total log-probability / length ** `length_penalty`.

    With the default of 1 that is the mean log-probability, the score returned; 0 ranks by
    the total and so favours short hypotheses.

    Each step the 2k best extensions are looked at: an `</s>` among the first k of those that may
    follow finishes a hypothesis, the k best others go on. The search is over when k have finished,
    or at the limit; hypotheses cut there are given only if none has finished.
    """

    def __init__(
        self, source: Source, limit: int, size: int, n_best: int, length_penalty: float = 1.0
    ) -> None:
        self.tokens = [source.bos] * size
        self.paths: list[Path] | None = None
        self._trail = Trail(source)
        self._limit, self._size, self._n_best = limit, size, n_best
        self._length_penalty = length_penalty
        self._nodes: list[Node | None] = [None] * size
        self._written = [begin(source)] * size
        self._totals = [0.0] + [-inf] * (size - 1)
        self._finished: list[Node] = []

    @property
    def beams(self) -> int:
        """Rows of the batch that the search occupies."""
        return self._size

    @property
    def candidates(self) -> int:
        """How many of the best tokens of a row it must be shown."""
        return 2 * self._size

    def chosen(self) -> Chosen | None:
        """Nothing is settled before the end."""
        return None

    def forget(self) -> None:
        """Let go of what the steps said."""
        self._trail.steps.clear()

    def advance(self, outputs: Outputs, rows: Sequence[int]) -> list[int] | None:
        """Extend every hypothesis, keep the best, and say which row each goes on from."""
        self._trail.steps.append(outputs.attention)
        if len(self._trail.steps) > self._limit:
            self._end(rows)
            return None
        kept: list[tuple[int, Node, Written]] = []
        source, rank = self._trail.source, 0
        for beam, token, total, due in self._extensions(outputs, rows):
            written = self._written[beam].after(token, source, due)
            if written is None:
                continue
            node = Node(token, total - self._totals[beam], self._nodes[beam], rows[beam])
            if token != source.eos:
                kept.append((beam, node, written))
            elif rank < self._size:
                self._finished.append(node)
            rank += 1
            if len(kept) == self._size:
                break  # what comes now neither goes on nor counts as an end
        if source.stand_ins or not kept:
            self._keep_foremost(kept, outputs, rows)
        if len(self._finished) >= self._size or not kept:
            self._end(rows)
            return None
        return self._continue(kept, rows)

    @property
    def _room(self) -> int:
        """How many tokens there is room for, with that of this step."""
        return self._limit - len(self._trail.steps) + 1

    def _keep_foremost(
        self, kept: list[tuple[int, Node, Written]], outputs: Outputs, rows: Sequence[int]
    ) -> None:
        """Keep the hypothesis that owes least, or end it: a beam could shun stand-ins for good.

        The idea of Post and Vilar (2018), with a single bank.
        """
        alive = [beam for beam in range(self._size) if self._totals[beam] > -inf]
        beam = min(alive, key=lambda one: (len(self._written[one].owed), -self._totals[one]))
        row, source = rows[beam], self._trail.source
        token, score, written = best(
            self._written[beam], outputs.scores[row], outputs.best[row], source, self._room
        )
        if any(len(other.owed) <= len(written.owed) for _, _, other in kept):
            return
        node = Node(token, score, self._nodes[beam], row)
        if token == source.eos:
            if all(_tokens(node) != _tokens(other) for other in self._finished):
                self._finished.append(node)
            return
        del kept[self._size - 1 :]
        kept.append((beam, node, written))

    def _extensions(self, outputs: Outputs, rows: Sequence[int]) -> list[Extension]:
        """Return the 2k best, best first."""
        wide = 2 * self._size
        lost = [
            (-total - score, token, beam)
            for beam, (row, total) in enumerate(zip(rows, self._totals, strict=True))
            if total > -inf
            for score, token in zip(
                outputs.top_scores[row][:wide], outputs.top_tokens[row], strict=False
            )
            if score > -inf
        ]
        lost.sort()
        found = [(beam, token, -loss, False) for loss, token, beam in lost[:wide]]
        source = self._trail.source
        return self._mended(found, outputs, rows) if source.owed or source.ending else found

    def _mended(
        self, found: list[Extension], outputs: Outputs, rows: Sequence[int]
    ) -> list[Extension]:
        """End where a label's mark would come, and go on with what is owed; best first."""
        extensions: dict[tuple[int, int], tuple[float, bool]] = {}
        source, room = self._trail.source, self._room
        for beam, token, *_ in found:
            scores = outputs.scores[rows[beam]]
            token, score, due = instead(self._written[beam], token, scores, source, room)
            total, was_due = extensions.get((beam, token), (self._totals[beam] + score, due))
            extensions[beam, token] = total, due and was_due
        best_first = sorted(extensions.items(), key=lambda one: (-one[1][0], one[0][1]))
        return [(beam, token, total, due) for (beam, token), (total, due) in best_first]

    def _continue(self, kept: list[tuple[int, Node, Written]], rows: Sequence[int]) -> list[int]:
        missing = self._size - len(kept)
        totals = [self._totals[beam] + node.score for beam, node, _ in kept]
        kept = kept + kept[:1] * missing
        self._nodes = [node for _, node, _ in kept]
        self._written = [written for _, _, written in kept]
        self._totals = totals + [-inf] * missing
        self.tokens = [node.token for _, node, _ in kept]
        return [rows[beam] for beam, _, _ in kept]

    def _end(self, rows: Sequence[int]) -> None:
        ends: list[tuple[Node, int | None]] = [(node, None) for node in self._finished]
        if not ends:
            open_nodes = zip(self._nodes, self._totals, rows, strict=True)
            ends = [(n, row) for n, total, row in open_nodes if n is not None and total > -inf]
        ends.sort(key=lambda end: self._rank(end[0]))
        self.paths = [
            self._trail.path(node, row is None, row) for node, row in ends[: self._n_best]
        ]

    def _rank(self, node: Node) -> float:
        scores = node.scores()
        length = len(scores)
        return float(-mean(scores) * length / length**self._length_penalty)


def _tokens(node: Node) -> list[int]:
    return [one.token for one in node.chain()]
