"""Every request has a lease on the catalog, from its first look until its answer is sent.

A stream is a request too, so a bundle that is replaced meanwhile lives until the stream's end.
"""

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.catalog import Catalog
from service.life import Lease, Life


class Leases:
    """Middleware that gives each request its lease and takes it back; see `catalog_of`."""

    def __init__(self, app: ASGIApp, life: Life) -> None:
        self._app, self._life = app, life

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        lease = scope.setdefault("state", {})["lease"] = self._life.lease()

        async def send_away(message: Message) -> None:
            """Let a client that comes again come by another connection, elsewhere."""
            if message["type"] == "http.response.start" and self._life.draining:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        try:
            await self._app(scope, receive, send_away)
        finally:
            lease.release()


def catalog_of(request: Request) -> Catalog:
    """The catalog that a request began with; raises `Unavailable` or `ShuttingDown`."""
    lease: Lease = request.state.lease
    return lease.catalog()
