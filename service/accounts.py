"""What each key may still use, and what one request pays; no file, no HTTP.

A request reserves what it is expected to take before its work starts, and settles when it is
over: it pays for the work that was done. So a client that leaves, or does not read its stream, pays
for what was decoded until then, and one whose request failed by a fault of the server pays nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from service.bucket import MINUTE, Bucket
from service.demand import Demand
from service.errors import (
    AnswerUnread,
    Cancelled,
    DeadlineExceeded,
    QuotaExceeded,
    RateLimited,
)
from service.keys import Key, Spent, Standing, month_of

USUAL_WORK = 0.6
"""What a character usually takes, in tokens, before anybody has counted."""

_OF_THE_CLIENT = (AnswerUnread, Cancelled, DeadlineExceeded)
"""Failures that are no fault of the server: work was done, and not waited for or not read."""


def next_month(now: float) -> datetime:
    """When the month after a time in seconds since 1970 begins, in UTC."""
    at = datetime.fromtimestamp(now, UTC)
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)
    return datetime(year, month, 1, tzinfo=UTC)


class Ledger:
    """What was spent since it was emptied last, by key and month."""

    def __init__(self) -> None:
        self._spent: dict[tuple[int, str], Spent] = {}

    def add(self, spent: Spent) -> None:
        """Note what was spent; negative numbers take back."""
        before = self._spent.get((spent.key, spent.month), Spent(spent.key, spent.month))
        self._spent[spent.key, spent.month] = Spent(
            spent.key,
            spent.month,
            before.characters + spent.characters,
            before.work + spent.work,
            before.requests + spent.requests,
            before.taken + spent.taken,
        )

    def empty(self) -> list[Spent]:
        """Return what was noted, and forget it."""
        spent, self._spent = list(self._spent.values()), {}
        return spent

    def of(self, key: int) -> list[Spent]:
        """Return what was noted of a key."""
        return [one for one in self._spent.values() if one.key == key]


@dataclass(frozen=True, slots=True)
class Reservation:
    """What was set aside for a request."""

    month: str
    characters: int
    work: int


class Account:
    """What a key may still use, as far as this server knows."""

    def __init__(self, key: Key, ledger: Ledger, clock: Callable[[], float]) -> None:
        self.key = key
        self._ledger = ledger
        self._clock = clock
        self._used: dict[str, int] = {}
        """Characters by month, for a clock that was wrong may go back to one that was used."""
        self._bucket: Bucket | None = None

    def adopt(self, standing: Standing, month: str) -> None:
        """Take over what the file says of a month; what is not written down yet adds to it."""
        pending = self._ledger.of(self.key.id)
        here = sum(one.characters for one in pending if one.month == month)
        self._used[month] = standing.characters + here
        rate = self.key.terms.rate
        if rate is not None:
            now = self._clock()
            level, at = (rate, now) if standing.level is None else (standing.level, standing.at)
            self._bucket = Bucket(rate, level, at)
            self._bucket.take(sum(one.taken for one in pending), now)

    def check(self, characters: int) -> None:
        """Raise `QuotaExceeded` or `RateLimited` where a key has nothing left for so much text."""
        now = self._clock()
        self._check_quota(characters, now)
        if self._bucket is not None and self._bucket.wait(1, now):
            self._check_rate(math.ceil(characters * USUAL_WORK), now)

    def reserve(self, characters: int, work: int) -> Reservation:
        """Set aside what a request is expected to take.

        Raises `QuotaExceeded` or `RateLimited`, and then nothing is set aside.
        """
        now = self._clock()
        self._check_quota(characters, now)
        self._check_rate(work, now)
        month = month_of(now)
        self._note(Spent(self.key.id, month, characters, 0, 1, work), now)
        return Reservation(month, characters, work)

    def settle(self, reserved: Reservation, characters: int, work: int) -> None:
        """Let a request pay what it took in the end, more or less than was set aside."""
        now = self._clock()
        more = characters - reserved.characters
        self._note(Spent(self.key.id, reserved.month, more, work, 0, work - reserved.work), now)

    def policy(self) -> str:
        """The header `RateLimit-Policy`, empty for a key without bounds."""
        terms = self.key.terms
        parts = []
        if terms.rate is not None:
            parts.append(f'"work";q={terms.rate};qu="tokens";w={MINUTE:.0f}')
        if terms.quota is not None:
            parts.append(f'"characters";q={terms.quota};qu="characters"')
        return ", ".join(parts)

    def standing(self) -> str:
        """The header `RateLimit`, in the order of the policy."""
        now = self._clock()
        parts = []
        if self._bucket is not None:
            full = math.ceil(self._bucket.full_in(now))
            parts.append(f'"work";r={max(0, math.floor(self._bucket.level))};t={full}')
        if self.key.terms.quota is not None:
            left = max(0, self.key.terms.quota - self._used_by(now))
            parts.append(f'"characters";r={left};t={_seconds_left(now)}')
        return ", ".join(parts)

    def _used_by(self, now: float) -> int:
        """Return the characters of the month of a time."""
        return self._used.get(month_of(now), 0)

    def _check_quota(self, characters: int, now: float) -> None:
        quota = self.key.terms.quota
        if quota is None or (used := self._used_by(now)) + characters <= quota:
            return
        left = max(0, quota - used)
        again = next_month(now).isoformat()
        error = QuotaExceeded(
            f"{characters} characters are more than this key has left until {again}: {left}",
            {"characters": characters, "left": left, "limit": quota, "resets": again},
        )
        error.retry_after = _seconds_left(now)
        raise error

    def _check_rate(self, work: int, now: float) -> None:
        if self._bucket is None:
            return
        wait = self._bucket.wait(work, now)
        if wait == 0.0:
            return
        left = max(0, math.floor(self._bucket.level))
        detail = {"work": work, "left": left, "limit": self._bucket.size, "seconds": round(wait, 1)}
        error = RateLimited(
            f"this takes about {work} tokens of work, and the key has {left} left for now", detail
        )
        error.retry_after = math.ceil(wait)
        raise error

    def _note(self, spent: Spent, now: float) -> None:
        self._ledger.add(spent)
        self._used[spent.month] = self._used.get(spent.month, 0) + spent.characters
        if self._bucket is not None:
            self._bucket.take(spent.taken, now)


class Charge:
    """What one request pays, as a meter for the translator; close it when the request is over.

    `check` may refuse a demand; without an account nobody pays.
    """

    def __init__(
        self,
        check: Callable[[Demand], None],
        account: Account | None,
        characters: int,
    ) -> None:
        self._check = check
        self._account = account
        self._characters = characters
        self._reserved: Reservation | None = None
        self._work = 0

    def check(self, least: Demand) -> None:
        """Check, and no more, since not all is known; raises a `RequestError` to refuse."""
        self._check(least)
        if self._account is not None:
            self._account.check(self._characters)

    def begin(self, demand: Demand) -> None:
        """Check and reserve; raises a `RequestError` to refuse."""
        self._check(demand)
        if self._account is not None:
            assert self._reserved is None
            self._reserved = self._account.reserve(self._characters, demand.work)

    def spend(self, work: int) -> None:
        """Note work that was done."""
        self._work += work

    def close(self, error: BaseException | None = None) -> None:
        """Settle; `error` is what ended the request before its answer was complete."""
        if self._account is None or self._reserved is None:
            return
        reserved, self._reserved = self._reserved, None
        paid = self._paid(reserved, error)
        self._account.settle(reserved, *paid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        self.close(error)

    def _paid(self, reserved: Reservation, error: BaseException | None) -> tuple[int, int]:
        """Return characters and work."""
        if error is None:
            return reserved.characters, self._work
        if isinstance(error, Exception) and not isinstance(error, _OF_THE_CLIENT):
            return 0, 0
        share = min(1.0, self._work / max(1, reserved.work))
        return math.ceil(reserved.characters * share), self._work


def _seconds_left(now: float) -> int:
    return math.ceil(next_month(now).timestamp() - now)
