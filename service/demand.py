"""What a request asks of a model, in numbers, before any of it is done; and who is told.

Work is counted in tokens: those that are encoded, padded as the encoder takes them, and one for
each decoder step of each row. What a translation will take is a guess: half of the steps that it
could take at most, which is rather more than it does. Of a given target it is known.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.manifest import Model
from service.options import Options
from service.units import Unit, UnitPair


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request asks for.

    `tokens` of its texts; `rows` of decoder work, one for each hypothesis; `work` in tokens;
    `cells`, numbers in all matrices of the answer.
    """

    tokens: int
    rows: int
    work: int
    cells: int

    def __add__(self, other: "Demand") -> "Demand":
        """Both together."""
        return Demand(
            self.tokens + other.tokens,
            self.rows + other.rows,
            self.work + other.work,
            self.cells + other.cells,
        )


NOTHING = Demand(0, 0, 0, 0)


class Meter(Protocol):
    """Is told what a request will ask for, and then what it took."""

    def check(self, least: Demand) -> None:
        """Before texts are tokens, what it asks for at least; raises a `RequestError` to refuse."""
        ...

    def begin(self, demand: Demand) -> None:
        """Before any work; raises a `RequestError` to refuse."""
        ...

    def spend(self, work: int) -> None:
        """After work, however it ended, in tokens; once or more often."""
        ...


class Unmetered:
    """Takes everything and notes nothing."""

    def check(self, least: Demand) -> None:
        """Let it go on."""

    def begin(self, demand: Demand) -> None:
        """Let it begin."""

    def spend(self, work: int) -> None:
        """Forget it."""


UNMETERED = Unmetered()


class Estimator:
    """Knows what sentences ask of one model; `width` is how long a source is when padded."""

    def __init__(self, model: Model, width: Callable[[int], int]) -> None:
        self._most = model.limits.target_tokens
        self._heads = {attention.kind: attention.heads for attention in model.attention}
        self._width = width

    def limit(self, length: int, asked: int | None) -> int:
        """Return the most target tokens of a source of `length` tokens, `</s>` included."""
        return min(self._most, 3 * length + 20 if asked is None else asked)

    @staticmethod
    def least(sentences: int, rows: int) -> Demand:
        """Return what sentences of so many rows each ask for at least, whatever they say."""
        return Demand(sentences, sentences * rows, sentences * (1 + rows), 0)

    def translation(
        self, units: Iterable[Unit], options: Options, again: Iterable[Unit] = ()
    ) -> Demand:
        """Return what translating `units` asks for; the attention must be settled.

        Hypotheses of those `again` are read a second time, with their source.
        """
        demand = sum((self._translated(unit, options) for unit in units), NOTHING)
        for unit in again:
            read = self._forced(unit, self._guess(unit, options), options, options.n_best)
            demand += Demand(0, 0, read.work, 0)
        return demand

    def alignment(
        self, pairs: Sequence[Unit | UnitPair], options: Options, passes: int = 1
    ) -> Demand:
        """Return what aligning asks for; a lone source is translated first.

        Each pair is force-decoded `passes` times: in both directions it is twice.
        """
        found = NOTHING
        for pair in pairs:
            if isinstance(pair, Unit):
                made = self._translated(pair, options)
                found += Demand(made.tokens, made.rows, made.work, 0)
                found += self._forced(pair, self._guess(pair, options), options, passes)
            else:
                target = len(pair.target.encoded.ids) + 1
                found += Demand(len(pair.source.encoded.ids) + target - 1, 0, 0, 0)
                found += self._forced(pair.source, target, options, passes)
        return found

    def _translated(self, unit: Unit, options: Options) -> Demand:
        tokens = len(unit.encoded.ids)
        target = self._guess(unit, options)
        work = self._width(tokens + 1) + target * options.beam_size
        cells = target * (tokens + 1) * options.n_best * self._matrices(options)
        return Demand(tokens, options.beam_size, work, cells)

    def _forced(self, source: Unit, target: int, options: Options, passes: int) -> Demand:
        length = len(source.encoded.ids) + 1
        work = (self._width(length) + target) * passes
        return Demand(0, passes, work, target * length * self._matrices(options))

    def _guess(self, unit: Unit, options: Options) -> int:
        length = len(unit.encoded.ids) + 1
        usual = self.limit(length, None)
        return min(self.limit(length, options.max_length), (usual + 1) // 2)

    def _matrices(self, options: Options) -> int:
        if options.attention in (None, "none"):
            return 0
        return 1 + (self._heads[options.attention] if options.heads else 0)
