"""What a hypothesis may write next: nothing in endless circles, and every stand-in that it owes.

A stand-in of the source (see `service.keeping`) must come over exactly as often as the source
has it. So one that is not owed is never written, and a sentence does not end before the last
one is: what the model thinks best of those still owed comes, after a space, in the place of
`</s>` or of the sentence's final mark, and in any case before the length limit leaves no room.
Nor is a sentence that asks answered by one that states: other final marks than its own are banned.
A label, which has none, ends where the model would write one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from service.hypotheses import UNGUARDED, Floats, Source
from service.repetition import Loops

ENDS_FROM = -5.5
"""From which log-probability of `</s>` on a banned mark is the end, and no abbreviation's."""


class Written(NamedTuple):
    """What counts of a hypothesis: how it repeats itself, and the stand-ins that it owes.

    It is `spaced` if it owes some and has just set apart what comes now.
    """

    loops: Loops
    owed: tuple[int, ...]
    spaced: bool = False

    def after(self, token: int, source: Source) -> "Written | None":
        """Return the same hypothesis with one token more; None where it may not follow."""
        if token in source.banned:
            return None
        owed, is_guarded = self.owed, source.copies != UNGUARDED
        if token in source.stand_ins:
            if token not in self._payable(source):
                return None
            at = owed.index(token)  # no circle, however often: each is paid once
            loops = self.loops.after(token) if is_guarded else self.loops
            return Written(loops, owed[:at] + owed[at + 1 :])
        if owed and token == source.eos:
            return None
        spaced = bool(owed) and token == source.space
        if not is_guarded:
            return self if spaced == self.spaced else Written(self.loops, owed, spaced)
        loops = self.loops.after(token)
        return Written(loops, owed, spaced) if loops.copies <= source.copies else None

    def must_pay(self, token: int, left: int, source: Source) -> bool:
        """Whether what is owed has to come now in the place of a token."""
        if not self.owed:
            return False
        is_last = token == source.eos or token in source.closing
        return is_last or self.spaced or left <= len(self.owed)

    def payment(self, scores: Floats, left: int, source: Source) -> int:
        """Return the stand-in owed that is the likeliest by the scores (V,) of a step.

        Before it comes a space, if there is room.
        """
        if source.space is not None and not self.spaced and left > len(self.owed):
            return source.space
        return max(self._payable(source), key=lambda token: (float(scores[token]), -token))

    def _payable(self, source: Source) -> list[int]:
        """Return which of what is owed may come next."""
        waiting = [token for token in self.owed if token in source.in_turn]
        return [token for token in self.owed if token not in waiting or token == waiting[0]]


class Next(NamedTuple):
    """A token, its log-probability, and the hypothesis that it extends."""

    token: int
    score: float
    written: Written


def begin(source: Source) -> Written:
    """Return a hypothesis of no token yet."""
    return Written(Loops(), source.owed)


def ends(token: int, scores: Floats, source: Source) -> bool:
    """Whether `</s>` comes in the place of a mark, whose log-probability it takes over."""
    if not source.is_label or token not in source.banned:
        return False
    return float(scores[source.eos]) >= ENDS_FROM


def best(written: Written, scores: Floats, first: int, source: Source, left: int) -> Next:
    """Return the likeliest token that may follow, which is `first` if it may; scores (V,).

    `left` is how many tokens there is room for.
    """
    if not written.owed and (usual := written.after(first, source)) is not None:
        return Next(first, float(scores[first]), usual)
    for token in _likeliest(scores, first):
        score = float(scores[token])
        if ends(token, scores, source):
            token = source.eos
        if written.must_pay(token, left, source):
            token = written.payment(scores, left, source)
            score = float(scores[token])
        after = written.after(token, source)
        if after is not None:
            return Next(token, score, after)
    last = Written(written.loops.after(first), written.owed)
    return Next(first, float(scores[first]), last)


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
