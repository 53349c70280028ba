"""Pairs whose target is given, and which of them are read at once in the next call.

    pairs.add(Given(sequence, search))  # it is encoded
    batch = pairs.next_batch()          # the one that waits longest, and some of about its length
    rest = steps_after(batch)           # how many steps have their turn before the next call

Plain data, no thread, no tensor. A call takes no rows of the running batch, but the batch waits
while it runs. So a call is bounded, and while others are on board they make as many steps
between two calls as a full batch would have needed for the same tokens.
"""

from collections.abc import Collection
from dataclasses import dataclass

from service.search import Forced
from service.waiting import Sequence

FORCE_TOKENS = 128
"""Padded target tokens in a call of several pairs; more gain nothing."""

LONGEST = 256
"""Tokens of a target that is read in one call, alone if need be; a longer one goes step by step.

This bounds how long a call takes, and its memory: a number for every position and every piece
of the vocabulary.
"""

PADDING = 1 / 3
"""Largest share of padding in a call of several pairs."""

TOKENS_A_STEP = 32
"""Padded target tokens of a call that make up for a step of those on board."""


@dataclass(frozen=True, slots=True)
class Given:
    """A sequence whose target is given."""

    sequence: Sequence
    search: Forced

    @property
    def length(self) -> int:
        """Tokens of the target, `</s>` included."""
        return len(self.search.target)


class Pairs:
    """The pairs of one lane of one worker that are encoded and wait for a call."""

    def __init__(self, token_budget: int) -> None:
        self.token_budget = token_budget  # padded source tokens in a call
        self._waiting: list[Given] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, pair: Given) -> None:
        """Let a pair wait; nothing longer than `LONGEST`."""
        assert pair.length <= LONGEST
        self._waiting.append(pair)

    def next_batch(self) -> list[Given]:
        """Take out the pair that waits longest, and of the others those nearest to its length."""
        if not self._waiting:
            return []
        first, *others = self._waiting
        others.sort(key=lambda one: abs(one.length - first.length))
        batch = [first]
        for one in others:
            if not self._fit([*batch, one]):
                break
            batch.append(one)
        self.withdraw([one.sequence for one in batch])
        return batch

    def withdraw(self, dropped: Collection[Sequence]) -> None:
        """Take pairs out, if they are here."""
        gone = {sequence.key for sequence in dropped}
        self._waiting = [one for one in self._waiting if one.sequence.key not in gone]

    def _fit(self, batch: Collection[Given]) -> bool:
        tokens = padded(batch)
        if tokens > FORCE_TOKENS or sum(one.length for one in batch) < (1 - PADDING) * tokens:
            return False
        return len(batch) * max(one.sequence.width for one in batch) <= self.token_budget


def padded(batch: Collection[Given]) -> int:
    """Return the padded target tokens of a call."""
    return len(batch) * max((one.length for one in batch), default=0)


def steps_after(batch: Collection[Given]) -> int:
    """Return how many steps those on board make before the next call."""
    return padded(batch) // TOKENS_A_STEP
