"""A pair seen from both directions: aligned by two models at once, and their links merged.

The model of the asked direction reads the texts and decides what the words are; the other takes
over both, so that an index means the same word in both directions, whatever their word rules.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from service.alignment import Link, pharaoh
from service.demand import UNMETERED, Meter
from service.options import Options, Pair
from service.symmetrization import Method, merge
from service.translation import Alignment
from service.translator import Translator

First = TypeVar("First")
Second = TypeVar("Second")


async def align_both_ways(
    forward: Translator,
    backward: Translator,
    pairs: Sequence[Pair],
    options: Options,
    method: Method,
    meter: Meter = UNMETERED,
) -> list[Alignment]:
    """Align pairs by two translators of opposite directions, and merge each pair's links.

    Matrix, score and diagnostics are those of `forward`. Raises as `Translator.align` does; what
    fails in one direction drops the work of the other.
    """
    backward.check(options)  # before the other one works for nothing
    begun = any(pair.target is None for pair in pairs)
    ready = await forward.prepare_pairs(pairs, options, meter, passes=2)
    turned = backward.turn_pairs(ready)
    links_only = replace(options, attention="none", diagnostics=False)
    ahead, back = await _together(
        forward.force(ready, options, meter, begun),
        backward.force(turned, links_only, meter, begun),
    )
    return [_merged(one, other, method) for one, other in zip(ahead, back, strict=True)]


def _merged(forward: Alignment, backward: Alignment, method: Method) -> Alignment:
    turned = [Link(link.target, link.source, link.score) for link in backward.alignment]
    links = merge(forward.alignment, turned, method)
    return replace(forward, alignment=tuple(links), pharaoh=pharaoh(links))


async def _together(
    first: Coroutine[Any, Any, First], second: Coroutine[Any, Any, Second]
) -> tuple[First, Second]:
    """Await two coroutines at once; the first failure cancels the other, and is raised as it is."""
    tasks = asyncio.create_task(first), asyncio.create_task(second)
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
