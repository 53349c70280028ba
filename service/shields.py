"""Headers that keep a browser from doing more with an answer than it was made for.

Answers hold what people wrote, so no cache may keep them; only the documentation may be kept, if
it is asked for again whether it changed. No page may frame an answer, and none may run what is in
it; the documentation's page says for itself what it needs.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.responses import path_of

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
DOCUMENTATION = ("/docs", "/openapi.json")

_SPELLED = tuple((name.lower().encode(), value.encode()) for name, value in EVERYWHERE.items())
_CACHE = b"cache-control"


class Shields:
    """Middleware that adds what an answer does not say itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        public = path_of(scope).startswith(DOCUMENTATION)
        added = (*_SPELLED, (_CACHE, b"no-cache" if public else b"no-store"))

        async def send_shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                said = {name for name, _ in headers}
                message["headers"] = headers + [one for one in added if one[0] not in said]
            await send(message)

        await self._app(scope, receive, send_shielded)
