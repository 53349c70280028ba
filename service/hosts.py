"""The host names that the server answers to; any other is refused.

Without this a page of a stranger could have its own name lead to this machine (DNS rebinding), and
read what a browser on this network gets. `/health/` and `/metrics` answer to every name, since who
checks on a container calls it by its address, and neither tells of any text.
"""

import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import UnknownHost
from service.responses import path_of, refusal

HEALTH, METRICS = "/health/", "/metrics"

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:/?#@\s]+))(?::[0-9]*)?")


class Hosts:
    """Middleware that lets through requests for `names`; `*.example.org` is what lies below it."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = frozenset(names)
        self._endings = tuple(name[1:] for name in names if name.startswith("*"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        path = path_of(scope)
        if scope["type"] != "http" or path.startswith(HEALTH) or path == METRICS:
            await self._app(scope, receive, send)
            return
        host = named(Headers(scope=scope).getlist("host"))
        if host in self._names or host.endswith(self._endings):
            await self._app(scope, receive, send)
            return
        error = UnknownHost("the server does not answer to this host name")
        await refusal(error, scope["state"]["request_id"])(scope, receive, send)


def named(given: list[str]) -> str:
    """The name in the header `Host`, in lower case and without its port; empty if it has none."""
    found = _HOST.fullmatch(given[0].lower()) if len(given) == 1 else None
    return (found[1] or found[2].removesuffix(".")) if found else ""
