"""The life of a server: it loads, serves, takes new bundles, drains, and ends.

    loading    live; everything else is `unavailable`
    serving    ready, as long as every bundle translates
    draining   serves, but says that it is not ready, so that a balancer looks elsewhere
    refusing   new requests are `shutting_down`; those on board may finish
    over       what was not done in the time of grace has failed; threads have ended

All of this belongs to one event loop; what takes long runs in a thread.
"""

import asyncio
import logging
from collections.abc import Callable

from service import device, memory, quarantine
from service.arrivals import Arrivals
from service.catalog import Catalog
from service.changes import Changes, between
from service.errors import InterlineaError, ReloadInProgress, ShuttingDown, Unavailable
from service.generations import Generation, Generations
from service.settings import Settings

LAST_SECONDS, LAST_TRIES = 5.0, 20
"""How long, and how often within that time, graphs that still load at the end are told to stop."""

log = logging.getLogger("interlinea.life")


class Life:
    """The catalogs of a server, and whether it takes requests."""

    def __init__(self, settings: Settings, load: Callable[[Settings], Catalog]) -> None:
        self._settings, self._load = settings, load
        self._generations = Generations(settings.grace_seconds)
        self._probing = asyncio.Lock()
        self._reloading = False
        self._work: asyncio.Task[Changes] | None = None
        self._loads: set[asyncio.Task[Catalog]] = set()
        self._refusing = False
        self._ending: asyncio.Task[None] | None = None
        self.draining = False
        """Whether clients had better go elsewhere."""
        self.arrivals = Arrivals()

    async def load(self) -> None:
        """Load every bundle; raises what loading raises."""
        try:
            catalog = await self._in_thread(lambda: self._load(self._settings))
        except Exception:
            if self._refusing:
                return  # nobody asks any more whether they can be served
            raise
        if self._refusing:
            await asyncio.to_thread(catalog.close)
            return
        self._generations.begin(catalog)
        await asyncio.to_thread(memory.give_back)  # loading took much for a moment
        log.info("every bundle translates; ready")

    @property
    def catalog(self) -> Catalog | None:
        """The catalog that serves; None before the first and after the last."""
        return self._generations.catalog if self._generations.serves else None

    @property
    def ready(self) -> bool:
        """Whether every bundle translates, as far as is known without asking any to."""
        catalog = self.catalog
        if catalog is None or self.draining:
            return False
        return all(one.trouble() is None for one in catalog.translators())

    def lease(self) -> "Lease":
        """Return what a request holds from its first look at the catalog until its end."""
        return Lease(self, self._generations)

    def check_admits(self) -> None:
        """Raise `ShuttingDown` if nothing new is taken."""
        if self._refusing:
            raise ShuttingDown("the server is shutting down")

    async def check_ready(self) -> None:
        """Raise `Unavailable`, which says why, unless every bundle translates."""
        if self.draining:
            raise ShuttingDown("the server is shutting down")
        catalog = self._generations.catalog
        async with self._probing:  # a canary at a time
            troubles = await catalog.troubles()
        if troubles:
            raise Unavailable(
                "; ".join(f"{name}: {what}" for name, what in troubles.items()),
                {"bundles": sorted(troubles)},
            )

    async def reload(self) -> Changes:
        """Read the folders of bundles again, and serve what they hold now, all or nothing.

        Raises `BundleError`, and then all is as it was; `ReloadInProgress`; `Unavailable`.
        """
        self.check_admits()
        if self._reloading:
            raise ReloadInProgress("the bundles are being reloaded already")
        self._reloading = True
        self._work = asyncio.create_task(self._reload())
        try:
            return await asyncio.shield(self._work)
        except InterlineaError as error:
            log.error("the bundles stay as they are: %s", error.message)
            raise
        except Exception:
            log.exception("the bundles stay as they are")
            raise

    async def _reload(self) -> Changes:
        """Do it to the end, even if nobody waits for it any more."""
        try:
            old = self._generations.catalog
            new = await self._in_thread(old.reloaded)
            if self._refusing:
                await asyncio.to_thread(new.close, old.translators())
                raise ShuttingDown("the server is shutting down")
            self._generations.begin(new)
        finally:
            self._reloading = False
        changes = between(old, new)
        log.info("reloaded: %s", changes.line())
        return changes

    def drain(self) -> None:
        """Say from now on that the server is not ready; requests are served as before."""
        self.draining = True

    def refuse(self) -> None:
        """Take nothing new from now on."""
        self.draining = self._refusing = True
        self.arrivals.end()

    async def end(self) -> None:
        """Let requests finish within the time of grace, fail the rest, and close everything."""
        self.refuse()
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        await self._generations.end(self._settings.grace_seconds)
        tries = LAST_TRIES
        while self._loads and tries:  # nobody needs what they load, but the process waits for them
            device.PATIENCE.lose()
            quarantine.PATIENCE.lose()
            await asyncio.wait(self._loads, timeout=LAST_SECONDS / LAST_TRIES)
            tries -= 1

    async def _in_thread(self, load: Callable[[], Catalog]) -> Catalog:
        """Load in a thread, to the end, even if nobody waits for it any more."""
        task = asyncio.create_task(asyncio.to_thread(load))
        self._loads.add(task)
        task.add_done_callback(self._loads.discard)
        return await asyncio.shield(task)


class Lease:
    """What one request holds: the catalog that it met first, until it is done."""

    def __init__(self, life: Life, generations: Generations) -> None:
        self._life, self._generations = life, generations
        self._held: Generation | None = None

    def catalog(self) -> Catalog:
        """Return the catalog, always the same one; raises `Unavailable` or `ShuttingDown`."""
        if self._held is None:
            self._life.check_admits()
            self._held = self._generations.enter()
        return self._held.catalog

    def release(self) -> None:
        """Note that the request is done."""
        if self._held is not None:
            self._generations.leave(self._held)
            self._held = None
