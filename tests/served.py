"""The whole service over a toy translator, as a client meets it."""

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
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


def app_of(catalog: FakeCatalog, settings: Settings | None = None, waits: bool = True) -> FastAPI:
    """Return a server of canned answers."""
    return create_app(settings or Settings(), lambda _: cast(Catalog, catalog), waits)


@asynccontextmanager
async def visiting(
    app: FastAPI,
    catalog: FakeCatalog,
    body: object,
    accept: bytes = b"*/*",
    method: str = "POST",
    path: str = "/translate",
    query: bytes = b"",
) -> AsyncIterator[list[Any]]:
    """Be a client whose work has been started, and leave at the end; yields what is sent to it."""
    inbox: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    inbox.put_nowait({"type": "http.request", "body": json.dumps(body).encode()})
    sent: list[Any] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(b"accept", accept)],
    }
    async with app.router.lifespan_context(app):
        served = asyncio.create_task(app(scope, inbox.get, send))
        await asyncio.wait_for(catalog.translator.started.wait(), 5)
        assert not served.done()
        yield sent
        inbox.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(served, 5)


async def visit_and_leave(
    app: FastAPI, catalog: FakeCatalog, body: object, accept: bytes
) -> list[Any]:
    """Post a translation, go once it has been started, and return what was sent."""
    async with visiting(app, catalog, body, accept) as sent:
        return sent
