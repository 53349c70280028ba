"""The process that serves: it listens while bundles load, and knows what signals mean.

    SIGHUP           the bundles are read again
    SIGTERM, SIGINT  drain, refuse, let requests finish within the time of grace, end with 0
    once more        end at once

Uvicorn's own handling would end the process by the signal, and would listen no more from the first
moment on, while others have yet to notice.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from socket import socket
from typing import Any

import uvicorn
from fastapi import FastAPI

from service.connections import bounded
from service.life import Life
from service.settings import Settings

ENDING = (signal.SIGTERM, signal.SIGINT)
LAST_SECONDS = 5
"""How long answers may still be read when nothing runs any more."""

log = logging.getLogger("interlinea.life")


class Server(uvicorn.Server):
    """Uvicorn, which loads the bundles of a `Life` once it listens; see `run`."""

    def __init__(
        self, app: FastAPI, life: Life, settings: Settings, loaded: Callable[[], None]
    ) -> None:
        """Serve `app`, whose life it is, and call `loaded` when every bundle translates."""
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,  # as `logs` configured it
            log_level=settings.log_level,
            access_log=False,  # its lines hold queries, and so texts
            timeout_graceful_shutdown=LAST_SECONDS,
            http=bounded(settings, app.state.watchers),
            loop="asyncio",  # uvloop takes one newcomer a turn: a busy server leaves them waiting
            ws="none",
        )
        super().__init__(config)
        self.failure: BaseException | None = None
        """What kept the bundles from being loaded, and ended the server."""
        self._life, self._loaded = life, loaded
        self._drain_seconds = settings.drain_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Listen, and begin to load."""
        await super().startup(sockets)
        self._begin(self._load()).add_done_callback(self._check_loaded)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Let what is on board finish, or fail when its time is over; then listen no more.

        Until then whoever comes is told to go elsewhere, instead of meeting closed doors.
        """
        await self._life.end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals in the loop; none of them is raised again at the end."""
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in (signal.SIGHUP, *ENDING)}
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        for number in ENDING:
            loop.add_signal_handler(number, self._end, number)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _load(self) -> None:
        await self._life.load()
        self._loaded()

    def _check_loaded(self, task: asyncio.Task[None]) -> None:
        """End the server if its bundles cannot be loaded; why is for whoever called `run`."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = error
            self.should_exit = True

    def _hang_up(self) -> None:
        log.info("SIGHUP: the bundles are read again")
        self._begin(self._reload())

    async def _reload(self) -> None:
        with suppress(Exception):  # the log has it
            await self._life.reload()

    def _end(self, number: signal.Signals) -> None:
        """Begin to end; from now on the same signal ends everything at once."""
        log.info("%s: the server ends", number.name)
        loop = asyncio.get_running_loop()
        for one in ENDING:
            loop.add_signal_handler(one, _end_at_once, one)
        self._life.drain()
        loop.call_later(self._drain_seconds, self._refuse)

    def _refuse(self) -> None:
        self._life.refuse()
        self.should_exit = True


def _end_at_once(number: signal.Signals) -> None:
    """End the process as the signal would, which the first process of a container ignores."""
    log.warning("%s again: the server ends at once", number.name)
    os._exit(128 + number)
