"""The file of the keys: what is in it and what is not, and several who use it at once."""

import hmac
import math
import multiprocessing
import re
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service import keys
from service.errors import KeysError
from service.keys import (
    NOBODY,
    Issued,
    KeyStore,
    Spent,
    Standing,
    Terms,
    digest_of,
    fits,
    month_of,
    public_of,
)

NOW = 1_800_000_000.0
MONTH = month_of(NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


@pytest.fixture
def store(path: Path) -> Iterator[KeyStore]:
    with KeyStore(path, patience=0.0) as opened:
        yield opened


def create(store: KeyStore, name: str = "app", **terms: int) -> Issued:
    return store.create(name, Terms(rate=terms.get("rate"), quota=terms.get("quota")), NOW)


def test_a_key_is_recognisable_and_has_256_bits_that_nobody_knows(store: KeyStore) -> None:
    issued = create(store)
    found = re.fullmatch("il_([0-9a-f]{8})_([0-9A-Za-z]+)", issued.secret)
    assert found
    assert found[1] == issued.key.public == public_of(issued.secret)
    assert len(found[2]) * math.log2(62) >= 256
    assert create(store, "other").secret != issued.secret


def test_a_key_is_read_back_as_it_was_made(store: KeyStore) -> None:
    terms = Terms(admin=True, rate=600, quota=10_000, expires=NOW + 60)
    issued = store.create("the boss", terms, NOW)
    assert store.issued() == [issued.key]
    key = issued.key
    assert (key.name, key.terms, key.created, key.revoked) == ("the boss", terms, NOW, None)


def test_only_a_digest_is_kept(store: KeyStore, path: Path) -> None:
    issued = create(store)
    secret = issued.secret.rpartition("_")[2].encode()
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {"keys.db", "keys.db-wal", "keys.db-shm"}
    content = b"".join(file.read_bytes() for file in files)
    assert secret not in content
    assert digest_of(issued.secret) in content


def test_nobody_else_may_read_the_files(store: KeyStore, path: Path) -> None:
    create(store)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"keys.db": 0o600, "keys.db-wal": 0o600, "keys.db-shm": 0o600}


def test_nothing_that_is_printed_holds_a_secret_or_its_digest(store: KeyStore) -> None:
    issued = create(store)
    for shown in (repr(issued), str(issued), f"{issued.key}", f"{store.issued()}"):
        assert issued.secret.rpartition("_")[2] not in shown
        assert repr(issued.key.digest) not in shown


@pytest.mark.parametrize("known", [True, False])
def test_a_secret_is_compared_in_constant_time(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def watch(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watch)
    issued = create(store)
    key = issued.key if known else None
    expected = issued.key.digest if known else NOBODY
    assert fits(issued.secret, key) is known
    assert not fits(issued.secret[:-1] + "!", key)
    assert [other for _, other in compared] == [expected, expected]


def test_no_secret_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "digest_of", lambda secret: NOBODY)
    assert not fits("whatever has this digest", None)


@pytest.mark.parametrize(
    "secret",
    ["", "il_", "il_0011223_" + "a" * 43, "il_00112233_" + "a" * 42, "IL_00112233_" + "a" * 43],
)
def test_what_has_not_the_form_of_a_key_names_none(secret: str) -> None:
    assert public_of(secret) is None


def test_a_name_is_taken_until_its_key_is_revoked(store: KeyStore) -> None:
    first = create(store)
    with pytest.raises(KeysError, match="'app' already"):
        create(store)
    store.revoke("app", NOW + 5)
    second = create(store)
    assert [key.revoked for key in store.issued()] == [NOW + 5, None]
    assert store.revoke(second.key.public, NOW + 6).id == second.key.id
    with pytest.raises(KeysError, match="no key"):
        store.revoke(first.key.public, NOW + 7)


def test_a_name_that_is_also_the_beginning_of_another_key_revokes_neither(store: KeyStore) -> None:
    public = create(store).key.public
    create(store, public)
    with pytest.raises(KeysError, match="more than one"):
        store.revoke(public, NOW)


def test_use_adds_up_by_month(store: KeyStore) -> None:
    key = create(store, rate=60).key
    assert store.standings(MONTH) == {key.id: Standing()}
    store.add([Spent(key.id, MONTH, 100, 50, 1, 40.0), Spent(key.id, "2020-01", 7)], NOW)
    store.add([Spent(key.id, MONTH, -10, 5, 1, -10.0)], NOW)
    assert store.standings(MONTH) == {key.id: Standing(90, 55, 2, 30.0, NOW)}
    assert store.standings("2020-01")[key.id].characters == 7
    store.add([Spent(key.id, MONTH, taken=10.0)], NOW + 5)
    assert store.standings(MONTH)[key.id].level == 25.0


