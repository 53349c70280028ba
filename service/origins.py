"""Pages of other origins that may ask from a browser: cross-origin resource sharing.

Cookies are never allowed, as the server has none; a page sends a key in a header of its own.
"""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import OriginNotAllowed
from service.request_ids import HEADER
from service.responses import refusal

METHODS = ("GET", "POST")
SENT = ("Authorization", "Content-Type", HEADER)
SHOWN = (HEADER, "Retry-After", "Server-Timing", "RateLimit", "RateLimit-Policy")
KEPT_SECONDS = 600
"""How long a browser may rely on what it was told."""


class Origins(CORSMiddleware):
    """Middleware that lets the pages of `origins` read answers."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=SHOWN,
            max_age=KEPT_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; what a browser asks before it sends a request is answered here."""
        if not _is_preflight(scope):
            await super().__call__(scope, receive, send)
            return
        answered = self.preflight_response(Headers(scope=scope))
        if answered.status_code != 200:
            what = bytes(answered.body).decode().removeprefix("Disallowed CORS ")
            error = OriginNotAllowed(f"a page may not ask this here, because of its {what}")
            vary = answered.headers["Vary"]
            answered = refusal(error, scope["state"]["request_id"])
            answered.headers["Vary"] = vary
        await answered(scope, receive, send)


def _is_preflight(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "OPTIONS":
        return False
    headers = Headers(scope=scope)
    return "origin" in headers and "access-control-request-method" in headers
