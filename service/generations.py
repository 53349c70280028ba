"""Catalogs one after another: a request ends on the one that it began with.

What a catalog has and the next one has not is closed when the last request on it is done, or after
the time of grace, when what still runs on it fails. All of this belongs to one event loop.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from service import memory
from service.catalog import Catalog
from service.errors import InterlineaError, ShuttingDown, Unavailable
from service.translator import Translator

log = logging.getLogger("interlinea.life")


@dataclass(slots=True, eq=False)
class Generation:
    """A catalog, how many requests are on it, and the end of its time once it is replaced."""

    catalog: Catalog
    users: int = 0
    end: asyncio.TimerHandle | None = None


class Generations:
    """The catalog that serves, and earlier ones that have requests left."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._living: list[Generation] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def catalog(self) -> Catalog:
        """The catalog that serves; raises `Unavailable` before the first."""
        return self._serving().catalog

    @property
    def serves(self) -> bool:
        """Whether there is a catalog."""
        return bool(self._living)

    def begin(self, catalog: Catalog) -> None:
        """Let a catalog serve from now on, instead of the one that did."""
        if self._living:
            loop, last = asyncio.get_running_loop(), self._living[-1]
            last.end = loop.call_later(self._grace, self._expire, last)
        self._living.append(Generation(catalog))
        self._bury(self._living)

    def enter(self) -> Generation:
        """Count a request to the catalog that serves; raises `Unavailable` before the first."""
        serving = self._serving()
        serving.users += 1
        self._idle.clear()
        return serving

    def leave(self, generation: Generation) -> None:
        """Note that a request is done."""
        generation.users -= 1
        self._bury(self._living)
        if not any(one.users for one in self._living):
            self._idle.set()

    async def end(self, grace: float) -> None:
        """Give requests some seconds to finish, then fail what still runs, and close all."""
        try:
            async with asyncio.timeout(grace):
                await self._idle.wait()
        except TimeoutError:
            log.warning("requests were not done after %g seconds; they fail", grace)
        living, self._living = self._living, []
        self._close(_translators(living), ShuttingDown("the server has shut down"))
        while self._closing:
            await asyncio.wait(self._closing)

    def _serving(self) -> Generation:
        if not self._living:
            raise Unavailable("the models are being loaded")
        return self._living[-1]

    def _bury(self, kept: Iterable[Generation]) -> None:
        """Forget catalogs that are not kept or not used, and close what they alone have."""
        before = self._living
        self._living = [one for one in kept if one.users or one is before[-1]]
        for gone in set(before) - set(self._living):
            if gone.end is not None:
                gone.end.cancel()  # it would hold on to the catalog until then
        left = _translators(before) - _translators(self._living)
        self._close(left, Unavailable("the model was replaced; try again"))

    def _expire(self, generation: Generation) -> None:
        """Part with a catalog, whoever is still on it."""
        log.warning("%d requests were still on a replaced catalog; they fail", generation.users)
        self._bury([one for one in self._living if one is not generation])

    def _close(self, translators: Iterable[Translator], why: InterlineaError) -> None:
        if gone := list(translators):
            closing = asyncio.create_task(_end(gone, why))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


async def _end(gone: list[Translator], why: InterlineaError) -> None:
    """Close translators, let go of them, and give back what they took."""
    await asyncio.gather(*(asyncio.to_thread(one.close, 0.0, why) for one in gone))
    gone.clear()
    await asyncio.to_thread(memory.give_back)


def _translators(generations: Iterable[Generation]) -> set[Translator]:
    return {one for generation in generations for one in generation.catalog.translators()}
