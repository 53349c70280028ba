"""What a hypothesis may write next: nothing in endless circles, and every stand-in that it owes.

A stand-in of the source (see `service.keeping`) must come over exactly as often as the source
has it. So one that is not owed is never written, and a sentence does not end before the last
one is: what the model thinks best of those still owed comes, after a space, in the place of
`</s>` or of the sentence's final mark, and in any case before the length limit leaves no room.
Nor is a sentence that asks answered by one that states: other final marks than its own are banned.
A label, which has none, ends where the model would write one, unless that is an abbreviation's, or
in a question mark, where that is likelier than one that states.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from service.hypotheses import UNGUARDED, Floats, Source
from service.repetition import Loops

ENDS_FROM = -5.5
"""From which log-probability of `</s>` on a mark is the end, and no abbreviation's."""

ASKS_FROM = -3.0
"""From which log-probability of a question mark at its end a label asks, if it does not state."""

NEAR = 3
"""A mark so soon after another is an abbreviation's, as in a.m."""


class Written(NamedTuple):
    """What counts of a hypothesis: how it repeats itself, and the stand-ins that it owes.

    Its `last` token counts if that is a stand-in, or some are owed; one of these is `due` now if
    room was made for it.
    """

    loops: Loops
    owed: tuple[int, ...]
    last: int | None = None
    due: bool = False

    def after(self, token: int, source: Source, due: bool = False) -> "Written | None":
        """Return the same hypothesis with one token more; None where it may not follow."""
        if token in source.banned:
            return None
        is_guarded = source.copies != UNGUARDED
        if token in source.stand_ins:
            if token not in self._payable(source):
                return None
            at = self.owed.index(token)  # no circle, however often: each is paid once
            loops = self.loops.after(token) if is_guarded else self.loops
            return Written(loops, self.owed[:at] + self.owed[at + 1 :], token)
        if self.owed and token == source.eos:
            return None
        loops = self.loops.after(token) if is_guarded else self.loops
        if is_guarded and loops.copies > source.copies:
            return None
        if not self.owed:
            return Written(loops, ())
        return Written(loops, self.owed, token, due)

    def must_pay(self, token: int, left: int, source: Source) -> bool:
        """Whether what is owed has to come now in the place of a token."""
        if not self.owed:
            return False
        is_last = token == source.eos or token in source.closing
        return is_last or self.due or left <= len(self.owed)

    def payment(self, scores: Floats, left: int, source: Source) -> int:
        """Return the stand-in owed that is the likeliest by the scores (V,) of a step.

        Before it comes a gap in scripts with spaces, if there is room.
        """
        if source.spaces and self.last != source.gap and left > len(self.owed):
            assert source.gap is not None
            return source.gap
        return max(self._payable(source), key=lambda token: (float(scores[token]), -token))

    def joins(self, token: int, source: Source) -> bool:
        """Whether a stand-in and what it stands close to would be read as one word."""
        if self.last not in source.joining or token not in source.joined:
            return False
        return token in source.stand_ins or self.last in source.stand_ins

    def _payable(self, source: Source) -> list[int]:
        """Return which of what is owed may come next."""
        waiting = [token for token in self.owed if token in source.in_turn]
        return [token for token in self.owed if token not in waiting or token == waiting[0]]


class Instead(NamedTuple):
    """A token, its log-probability, and whether a stand-in is due behind it."""

    token: int
    score: float
    due: bool


class Next(NamedTuple):
    """A token, its log-probability, and the hypothesis that it extends."""

    token: int
    score: float
    written: Written


def begin(source: Source) -> Written:
    """Return a hypothesis of no token yet."""
    return Written(Loops(), source.owed)


def instead(written: Written, token: int, scores: Floats, source: Source, left: int) -> Instead:
    """Return what comes in the place of a token, often itself, and the log-probability it has.

    That of a label's end is that of the mark which it replaces; scores are of a step, (V,).
    """
    score, due = float(scores[token]), False
    if token in source.ending and float(scores[source.eos]) >= ENDS_FROM:
        *before, last = (None, *written.loops.last[-NEAR:])
        if last in source.ending or source.ending.isdisjoint(before):
            token = source.eos
    may_ask = token == source.eos and not written.owed and left > 1
    if may_ask and (mark := _asked(written, scores, source)) is not None:
        token, score = mark, float(scores[mark])
    if written.must_pay(token, left, source):
        token = written.payment(scores, left, source)
        score, due = float(scores[token]), token == source.gap
    if source.gap is not None and left > len(written.owed) and written.joins(token, source):
        return Instead(source.gap, float(scores[source.gap]), token in source.stand_ins)
    return Instead(token, score, due)


def _asked(written: Written, scores: Floats, source: Source) -> int | None:
    """Return the question mark that a label is to end in; None if it has one, or does not ask."""
    if not source.asking or not source.asking.isdisjoint(written.loops.last):
        return None
    mark = max(source.asking, key=lambda token: (float(scores[token]), -token))
    others = max((float(scores[token]) for token in source.ending), default=-np.inf)
    return mark if scores[mark] >= ASKS_FROM and scores[mark] > others else None


def best(written: Written, scores: Floats, first: int, source: Source, left: int) -> Next:
    """Return the likeliest token that may follow, which is `first` if it may; scores (V,).

    `left` is how many tokens there is room for.
    """
    is_usual = not written.owed and written.last is None and first not in source.ending
    is_usual = is_usual and (first != source.eos or not source.asking)
    if is_usual and (usual := written.after(first, source)) is not None:
        return Next(first, float(scores[first]), usual)
    for token in _likeliest(scores, first):
        token, score, due = instead(written, token, scores, source, left)
        after = written.after(token, source, due)
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
