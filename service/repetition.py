"""A guard against hypotheses that run in circles; integers only.

A decoder that has lost its thread writes the same few tokens again and again until the
length limit cuts it. Here a block of up to `LONGEST` tokens may follow itself only so many
times: three times more often than any block of the source does, so that "ha ha ha ha ha"
and a row of dashes can be translated as they stand.
"""

from collections.abc import Collection
from typing import NamedTuple

LONGEST = 8
MORE_THAN_SOURCE = 3
NONE = (0,) * LONGEST


class Loops(NamedTuple):
    """The end of a hypothesis: its last tokens, and for how long it has repeated itself.

    `runs[p - 1]` counts the last tokens that equal the token p places before them.
    """

    last: tuple[int, ...] = ()
    runs: tuple[int, ...] = NONE

    def after(self, token: int) -> "Loops":
        """The same hypothesis with one token more."""
        last = self.last
        if token not in last:
            return Loops((*last[1 - LONGEST :], token))
        known = len(last)
        runs = tuple(
            run + 1 if period <= known and last[known - period] == token else 0
            for period, run in enumerate(self.runs, 1)
        )
        return Loops((*last, token)[-LONGEST:], runs)

    @property
    def copies(self) -> int:
        """How many times the last block stands there, one after the other; at least 1."""
        if self.runs is NONE:
            return 1
        return max(run // period for period, run in enumerate(self.runs, 1)) + 1


def allowed(source: Collection[int]) -> int:
    """How many copies a translation of these tokens may end in."""
    loops, most = Loops(), 1
    if len(set(source)) == len(source):
        return most + MORE_THAN_SOURCE  # as nearly always
    for token in source:
        loops = loops.after(token)
        most = max(most, loops.copies)
    return most + MORE_THAN_SOURCE
