"""Who may ask: the keys of the file, held in memory, and written back what they used.

Nobody waits for the file. Requests are checked against what was read last, and once a second a
thread of its own writes down what was spent and reads what others have changed. So a new key, a
revocation, and what other servers spent are known within about a second; and when the file cannot
be used for a while, known keys go on, unknown ones stay unknown, and what was spent is kept until
it can be written.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from service.accounts import Account, Ledger
from service.errors import KeysError, Unauthorized
from service.keys import Key, KeyStore, Spent, Standing, fits, month_of, public_of

Result = TypeVar("Result")

SYNC_SECONDS = 1.0
PATIENCE = 2.0
"""How many seconds the thread waits for another writer before it tries again a second later."""

log = logging.getLogger("interlinea.keys")


@dataclass(frozen=True, slots=True)
class _Read:
    """What the file said: the keys that are not revoked, and what they used of a month."""

    keys: list[Key]
    month: str
    standings: Mapping[int, Standing]


class Access:
    """The keys of one file; belongs to the event loop, but for its thread."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._path = path
        self._ledger = Ledger()
        self._accounts: dict[str, Account] = {}
        self._thread = ThreadPoolExecutor(1, "interlinea-keys")
        self._store: KeyStore | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._failing = False
        self._behind = False
        self._month = ""
        """What was read last is of this month."""

    async def open(self) -> None:
        """Read the keys, and keep at it; raises `KeysError`."""
        try:
            self._adopt(await self._in_thread(self._read_first))
        except KeysError:
            self._thread.shutdown()
            raise
        if not self._accounts:
            log.warning('there are no keys yet; "interlinea keys create NAME" makes one')
        self._task = asyncio.create_task(self._keep_up())

    async def close(self) -> None:
        """Write down what is left, and close the file."""
        self._closing.set()
        if self._task is not None:
            await self._task
        await self.sync()
        if self._ledger.empty():
            log.error("what keys used in the last moments could not be written")
        await self._in_thread(self._close_store)
        self._thread.shutdown()

    def identify(self, secret: str) -> Account:
        """Return the account of a key; raises `Unauthorized`."""
        account = self._accounts.get(public_of(secret) or "")
        right = fits(secret, None if account is None else account.key)
        if account is None or not right:
            raise _invalid("this key is not known here")
        expires = account.key.terms.expires
        if expires is not None and expires <= self._clock():
            raise _invalid("this key has expired")
        return account

    async def sync(self) -> None:
        """Write down what was spent and read what others changed; a failure waits for next time."""
        spent = self._ledger.empty()
        try:
            if spent:
                await self._in_thread(partial(self._write, spent))
            spent = []
            read = await self._in_thread(self._read_news)
        except KeysError as error:
            for one in spent:
                self._ledger.add(one)
            if not self._failing:
                log.error("%s; known keys go on, and what they use is kept here", error.message)
            self._failing = True
            return
        if self._failing:
            log.warning("%s can be used again", self._path)
        self._failing = False
        if read is not None:
            self._adopt(read)

    async def _keep_up(self) -> None:
        while not self._closing.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), SYNC_SECONDS)
            try:
                await self.sync()
            except Exception:  # whatever it is, a key that is revoked must not live on
                log.exception("the keys could not be synchronised")

    def _adopt(self, read: _Read) -> None:
        before = {account.key.id: account for account in self._accounts.values()}
        self._accounts = {}
        for key in read.keys:
            account = before.get(key.id)
            if account is None or account.key != key:
                account = Account(key, self._ledger, self._clock)
            account.adopt(read.standings.get(key.id, Standing()), read.month)
            self._accounts[key.public] = account

    def _read_first(self) -> _Read:
        self._store = KeyStore(self._path, PATIENCE, durable=False)
        self._store.changed()
        return self._read()

    def _write(self, spent: list[Spent]) -> None:
        assert self._store is not None
        self._store.add(spent, self._clock())

    def _read_news(self) -> _Read | None:
        assert self._store is not None
        self._behind |= self._store.changed() or month_of(self._clock()) != self._month
        if not self._behind:
            return None
        read = self._read()
        self._behind = False
        return read

    def _read(self) -> _Read:
        assert self._store is not None
        self._month = month = month_of(self._clock())
        keys = [key for key in self._store.issued() if key.revoked is None]
        return _Read(keys, month, self._store.standings(month))

    def _close_store(self) -> None:
        if self._store is not None:
            self._store.close()

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _invalid(message: str) -> Unauthorized:
    error = Unauthorized(message)
    error.challenge += ', error="invalid_token"'
    return error
