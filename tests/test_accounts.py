"""Accounts and charges: what is reserved, what is paid in the end, and what is refused."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.accounts import Account, Charge, Ledger, next_month
from service.demand import Demand
from service.errors import (
    AnswerUnread,
    Cancelled,
    DeadlineExceeded,
    QueueFull,
    QuotaExceeded,
    RateLimited,
    StepFailed,
    TooManyTokens,
)
from service.keys import Key, Spent, Standing, Terms

MONTH = "2027-01"


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Clock:
    def __init__(self) -> None:
        self.now = at("2027-01-31T23:00:00")

    def __call__(self) -> float:
        return self.now


class Till:
    """An account with a ledger and a clock of its own."""

    def __init__(self, rate: int | None = None, quota: int | None = None) -> None:
        self.clock = Clock()
        self.ledger = Ledger()
        key = Key(1, "00000000", "app", Terms(rate=rate, quota=quota), 0.0, None, b"")
        self.account = Account(key, self.ledger, self.clock)
        self.account.adopt(Standing(), MONTH)

    def charge(self, characters: int = 10) -> Charge:
        return Charge(lambda demand: None, self.account, characters)

    def spent(self) -> Spent:
        (spent,) = self.ledger.of(1)
        return spent


def demand(work: int) -> Demand:
    return Demand(tokens=1, rows=1, work=work, cells=0)


def serve(till: Till, error: BaseException) -> None:
    """A request that reserves 80, does 20, and fails."""
    with till.charge() as charge:
        charge.begin(demand(80))
        charge.spend(20)
        raise error


@pytest.mark.parametrize(
    ("now", "begins"),
    [("2027-01-31T23:59:59", "2027-02-01"), ("2027-12-01T00:00:00", "2028-01-01")],
)
def test_the_month_after_begins_at_midnight_in_utc(now: str, begins: str) -> None:
    assert next_month(at(now)).isoformat() == f"{begins}T00:00:00+00:00"


def test_the_work_that_was_done_is_paid_and_the_rest_comes_back() -> None:
    till = Till(rate=100, quota=50)
    with till.charge() as charge:
        charge.begin(demand(80))
        assert till.account.standing() == '"work";r=20;t=48, "characters";r=40;t=3600'
        charge.spend(10)
        charge.spend(20)
    assert till.account.standing() == '"work";r=70;t=18, "characters";r=40;t=3600'
    assert till.spent() == Spent(1, MONTH, 10, 30, 1, 30)


def test_more_work_than_was_reserved_is_paid_too() -> None:
    till = Till(rate=100)
    with till.charge() as charge:
        charge.begin(demand(80))
        charge.spend(150)
    assert till.spent().taken == 150
    with pytest.raises(RateLimited) as caught, till.charge() as charge:
        charge.begin(demand(10))
    assert caught.value.retry_after == 36
    assert caught.value.detail == {"work": 10, "left": 0, "limit": 100, "seconds": 36.0}
    till.clock.now += 36
    with till.charge() as charge:
        charge.begin(demand(10))


@pytest.mark.parametrize(
    "error",
    [Cancelled("gone"), DeadlineExceeded("late"), AnswerUnread("slow"), GeneratorExit()],
)
def test_who_leaves_pays_for_what_was_decoded(error: BaseException) -> None:
    till = Till(rate=100, quota=50)
    with pytest.raises(type(error)):
        serve(till, error)
    assert till.spent() == Spent(1, MONTH, characters=3, work=20, requests=1, taken=20)


def test_a_cancelled_task_pays_for_what_was_decoded() -> None:
    till = Till(rate=100)

    async def serve() -> None:
        with till.charge() as charge:
            charge.begin(demand(80))
            charge.spend(20)
            await asyncio.Event().wait()

    async def leave() -> None:
        task = asyncio.create_task(serve())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(leave())
    assert till.spent().taken == 20


@pytest.mark.parametrize("error", [StepFailed("failed"), QueueFull("full"), KeyError("a bug")])
def test_what_fails_by_our_fault_costs_nothing(error: Exception) -> None:
    till = Till(rate=100, quota=50)
    with pytest.raises(type(error)):
        serve(till, error)
    assert till.spent() == Spent(1, MONTH, characters=0, work=0, requests=1, taken=0)


def test_a_quota_is_kept_to_the_character_and_begins_anew_each_month() -> None:
    till = Till(quota=20)
    for _ in range(2):
        with till.charge(10) as charge:
            charge.begin(demand(1))
    with pytest.raises(QuotaExceeded) as caught, till.charge(1) as charge:
        charge.begin(demand(1))
    assert caught.value.retry_after == 3600
    again = "2027-02-01T00:00:00+00:00"
    assert caught.value.detail == {"characters": 1, "left": 0, "limit": 20, "resets": again}
    with till.charge(0) as charge:
        charge.begin(demand(0))
    till.clock.now += 3600
    with till.charge(20) as charge:
        charge.begin(demand(1))
    assert {one.month: one.characters for one in till.ledger.of(1)} == {MONTH: 20, "2027-02": 20}


def test_a_clock_that_jumps_ahead_and_back_gives_no_quota_anew() -> None:
    till = Till(quota=20)
    till.account.reserve(20, 1)
    till.clock.now += 30 * 86_400
    assert till.account.standing().startswith('"characters";r=20;')
    till.account.adopt(Standing(), "2027-03")
    till.clock.now -= 30 * 86_400
    assert till.account.standing() == '"characters";r=0;t=3600'
    with pytest.raises(QuotaExceeded):
        till.account.reserve(1, 1)


def test_a_request_over_midnight_is_of_the_month_in_which_it_began() -> None:
    till = Till(quota=20)
    charge = till.charge(20)
    charge.begin(demand(10))
    till.clock.now += 3600
    assert till.account.standing() == '"characters";r=20;t=2419200'
    charge.close(Cancelled("gone"))
    assert till.account.standing() == '"characters";r=20;t=2419200'
    assert [(one.month, one.characters) for one in till.ledger.of(1)] == [(MONTH, 0)]


def test_nothing_is_set_aside_for_what_is_refused() -> None:
    till = Till(rate=10, quota=10)
    with pytest.raises(QuotaExceeded), till.charge(11) as charge:
        charge.begin(demand(5))
    till.account.reserve(1, 10)
    with pytest.raises(RateLimited), till.charge(1) as charge:
        charge.begin(demand(5))
    assert till.spent() == Spent(1, MONTH, characters=1, requests=1, taken=10)


def test_who_has_nothing_left_is_refused_before_anything_is_known() -> None:
    till = Till(rate=100, quota=50)
    spent = till.charge(50)
    spent.check(demand(0))
    with pytest.raises(QuotaExceeded):
        till.charge(51).check(demand(0))
    spent.begin(demand(99))
    till.charge(0).check(demand(5))  # there is something left; how much it takes is to be seen
    till.account.reserve(0, 1)
    with pytest.raises(QuotaExceeded):
        till.charge(1).check(demand(0))
    till.charge(0).check(demand(0))
    till.account.key = replace(till.account.key, terms=Terms(rate=100))
    with pytest.raises(RateLimited) as caught:
        till.charge(20).check(demand(0))
    assert caught.value.retry_after == 8  # of about 12 tokens, at 100 a minute
    assert till.spent() == Spent(1, MONTH, characters=50, requests=2, taken=100)


def test_a_limit_of_the_machine_comes_first() -> None:
    till = Till(rate=10, quota=1)

    def refuse(demand: Demand) -> None:
        raise TooManyTokens("too many")

    with pytest.raises(TooManyTokens), Charge(refuse, till.account, 99) as charge:
        charge.begin(demand(5))
    assert till.ledger.empty() == []


def test_without_an_account_nobody_pays() -> None:
    with Charge(lambda demand: None, None, 99) as charge:
        charge.begin(demand(5))
        charge.spend(5)


def test_a_key_without_bounds_has_no_headers_and_is_counted_all_the_same() -> None:
    till = Till()
    assert till.account.policy() == till.account.standing() == ""
    with till.charge() as charge:
        charge.begin(demand(10**9))
        charge.spend(7)
    assert till.spent().work == 7


def test_what_the_file_says_is_taken_over_and_what_it_does_not_know_yet_adds_to_it() -> None:
    till = Till(rate=60, quota=100)
    till.account.reserve(10, 20)
    till.account.adopt(Standing(characters=50, level=50.0, at=till.clock.now - 5), MONTH)
    assert till.account.standing() == '"work";r=35;t=25, "characters";r=40;t=3600'
    till.ledger.empty()
    till.account.adopt(Standing(characters=60, level=35.0, at=till.clock.now), MONTH)
    assert till.account.standing() == '"work";r=35;t=25, "characters";r=40;t=3600'


def test_a_policy_is_a_structured_field() -> None:
    policy = Till(rate=60, quota=100).account.policy()
    assert policy == '"work";q=60;qu="tokens";w=60, "characters";q=100;qu="characters"'


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 300), st.integers(0, 300), st.floats(0, 5)),
        max_size=30,
    )
)
def test_the_ledger_tells_what_the_account_lost(
    requests: list[tuple[int, int, int, float]],
) -> None:
    till = Till(rate=100, quota=200)
    allowed = 0
    for characters, expected, work, pause in requests:
        try:
            with till.charge(characters) as charge:
                charge.begin(demand(expected))
                charge.spend(work)
        except (QuotaExceeded, RateLimited):
            pass
        else:
            allowed += characters
        till.clock.now += pause
    spent = [one for one in till.ledger.of(1) if one.month == MONTH]
    assert sum(one.characters for one in spent) == allowed <= 200
    assert f'"characters";r={200 - allowed};' in till.account.standing()
