"""The life of a server: what it answers while it loads, reloads, drains and ends."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import cast

import pytest

from service.catalog import Catalog
from service.changes import Changes
from service.errors import DamagedBundle, ReloadInProgress, ShuttingDown, Unavailable
from service.life import Lease, Life
from service.settings import Settings
from tests.stand_ins import FakeCatalog

SETTINGS = Settings(grace_seconds=60.0)


def life_of(catalog: FakeCatalog, load: Callable[[], None] = lambda: None) -> Life:
    def loaded(_: Settings) -> Catalog:
        load()
        return cast(Catalog, catalog)

    return Life(SETTINGS, loaded)


def serving(life: Life) -> FakeCatalog:
    """Return what a request that comes now would get."""
    lease = life.lease()
    try:
        return held(lease)
    finally:
        lease.release()


def held(lease: Lease) -> FakeCatalog:
    return cast(FakeCatalog, lease.catalog())


async def ready(life: Life) -> bool:
    try:
        await life.check_ready()
    except Unavailable:
        return False
    return True


async def reached(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


async def reloading(life: Life, catalog: FakeCatalog) -> asyncio.Task[Changes]:
    """Begin to reload a catalog, which goes on when it is `held` no more."""
    catalog.held.clear()
    task = asyncio.create_task(life.reload())
    await reached(catalog.reloading)
    return task


def test_until_it_has_loaded_it_is_not_ready() -> None:
    async def scenario() -> None:
        begun, held, catalog = threading.Event(), threading.Event(), FakeCatalog()

        def load() -> None:
            begun.set()
            assert held.wait(10)

        life = life_of(catalog, load)
        loading = asyncio.create_task(life.load())
        await reached(begun)
        assert not await ready(life)
        with pytest.raises(Unavailable, match="being loaded") as caught:
            serving(life)
        assert not isinstance(caught.value, ShuttingDown)
        with pytest.raises(Unavailable, match="being loaded"):
            await life.reload()
        held.set()
        await loading
        assert await ready(life)
        assert serving(life) is catalog
        await life.end()

    asyncio.run(scenario())


def test_what_loading_raises_is_raised() -> None:
    def fail() -> None:
        raise DamagedBundle("en-fr is damaged")

    with pytest.raises(DamagedBundle):
        asyncio.run(life_of(FakeCatalog(), fail).load())


def test_what_is_loaded_too_late_is_closed() -> None:
    async def scenario() -> None:
        catalog = FakeCatalog()
        life = life_of(catalog)
        life.refuse()
        await life.load()
        assert catalog.translator.closed_with is not None
        with pytest.raises(ShuttingDown):
            serving(life)

    asyncio.run(scenario())


def test_a_bundle_in_trouble_is_named() -> None:
    async def scenario() -> None:
        catalog = FakeCatalog()
        life = life_of(catalog)
        await life.load()
        catalog.found = {"en-fr": "1 of 2 worker threads have died", "fr-en": "all is lost"}
        with pytest.raises(Unavailable, match=r"en-fr: 1 of 2 .*; fr-en: all is lost") as caught:
            await life.check_ready()
        assert caught.value.detail == {"bundles": ["en-fr", "fr-en"]}
        catalog.found = {}
        assert await ready(life)
        await life.end()

    asyncio.run(scenario())


def test_a_reload_changes_all_at_once_and_requests_end_where_they_began(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        old, new = FakeCatalog(), FakeCatalog()
        old.following = new
        life = life_of(old)
        await life.load()
        early, late = life.lease(), life.lease()
        assert held(early) is old
        under_way = await reloading(life, old)
        assert serving(life) is old, "it serves on while it loads"
        assert await ready(life)
        old.held.set()
        changes = await under_way
        assert changes.replaced == ({"name": "en-fr", "version": "1.2.3", "was": "1.2.3"},)
        assert held(early) is old, "a snapshot stays what it was"
        assert held(late) is new
        assert old.translator.closed_with is None
        early.release()
        late.release()
        await life.end()
        assert isinstance(new.translator.closed_with, ShuttingDown)
        assert not isinstance(old.translator.closed_with, ShuttingDown)

    asyncio.run(scenario())
    assert "reloaded: replaced: en-fr 1.2.3 (was 1.2.3)" in caplog.text


def test_a_bad_bundle_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        catalog = FakeCatalog()
        catalog.following = DamagedBundle("zh-en is damaged", {"bundle": "zh-en"})
        life = life_of(catalog)
        await life.load()
        with pytest.raises(DamagedBundle):
            await life.reload()
        assert serving(life) is catalog
        assert await ready(life)
        catalog.following = None
        assert (await life.reload()).kept, "and it can be tried again"
        await life.end()

    asyncio.run(scenario())
    assert "the bundles stay as they are: zh-en is damaged" in caplog.text


def test_of_two_reloads_at_once_the_second_is_refused() -> None:
    async def scenario() -> None:
        catalog = FakeCatalog()
        life = life_of(catalog)
        await life.load()
        first = await reloading(life, catalog)
        with pytest.raises(ReloadInProgress):
            await life.reload()
        catalog.held.set()
        assert (await first).kept
        assert (await life.reload()).kept
        await life.end()

    asyncio.run(scenario())


def test_a_reload_that_nobody_waits_for_any_more_is_done_to_the_end() -> None:
    async def scenario() -> None:
        old, new = FakeCatalog(), FakeCatalog()
        old.following = new
        life = life_of(old)
        await life.load()
        under_way = await reloading(life, old)
        under_way.cancel()
        await asyncio.gather(under_way, return_exceptions=True)
        with pytest.raises(ReloadInProgress):
            await life.reload()
        old.held.set()
        assert life._work is not None
        await life._work
        assert serving(life) is new
        await life.end()

    asyncio.run(scenario())


def test_a_reload_that_comes_too_late_is_dropped() -> None:
    async def scenario() -> None:
        old, new = FakeCatalog(), FakeCatalog()
        old.following = new
        life = life_of(old)
        await life.load()
        under_way = await reloading(life, old)
        life.refuse()
        old.held.set()
        with pytest.raises(ShuttingDown):
            await under_way
        assert new.translator.closed_with is not None
        assert old.translator.closed_with is None
        await life.end()
        assert isinstance(old.translator.closed_with, ShuttingDown)

    asyncio.run(scenario())


def test_while_it_drains_it_serves_but_is_not_ready() -> None:
    async def scenario() -> None:
        catalog = FakeCatalog()
        life = life_of(catalog)
        await life.load()
        life.drain()
        assert not await ready(life)
        assert serving(life) is catalog
        life.refuse()
        with pytest.raises(ShuttingDown):
            serving(life)
        with pytest.raises(ShuttingDown):
            await life.reload()
        await life.end()

    asyncio.run(scenario())


def test_the_end_is_waited_for_by_all_and_happens_once() -> None:
    async def scenario() -> None:
        catalog = FakeCatalog()
        life = life_of(catalog)
        await life.load()
        lease = life.lease()
        assert held(lease) is catalog
        ends = [asyncio.create_task(life.end()) for _ in range(2)]
        await asyncio.sleep(0)
        assert held(lease) is catalog, "who is on board may look again"
        with pytest.raises(ShuttingDown):
            serving(life)
        assert catalog.translator.closed_with is None
        lease.release()
        lease.release()
        await asyncio.gather(*ends)
        assert isinstance(catalog.translator.closed_with, ShuttingDown)

    asyncio.run(scenario())
