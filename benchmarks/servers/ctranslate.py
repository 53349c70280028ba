"""CTranslate2 behind a minimal FastAPI app: what one would write in an afternoon.

CTranslate2 does not merge the calls of different requests, so the app does: whenever one of
its two translators is free it takes all that waits, up to 32 texts, and nobody waits for a
batch to fill. Answers are the text alone.
"""

import asyncio
from dataclasses import dataclass

from fastapi import FastAPI

from benchmarks.servers.batching import Batcher
from benchmarks.servers.peer import Peer
from service import cores

SIZE = 32


@dataclass(frozen=True, slots=True)
class Ask:
    """The body of a request."""

    text: str | list[str]
    source: str
    target: str


def create_app() -> FastAPI:
    """A route, a model, and a batcher between them."""
    lanes = cores.usable()
    peer = Peer("int8", batches=lanes, threads=1)

    async def lane(texts: list[str]) -> list[str]:
        return await asyncio.to_thread(peer.translate, texts, 1)

    batches = Batcher([lane] * lanes, SIZE, 0.0)

    async def translate(ask: Ask) -> dict[str, list[str]]:
        texts = [ask.text] if isinstance(ask.text, str) else ask.text
        return {"translations": await batches.run(texts)}

    app = FastAPI()
    app.post("/translate")(translate)
    return app
