"""Coroutines run to their end by code that is not asynchronous."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from model_export.wait import wait


class Unspeakable:
    """Something that must not be spelled out."""

    def __repr__(self) -> str:
        raise AssertionError("nobody asked")


async def soon(result: object) -> object:
    await asyncio.sleep(0)
    return result


def test_what_the_work_returns_is_returned_without_being_spelled_out() -> None:
    result = Unspeakable()
    assert wait(soon(result)) is result
    assert wait(soon(3)) == 3, "and again"


def test_what_the_work_raises_is_raised() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wait(fails())


def test_generators_that_were_left_are_closed() -> None:
    closed: list[str] = []

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append("here")

    left = numbers()

    async def first() -> int:
        return await anext(left)

    assert wait(first()) == 1
    assert closed == ["here"]
