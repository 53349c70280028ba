"""A real server on a real socket, and clients that write what they like."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from service.connections import bounded
from service.settings import Settings
from service.traffic import Traffic
from tests.served import app_of
from tests.stand_ins import FakeCatalog

LIVE = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
METRICS = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
LANGUAGES = b"GET /languages HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /translate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        """Read one answer: status, headers, and its body, if it is JSON what that says."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in pairs}
            body = await self.reader.readexactly(int(headers["content-length"]))
        is_json = headers["content-type"] == "application/json"
        return int(head[0].split()[1]), headers, json.loads(body) if is_json else body

    async def ask(self, request: bytes) -> int:
        """Send a request, and return the status of its answer."""
        await self.send(request)
        return (await self.answer())[0]

    async def refused(self, status: int, code: str) -> Any:
        """Read a refusal, after which the server hangs up; return its detail."""
        found, headers, body = await self.answer()
        assert (found, body["error"]["code"]) == (status, code)
        assert body["error"]["request_id"] == headers["x-request-id"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["connection"] == "close"
        assert await self.rest() == b""
        return body["error"].get("detail")

    async def rest(self) -> bytes:
        """What comes until the server hangs up."""
        async with asyncio.timeout(10):
            return await self.reader.read()


class House:
    """A server, and the clients that connect to it."""

    def __init__(self, settings: Settings) -> None:
        self.catalog = FakeCatalog()
        self.state = ServerState()
        self.app = app_of(self.catalog, settings)
        self.config = uvicorn.Config(
            self.app,
            ws="none",
            log_config=None,
            http=bounded(settings, self.app.state.watchers),
            proxy_headers=False,
        )
        self.config.load()
        self.port = 0
        self.clients: list[Client] = []

    def traffic(self) -> Traffic:
        """What was counted of the requests."""
        (found,) = (one for one in self.app.state.watchers if isinstance(one, Traffic))
        return found

    def protocol(self) -> asyncio.Protocol:
        kind = cast(Any, self.config.http_protocol_class)
        made: asyncio.Protocol = kind(config=self.config, server_state=self.state, app_state={})
        return made

    async def connect(self) -> Client:
        self.clients.append(Client(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.clients[-1]

    async def live(self, visit: "Visit") -> None:
        loop = asyncio.get_running_loop()
        async with self.app.router.lifespan_context(self.app):
            server = await loop.create_server(self.protocol, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            try:
                await visit(self)
            finally:
                for client in self.clients:
                    client.writer.close()
                server.close()
                async with asyncio.timeout(10):
                    await asyncio.gather(*self.state.tasks)


async def emptied(house: House) -> None:
    """Wait until the server has seen that everybody has gone."""
    async with asyncio.timeout(10):
        while house.state.connections:
            await asyncio.sleep(0)


Visit = Callable[[House], Awaitable[None]]


def serve(visit: Visit, settings: Settings | None = None) -> None:
    """Let `visit` connect to a server with these settings."""
    asyncio.run(House(settings or Settings()).live(visit))
