"""Every request has a name, the client's or a new one, and every answer carries it."""

import random
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-ID"

_ACCEPTED = re.compile(r"[!-~]{1,128}")


class RequestIds:
    """Middleware, outermost, so that no answer escapes it; the id is `request.state.request_id`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = accepted(Headers(scope=scope).get(HEADER)) or new()
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        await self._app(scope, receive, send_named)


def new() -> str:
    """A name of 32 hexadecimal digits: unlike all others, and no secret.

    The system's own random numbers would let go of the interpreter, and have to wait for it.
    """
    return f"{random.getrandbits(128):032x}"


def accepted(given: str | None) -> str | None:
    """The client's id if it is 1 to 128 visible ASCII characters, else None."""
    return given if given is not None and _ACCEPTED.fullmatch(given) else None
