"""Every request is watched from its first byte to its last, by whoever wants to know.

Watchers see a `Visit`, whose route is a template out of the application's routes and never the
path that was asked for; what no route fits shares one name.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from starlette.datastructures import Headers
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Cancelled, InterlineaError
from service.visit import CURRENT, Visit

UNKNOWN = "unknown"
"""The route of what no route fits."""

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
OTHER = "OTHER"
"""The method of what is called by no usual name."""

_EVENTS = b"text/event-stream"


class Watcher(Protocol):
    """Who is told of every request when it comes and when it is over."""

    def begin(self, visit: Visit, headers: Mapping[str, str]) -> None:
        """See a request come."""
        ...

    def end(self, visit: Visit) -> None:
        """See a request whose answer is out, or whose client has left."""
        ...


class Watching:
    """Middleware around all that may answer but `RequestIds`; the visit is in `CURRENT`.

    It stays there for the task that serves the connection, so that what the server logs about
    this request afterwards has its name too.
    """

    def __init__(self, app: ASGIApp, watchers: Sequence[Watcher]) -> None:
        self._app = app
        self._watchers = watchers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else OTHER
        visit = Visit(scope["state"]["request_id"], method)
        CURRENT.set(visit)
        headers = Headers(scope=scope)
        for watcher in self._watchers:
            watcher.begin(visit, headers)

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note_start(visit, message)
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except BaseException as error:
            known = Cancelled if isinstance(error, asyncio.CancelledError) else InterlineaError
            visit.code = visit.code or known.code
            raise
        finally:
            visit.route, visit.ended = _route(scope), time.monotonic()
            for watcher in self._watchers:
                watcher.end(visit)


def tell_refused(watchers: Sequence[Watcher], request_id: str, error: InterlineaError) -> None:
    """Tell of what was refused before it had become a request."""
    visit = Visit(request_id, OTHER, route=UNKNOWN, status=error.status, code=error.code)
    outside = CURRENT.set(visit)
    try:
        for watcher in watchers:
            watcher.begin(visit, {})
        visit.ended = time.monotonic()
        for watcher in watchers:
            watcher.end(visit)
    finally:
        CURRENT.reset(outside)


def _note_start(visit: Visit, message: Message) -> None:
    visit.status = message["status"]
    for name, value in message.get("headers", ()):
        if name == b"content-type":
            visit.streaming = value.startswith(_EVENTS)


def _route(scope: Scope) -> str:
    """The template of the route that was taken, or of what else lies at the path asked for."""
    if (taken := scope.get("route")) is not None:
        return _template(taken)
    root = scope.get("app_root_path", scope.get("root_path", ""))  # as before a mount was entered
    asked = {key: scope[key] for key in ("type", "method", "path")} | {"root_path": root}
    for route in scope["app"].routes:
        if route.matches(dict(asked))[0] is not Match.NONE:
            return _template(route)
    return UNKNOWN


def _template(route: Any) -> str:
    return f"{route.path}/{{path}}" if isinstance(route, Mount) else str(route.path)
