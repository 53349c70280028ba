"""The whole service over a toy translator, as a client meets it."""

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any, cast

from fastapi import FastAPI
from starlette.testclient import TestClient

from service.app import create_app
from service.catalog import Catalog
from service.settings import Settings
from service.translator import Translator
from tests.stand_ins import FakeCatalog


def client_of(translator: Translator, settings: Settings | None = None) -> TestClient:
    """Return a client of a server that has one bundle; it starts as the client is entered."""

    def load(_: Settings) -> Catalog:
        return Catalog([translator])

    return TestClient(create_app(settings or Settings(), load))


def app_of(catalog: FakeCatalog, settings: Settings | None = None) -> FastAPI:
    """Return a server of canned answers."""
    return create_app(settings or Settings(), lambda _: cast(Catalog, catalog))


async def visit_and_leave(app: FastAPI, catalog: FakeCatalog, body: object, accept: bytes) -> None:
    """Post a translation, and go once it has been started."""
    inbox: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    inbox.put_nowait({"type": "http.request", "body": json.dumps(body).encode()})

    async def send(message: MutableMapping[str, Any]) -> None:
        """Let it go."""

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/translate",
        "query_string": b"",
        "headers": [(b"accept", accept)],
    }
    async with app.router.lifespan_context(app):
        served = asyncio.create_task(app(scope, inbox.get, send))
        await asyncio.wait_for(catalog.translator.started.wait(), 5)
        inbox.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(served, 5)
