"""Who comes over one connection too many is sent away, but for health checks and metrics.

`connections` counts them and marks the request. It is refused here, as any other request is, so
that metrics and the access log know of it: a server that has too much to do must not look dead.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import TooManyConnections
from service.hosts import HEALTH, METRICS
from service.responses import path_of, refusal

MARK = "too_many_connections"
"""Name in the state of a marked request; its value is how many connections may be open."""


class Crowds:
    """Middleware that refuses what was marked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        limit = scope["state"].get(MARK) if scope["type"] == "http" else None
        path = path_of(scope)
        if limit is None or path.startswith(HEALTH) or path == METRICS:
            await self._app(scope, receive, send)
            return
        error = TooManyConnections(f"more than {limit} connections are open", {"limit": limit})
        await refusal(error, scope["state"]["request_id"])(scope, receive, send)