def test_a_key_without_a_rate_has_no_bucket(store: KeyStore) -> None:
    key = create(store).key
    store.add([Spent(key.id, MONTH, taken=10.0)], NOW)
    assert store.standings(MONTH)[key.id].level is None


def test_what_others_write_is_noticed_and_what_oneself_writes_is_not(
    store: KeyStore, path: Path
) -> None:
    assert store.changed()
    assert not store.changed()
    key = create(store).key
    store.add([Spent(key.id, MONTH, 1)], NOW)
    assert not store.changed()
    with KeyStore(path) as other:
        create(other, "another")
    assert store.changed()
    assert not store.changed()


def test_a_file_that_is_locked_is_an_error_and_nothing_is_half_written(
    store: KeyStore, path: Path
) -> None:
    key = create(store).key
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(KeysError, match="locked"):
            store.add([Spent(key.id, MONTH, 1)], NOW)
        assert store.issued() == [key], "reading goes on"
        other.execute("ROLLBACK")
    other.close()
    store.add([Spent(key.id, MONTH, 1)], NOW)
    assert store.standings(MONTH)[key.id].characters == 1


def test_who_opens_a_new_file_waits_for_another_who_prepares_it(path: Path) -> None:
    path.touch()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(KeysError, match="locked"):
        KeyStore(path, patience=0.0)
    done = threading.Timer(0.3, other.rollback)
    done.start()
    with KeyStore(path, patience=30.0) as store:
        create(store)
    done.join()
    other.close()


def test_a_file_that_is_not_there_is_not_made_unasked(path: Path) -> None:
    with pytest.raises(KeysError, match=r"keys\.db does not exist"):
        KeyStore(path, make=False)
    assert not path.exists()
    KeyStore(path).close()
    KeyStore(path, make=False).close()


def test_a_full_disk_is_an_error_and_nothing_is_half_written(store: KeyStore) -> None:
    key = create(store).key
    many = [Spent(key.id, f"{year:04}-02", 1) for year in range(3000)]
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(KeysError, match="full"):
        store.add([Spent(key.id, MONTH, 1), *many], NOW)
    assert store.standings(MONTH)[key.id].characters == 0
    store._database.execute("PRAGMA max_page_count = 100000")
    store.add([Spent(key.id, MONTH, 1), *many], NOW)
    assert store.standings(MONTH)[key.id].characters == 1


def test_a_file_of_a_newer_release_is_left_alone(path: Path) -> None:
    KeyStore(path).close()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(KeysError, match="newer release"):
        KeyStore(path)


def test_a_file_of_somebody_else_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(KeysError, match="not a file of keys"):
        KeyStore(path)
    path.write_text("This is no database, but a letter that is long enough to be taken for one.")
    with pytest.raises(KeysError, match="not a database"):
        KeyStore(path)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match=r"nowhere/keys\.db"):
        KeyStore(tmp_path / "nowhere" / "keys.db")
    with pytest.raises(KeysError):
        KeyStore(tmp_path)


def spend(path: Path, key: int, times: int) -> None:
    with KeyStore(path, patience=30.0, durable=False) as store:
        for _ in range(times):
            store.add([Spent(key, MONTH, 3, 2, 1, 1.0)], NOW)


def test_two_processes_share_a_file(store: KeyStore, path: Path) -> None:
    key = create(store, rate=1000).key
    run = multiprocessing.get_context("spawn").Process
    others = [run(target=spend, args=(path, key.id, 100)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join(60)
    assert [other.exitcode for other in others] == [0, 0]
    assert store.standings(MONTH) == {key.id: Standing(600, 400, 200, 800.0, NOW)}


def open_and_create(path: Path, name: str) -> None:
    with KeyStore(path, patience=30.0) as store:
        create(store, name)


def test_processes_may_make_the_file_at_the_same_time(path: Path) -> None:
    run = multiprocessing.get_context("spawn").Process
    others = [run(target=open_and_create, args=(path, f"key {n}")) for n in range(4)]
    for other in others:
        other.start()
    for other in others:
        other.join(60)
    assert [other.exitcode for other in others] == [0] * 4
    with KeyStore(path) as store:
        assert {key.name for key in store.issued()} == {f"key {n}" for n in range(4)}
