"""Access: who is known, how soon others' changes are, and what happens to a file in trouble."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from service import access as module
from service.access import Access
from service.accounts import Charge
from service.demand import Demand
from service.errors import KeysError, QuotaExceeded, Unauthorized
from service.keys import KeyStore, Standing, Terms

NOW = 1_800_000_000.0
MONTH = "2027-01"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


@pytest.fixture(autouse=True)
def _synchronised_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SYNC_SECONDS", 3600.0)
    monkeypatch.setattr(module, "PATIENCE", 0.0)


def create(path: Path, name: str = "app", terms: Terms | None = None) -> str:
    with KeyStore(path) as store:
        return store.create(name, terms or Terms(), NOW).secret


def visit(path: Path, *visits: Callable[[Access], Awaitable[None]], now: float = NOW) -> None:
    """Open the file, let each visit happen, and close it."""

    async def stay() -> None:
        access = Access(path, lambda: now)
        await access.open()
        for one in visits:
            await one(access)
        await access.close()

    asyncio.run(stay())


def use(access: Access, secret: str, characters: int) -> None:
    with Charge(lambda demand: None, access.identify(secret), characters) as charge:
        charge.begin(Demand(1, 1, 10, 0))
        charge.spend(10)


def standing(path: Path) -> Standing:
    with KeyStore(path) as store:
        (found,) = store.standings(MONTH).values()
    return found


def test_who_has_a_key_is_known(path: Path) -> None:
    secret = create(path)

    async def ask(access: Access) -> None:
        assert access.identify(secret).key.name == "app"
        for wrong in ("", "il_", secret[:-1], secret[:-1] + "?", "il_00000000" + secret[11:]):
            with pytest.raises(Unauthorized) as caught:
                access.identify(wrong)
            assert caught.value.challenge == 'Bearer realm="interlinea", error="invalid_token"'
        changed = "a" if secret[-1] != "a" else "b"
        with pytest.raises(Unauthorized, match="not known"):
            access.identify(secret[:-1] + changed)

    visit(path, ask)


def test_a_key_works_until_it_expires(path: Path) -> None:
    secret = create(path, terms=Terms(expires=NOW + 60))

    async def may(access: Access) -> None:
        access.identify(secret)

    async def may_not(access: Access) -> None:
        with pytest.raises(Unauthorized, match="expired"):
            access.identify(secret)

    visit(path, may, now=NOW + 59)
    visit(path, may_not, now=NOW + 60)


def test_new_and_revoked_keys_are_known_after_the_next_exchange(path: Path) -> None:
    async def change(access: Access) -> None:
        secret = create(path)
        with pytest.raises(Unauthorized):
            access.identify(secret)
        await access.sync()
        access.identify(secret)
        with KeyStore(path) as store:
            store.revoke("app", NOW)
        access.identify(secret)
        await access.sync()
        with pytest.raises(Unauthorized):
            access.identify(secret)

    visit(path, change)


def test_exchanges_happen_by_themselves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SYNC_SECONDS", 0.0)
    seen = 0

    async def wait(access: Access) -> None:
        exchanged, twice = access.sync, asyncio.Event()

        async def sync() -> None:
            nonlocal seen
            seen += 1
            if seen == 1:
                raise ZeroDivisionError("a fault of ours does not end it")
            await exchanged()
            twice.set()

        monkeypatch.setattr(access, "sync", sync)
        await asyncio.wait_for(twice.wait(), 5)

    visit(path, wait)
    assert seen >= 2


def test_a_quota_holds_across_a_restart(path: Path) -> None:
    secret = create(path, terms=Terms(quota=100, rate=1000))

    async def first(access: Access) -> None:
        use(access, secret, 60)

    async def second(access: Access) -> None:
        with pytest.raises(QuotaExceeded):
            use(access, secret, 41)
        use(access, secret, 40)

    visit(path, first)
    assert standing(path) == Standing(60, 10, 1, 990.0, NOW)
    visit(path, second)
    assert standing(path) == Standing(100, 20, 2, 980.0, NOW)


def test_a_month_that_a_clock_goes_back_to_is_read_again(path: Path) -> None:
    secret = create(path, terms=Terms(quota=100))
    now = NOW

    async def back() -> None:
        nonlocal now
        now += 30 * 86_400
        access = Access(path, lambda: now)
        await access.open()
        use(access, secret, 1)
        await access.sync()
        now = NOW
        await access.sync()
        with pytest.raises(QuotaExceeded):
            use(access, secret, 1)
        await access.close()

    async def fill(access: Access) -> None:
        use(access, secret, 100)

    visit(path, fill)
    asyncio.run(back())
    assert standing(path).characters == 100


def test_servers_that_share_a_file_share_quotas_after_each_exchange(path: Path) -> None:
    secret = create(path, terms=Terms(quota=100))

    async def both(one: Access) -> None:
        other = Access(path, lambda: NOW)
        await other.open()
        use(one, secret, 60)
        await one.sync()
        await other.sync()
        with pytest.raises(QuotaExceeded):
            use(other, secret, 41)
        use(other, secret, 40)
        await other.sync()
        await one.sync()
        with pytest.raises(QuotaExceeded):
            use(one, secret, 1)
        await other.close()

    visit(path, both)
    assert standing(path).characters == 100


def test_a_request_that_began_before_an_exchange_is_settled_after_it(path: Path) -> None:
    secret = create(path, terms=Terms(quota=100, rate=1000))

    async def across(access: Access) -> None:
        with Charge(lambda demand: None, access.identify(secret), 60) as charge:
            charge.begin(Demand(1, 1, 500, 0))
            create(path, "another")
            await access.sync()
            charge.spend(20)
        assert access.identify(secret).standing().startswith('"work";r=980;')

    visit(path, across)
    with KeyStore(path) as store:
        assert store.standings(MONTH)[1] == Standing(60, 20, 1, 980.0, NOW)


def test_while_the_file_is_locked_known_keys_go_on_and_nothing_is_lost(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = create(path, terms=Terms(quota=100))

    async def trouble(access: Access) -> None:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        use(access, secret, 60)
        await access.sync()
        await access.sync()
        access.identify(secret)
        with pytest.raises(Unauthorized):
            access.identify("il_00000000_" + "a" * 43)
        with pytest.raises(QuotaExceeded):
            use(access, secret, 41)
        other.execute("ROLLBACK")
        other.close()
        await access.sync()

    with caplog.at_level(logging.DEBUG):
        visit(path, trouble)
    assert standing(path).characters == 60
    told = [record.getMessage() for record in caplog.records if record.name == "interlinea.keys"]
    assert ["database is locked" in line for line in told] == [True, False], (
        "once each, not every second"
    )
    assert "can be used again" in told[1]
    assert secret.rpartition("_")[2] not in caplog.text


def test_when_only_reading_fails_what_was_written_is_not_written_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = create(path)
    issued = KeyStore.issued

    def fail(store: KeyStore) -> None:
        raise KeysError("the disk is on fire")

    async def trouble(access: Access) -> None:
        other = create(path, "other")
        use(access, secret, 60)
        monkeypatch.setattr(KeyStore, "issued", fail)
        await access.sync()
        monkeypatch.setattr(KeyStore, "issued", issued)
        await access.sync()
        access.identify(other)  # the change was seen when nobody could look, and is not forgotten

    visit(path, trouble)
    with KeyStore(path) as store:
        assert store.standings(MONTH)[1].characters == 60


def test_a_disk_that_stays_full_is_told_at_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = create(path)

    def fail(*_: object) -> None:
        raise KeysError("database or disk is full")

    async def trouble(access: Access) -> None:
        monkeypatch.setattr(KeyStore, "add", fail)
        use(access, secret, 60)

    visit(path, trouble)
    assert "could not be written" in caplog.records[-1].getMessage()


def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(KeysError):
        visit(tmp_path / "nowhere" / "keys.db")


def test_a_file_without_keys_is_made_and_remarked(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    visit(path)
    assert path.is_file()
    assert "there are no keys yet" in caplog.text
