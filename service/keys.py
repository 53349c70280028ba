"""The keys and what they have used, in an SQLite file that several servers of a machine may share.

A key is `il_`, eight characters that name it, and 43 that are secret: more than 256 bits from the
system's source of randomness. Only its SHA-256 is kept. A slow hash, as for passwords, would
protect nothing more, since nobody can guess 256 bits at any speed, and every request would pay
for it. Who finds the file can use no key that is in it.

Readers and one writer work side by side (write-ahead log). Nothing here is asynchronous, and a
store belongs to the thread that opened it.
"""

import hashlib
import hmac
import os
import re
import secrets
import sqlite3
import string
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from service.bucket import Bucket
from service.errors import KeysError

PREFIX = "il_"
APPLICATION = 0x494C4B59
"""Marks the file as ours, for `file` and for us."""

PAUSE = 0.01
"""Seconds between two tries where SQLite does not wait by itself."""

NOBODY = bytes(hashlib.sha256().digest_size)

_ALPHABET = string.ascii_letters + string.digits
_FORM = re.compile(r"il_([0-9a-f]{8})_[0-9A-Za-z]{43}")

MIGRATIONS = (
    (
        """CREATE TABLE keys (
            id INTEGER PRIMARY KEY, public TEXT NOT NULL UNIQUE, digest BLOB NOT NULL,
            name TEXT NOT NULL, admin INTEGER NOT NULL, rate INTEGER, quota INTEGER,
            created REAL NOT NULL, expires REAL, revoked REAL)""",
        "CREATE UNIQUE INDEX names ON keys (name) WHERE revoked IS NULL",
        """CREATE TABLE usage (
            key INTEGER NOT NULL REFERENCES keys, month TEXT NOT NULL, characters INTEGER NOT NULL,
            work INTEGER NOT NULL, requests INTEGER NOT NULL, PRIMARY KEY (key, month))""",
        """CREATE TABLE buckets (
            key INTEGER PRIMARY KEY REFERENCES keys, level REAL NOT NULL, at REAL NOT NULL)""",
    ),
)
"""What makes each schema version of the one before; the file's version counts those applied."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a key may do.

    `rate` is work, in tokens, for each minute; `quota` is characters for each month; None is
    no bound. `expires` is in seconds since 1970.
    """

    admin: bool = False
    rate: int | None = None
    quota: int | None = None
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the file knows it; times are in seconds since 1970."""

    id: int
    public: str
    name: str
    terms: Terms
    created: float
    revoked: float | None
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key, and its secret, which nobody will see again."""

    key: Key
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Spent:
    """What was added to a key's use of a month; `taken` is what its bucket lost, net."""

    key: int
    month: str
    characters: int = 0
    work: int = 0
    requests: int = 0
    taken: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What a key has used of a month, and its bucket: `level` at `at`, None where untouched."""

    characters: int = 0
    work: int = 0
    requests: int = 0
    level: float | None = None
    at: float = 0.0


def digest_of(secret: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode()).digest()


def public_of(secret: str) -> str | None:
    """The part that names the key; None where it has not the form of a key."""
    found = _FORM.fullmatch(secret)
    return found and found[1]


def month_of(now: float) -> str:
    """The month, in UTC, of a time in seconds since 1970, as use is counted: `2027-01`."""
    at = datetime.fromtimestamp(now, UTC)
    return f"{at.year}-{at.month:02}"


def fits(secret: str, key: Key | None) -> bool:
    """Whether a secret is that of a key, in a time that tells neither how near it is nor which.

    Without a key the same is done for nothing.
    """
    right = hmac.compare_digest(digest_of(secret), NOBODY if key is None else key.digest)
    return right and key is not None


class KeyStore:
    """An open file of keys; `patience` is how many seconds to wait for another writer.

    A file that is not there is made if `make` says so. If it is `durable`, what was written
    survives a power failure; otherwise its last moments may be lost, but never its integrity.
    Every method raises `KeysError`.
    """

    def __init__(
        self, path: Path, patience: float = 5.0, durable: bool = True, make: bool = True
    ) -> None:
        self._path, self._patience = path, patience
        with self._translated():
            if make:
                with suppress(FileExistsError):  # to close it once it is open would drop its locks
                    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            elif not path.exists():
                raise KeysError(f"{path} does not exist; the first key that is created makes it")
            self._database = sqlite3.connect(path, timeout=patience, isolation_level=None)
        try:
            with self._translated():
                self._prepare(durable)
        except KeysError:
            self._database.close()
            raise
        self._version = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._translated():
            self._database.close()

    def create(self, name: str, terms: Terms, now: float) -> Issued:
        """Make a key; no other that is not revoked may have its name."""
        public = secrets.token_hex(4)
        secret = f"{PREFIX}{public}_" + "".join(secrets.choice(_ALPHABET) for _ in range(43))
        row = (public, digest_of(secret), name, terms.admin, terms.rate, terms.quota)
        with self._writing():
            if self._database.execute(
                "SELECT 1 FROM keys WHERE name = ? AND revoked IS NULL", (name,)
            ).fetchone():
                raise KeysError(f"there is a key of the name {name!r} already")
            self._database.execute(
                "INSERT INTO keys (public, digest, name, admin, rate, quota, created, expires)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, now, terms.expires),
            )
        (key,) = (key for key in self.issued() if key.public == public)
        return Issued(key, secret)

    def revoke(self, which: str, now: float) -> Key:
        """Revoke the key of this name, or of these eight characters; return it."""
        found = [
            key for key in self.issued() if key.revoked is None and which in (key.name, key.public)
        ]
        if len(found) != 1:
            many = "more than one key is" if found else "no key that is not revoked is"
            raise KeysError(f"{many} called {which!r}")
        with self._writing():
            self._database.execute(
                "UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL", (now, found[0].id)
            )
        return found[0]

    def issued(self) -> list[Key]:
        """Every key, revoked ones too, in the order in which they were made."""
        with self._translated():
            rows = self._database.execute(
                "SELECT id, public, name, admin, rate, quota, expires, created, revoked, digest"
                " FROM keys ORDER BY id"
            ).fetchall()
        return [
            Key(number, public, name, Terms(bool(admin), rate, quota, expires), *rest)
            for number, public, name, admin, rate, quota, expires, *rest in rows
        ]

    def standings(self, month: str) -> dict[int, Standing]:
        """What every key that was ever used stands at, by its id."""
        with self._translated():
            rows = self._database.execute(
                "SELECT keys.id, coalesce(characters, 0), coalesce(work, 0),"
                " coalesce(requests, 0), level, coalesce(at, 0) FROM keys"
                " LEFT JOIN usage ON usage.key = keys.id AND usage.month = ?"
                " LEFT JOIN buckets ON buckets.key = keys.id",
                (month,),
            ).fetchall()
        return {key: Standing(*rest) for key, *rest in rows}

    def changed(self) -> bool:
        """Whether somebody else has written since the last call; at first always."""
        with self._translated():
            (version,) = self._database.execute("PRAGMA data_version").fetchone()
        before, self._version = self._version, version
        return bool(before != version)

    def add(self, spent: Iterable[Spent], now: float) -> None:
        """Add to what keys have used, all or nothing."""
        with self._writing():
            for one in spent:
                self._database.execute(
                    "INSERT INTO usage VALUES (?, ?, ?, ?, ?) ON CONFLICT (key, month) DO UPDATE"
                    " SET characters = characters + excluded.characters,"
                    " work = work + excluded.work, requests = requests + excluded.requests",
                    (one.key, one.month, one.characters, one.work, one.requests),
                )
                self._take(one, now)

    def _take(self, spent: Spent, now: float) -> None:
        found = self._database.execute(
            "SELECT rate, level, at FROM keys LEFT JOIN buckets ON buckets.key = keys.id"
            " WHERE keys.id = ?",
            (spent.key,),
        ).fetchone()
        rate, level, at = found or (None, None, None)
        if rate is None:
            return
        bucket = Bucket(rate, rate if level is None else level, now if at is None else at)
        bucket.take(spent.taken, now)
        self._database.execute(
            "INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", (spent.key, bucket.level, bucket.at)
        )

    def _prepare(self, durable: bool) -> None:
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and self._pragma("application_id") != APPLICATION:
            raise KeysError(f"{self._path} is not a file of keys")
        if self._pragma("journal_mode") != "wal":
            self._log_ahead()
        self._database.execute(f"PRAGMA synchronous = {'full' if durable else 'normal'}")
        if self._pragma("user_version") != len(MIGRATIONS):
            self._migrate()

    def _log_ahead(self) -> None:
        """Turn on the write-ahead log; here alone SQLite does not wait for others by itself."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = wal")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # other bytes say why
                if not busy or time.monotonic() >= deadline:
                    raise
            time.sleep(PAUSE)

    def _migrate(self) -> None:
        with self._writing():
            version = self._pragma("user_version")  # once more, now that nobody else writes
            assert isinstance(version, int)
            if version > len(MIGRATIONS):
                raise KeysError(f"{self._path} was written by a newer release of Interlinea")
            for statement in (line for step in MIGRATIONS[version:] for line in step):
                self._database.execute(statement)
            self._database.execute(f"PRAGMA application_id = {APPLICATION}")
            self._database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _pragma(self, name: str) -> object:
        (value,) = self._database.execute(f"PRAGMA {name}").fetchone()
        return value

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._translated():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise KeysError(f"{self._path} cannot be used: {error}") from error
