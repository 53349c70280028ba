"""What a hypothesis may write next: nothing in endless circles, and every stand-in that it owes.

A stand-in of the source (see `service.keeping`) must come over exactly as often as the source
has it. So one that is not owed is never written, and a sentence does not end before the last
one is: what the model thinks best of those still owed comes in the place of `</s>`, and in any
case before the length limit leaves no room for them.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from service.hypotheses import UNGUARDED, Floats, Source
from service.repetition import Loops


class Written(NamedTuple):
    """What counts of a hypothesis: how it repeats itself, and the stand-ins that it owes."""

    loops: Loops
    owed: tuple[int, ...]

    def after(self, token: int, source: Source) -> "Written | None":
        """Return the same hypothesis with one token more; None where it may not follow."""
        owed, is_guarded = self.owed, source.copies != UNGUARDED
        if token in source.stand_ins:
            if token not in owed:
                return None
            at = owed.index(token)  # no circle, however often: each is paid once
            loops = self.loops.after(token) if is_guarded else self.loops
            return Written(loops, owed[:at] + owed[at + 1 :])
        if owed and token == source.eos:
            return None
        if not is_guarded:
            return self
        loops = self.loops.after(token)
        return Written(loops, owed) if loops.copies <= source.copies else None

    def must_pay(self, token: int, left: int, source: Source) -> bool:
        """Whether what is owed has to come now in the place of a token."""
        return bool(self.owed) and (token == source.eos or left <= len(self.owed))

    def best_owed(self, scores: Floats) -> int:
        """Return which of the stand-ins owed is the likeliest by the scores (V,) of a step."""
        return max(self.owed, key=lambda token: (float(scores[token]), -token))


def begin(source: Source) -> Written:
    """Return a hypothesis of no token yet."""
    return Written(Loops(), source.owed)


def best(
    written: Written, scores: Floats, first: int, source: Source, left: int
) -> tuple[int, Written]:
    """Return the likeliest token that may follow, which is `first` if it may; scores (V,).

    `left` is how many tokens there is room for.
    """
    if not written.owed and (usual := written.after(first, source)) is not None:
        return first, usual
    for token in _likeliest(scores, first):
        if written.must_pay(token, left, source):
            token = written.best_owed(scores)
        after = written.after(token, source)
        if after is not None:
            return token, after
    return first, Written(written.loops.after(first), written.owed)


def _likeliest(scores: Floats, first: int) -> Iterator[int]:
    """Yield tokens, likeliest first and the lower first of equal ones, of which `first` is one.

    Few are asked for: each costs a look at all scores, and sorting them would cost hundreds.
    """
    yield first
    left = scores.copy()
    left[first] = -np.inf
    while left[token := int(left.argmax())] > -np.inf:
        yield token
        left[token] = -np.inf
