"""Generations: a request ends where it began, and what nobody needs any more is closed once."""

import asyncio
import gc
import weakref
from collections.abc import Sequence
from typing import cast

import pytest

from service.catalog import Catalog
from service.errors import InterlineaError, ShuttingDown, Unavailable
from service.generations import Generations
from service.translator import Translator


class Closing:
    """A translator that notes how often, and why, it is closed."""

    def __init__(self) -> None:
        self.whys: list[InterlineaError] = []
        self.closed = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def close(self, grace: float, why: InterlineaError) -> None:
        assert grace == 0
        self.whys.append(why)
        self.loop.call_soon_threadsafe(self.closed.set)


def catalog(*translators: Closing) -> Catalog:
    return Catalog(cast(Sequence[Translator], translators))


def test_before_the_first_catalog_there_is_none() -> None:
    async def scenario() -> None:
        generations = Generations(60.0)
        with pytest.raises(Unavailable, match="being loaded"):
            generations.enter()
        await generations.end(60.0)

    asyncio.run(scenario())


def test_an_idle_catalog_is_closed_when_it_is_replaced_and_what_is_kept_is_not() -> None:
    async def scenario() -> None:
        generations, old, kept, new = Generations(60.0), Closing(), Closing(), Closing()
        generations.begin(catalog(old, kept))
        second = catalog(kept, new)
        generations.begin(second)
        await old.closed.wait()
        assert isinstance(old.whys[0], Unavailable)
        assert generations.catalog is second
        assert kept.whys == new.whys == []
        await generations.end(60.0)
        assert [len(one.whys) for one in (old, kept, new)] == [1, 1, 1]
        assert isinstance(new.whys[0], ShuttingDown)

    asyncio.run(scenario())


def test_a_request_keeps_its_catalog_until_it_is_done() -> None:
    async def scenario() -> None:
        generations, old, new = Generations(60.0), Closing(), Closing()
        first = catalog(old)
        generations.begin(first)
        request, other = generations.enter(), generations.enter()
        generations.begin(catalog(new))
        assert request.catalog is first
        assert generations.enter().catalog is generations.catalog
        generations.leave(request)
        assert old.whys == []
        generations.leave(other)
        await old.closed.wait()
        assert new.whys == []
        await generations.end(0.0)

    asyncio.run(scenario())


def test_a_translator_that_an_earlier_catalog_still_uses_outlives_a_later_one() -> None:
    """y is in the first and second catalog; the second goes at once, the first has a request."""

    async def scenario() -> None:
        generations, x, y, z = Generations(60.0), Closing(), Closing(), Closing()
        generations.begin(catalog(x, y))
        request = generations.enter()
        generations.begin(catalog(y))
        generations.begin(catalog(z))
        assert x.whys == y.whys == []
        generations.leave(request)
        await asyncio.gather(x.closed.wait(), y.closed.wait())
        await generations.end(0.0)
        assert [len(one.whys) for one in (x, y, z)] == [1, 1, 1]

    asyncio.run(scenario())


def test_after_the_time_of_grace_a_replaced_catalog_is_closed_under_its_requests() -> None:
    async def scenario() -> None:
        generations, old, new = Generations(0.01), Closing(), Closing()
        generations.begin(catalog(old))
        request = generations.enter()
        generations.begin(catalog(new))
        await old.closed.wait()
        assert old.whys[0].message == "the model was replaced; try again"
        generations.leave(request)
        await generations.end(0.0)
        assert [len(one.whys) for one in (old, new)] == [1, 1]

    asyncio.run(scenario())


def test_the_end_waits_for_requests() -> None:
    async def scenario() -> None:
        generations, only = Generations(60.0), Closing()
        generations.begin(catalog(only))
        requests = [generations.enter() for _ in range(3)]
        ending = asyncio.create_task(generations.end(60.0))
        for request in requests:
            await asyncio.sleep(0)
            assert only.whys == []
            generations.leave(request)
        await ending
        assert len(only.whys) == 1

    asyncio.run(scenario())


def test_the_end_does_not_wait_longer_than_the_time_of_grace() -> None:
    async def scenario() -> None:
        generations, only = Generations(60.0), Closing()
        generations.begin(catalog(only))
        request = generations.enter()
        await generations.end(0.0)
        assert isinstance(only.whys[0], ShuttingDown)
        generations.leave(request)

    asyncio.run(scenario())


def test_nothing_holds_on_to_a_catalog_that_is_gone() -> None:
    """Not until the time of grace is over, nor until a collector comes."""

    async def scenario() -> None:
        generations, new = Generations(3600.0), Closing()
        old = Closing()
        weak, closed = weakref.ref(old), old.closed
        generations.begin(catalog(old))
        generations.begin(catalog(new))
        del old
        await closed.wait()
        await asyncio.get_running_loop().shutdown_default_executor()  # its threads let go late
        while generations._closing:
            await asyncio.wait(generations._closing)
        await asyncio.sleep(0)
        assert weak() is None

    gc.collect()
    gc.disable()
    try:
        asyncio.run(scenario())
    finally:
        gc.enable()
