"""Plain data as JSON, at once or piece by piece, so that a large answer holds up nobody else's.

Arrays in the data are matrices; the visit counts their bytes.
"""

import asyncio
from collections.abc import Iterable

import orjson

from service.visit import CURRENT

TURN = 65_536
"""Bytes that are written before the others have the event loop: a millisecond's worth."""


def to_json(content: object) -> bytes:
    """Return data as JSON."""
    return orjson.dumps(content, default=_matrix)


async def pieces(items: Iterable[object]) -> list[orjson.Fragment]:
    """Return items as JSON, each made and written in its turn, for `to_json` to put together."""
    done: list[orjson.Fragment] = []
    count = 0
    for item in items:
        written = to_json(item)
        done.append(orjson.Fragment(written))
        count += len(written)
        if count >= TURN:
            count = 0
            await asyncio.sleep(0)
    return done


def _matrix(weights: object) -> orjson.Fragment:
    written = orjson.dumps(weights, option=orjson.OPT_SERIALIZE_NUMPY)
    if (visit := CURRENT.get()) is not None:
        visit.attention_bytes += len(written)
    return orjson.Fragment(written)
