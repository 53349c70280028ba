"""Answers to clients of HTTP/1.0, which know no chunks (RFC 9112, 6.1).

What has no length goes out as it is, and ends with the connection.
"""

from typing import Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Framing(Protocol):
    """How uvicorn marks the end of an answer: by chunks, or by the bytes that are still to come."""

    chunked_encoding: bool | None
    expected_content_length: int


class Unframed:
    """An application whose answers of unknown length are sent without chunks."""

    def __init__(self, app: ASGIApp, framing: Framing) -> None:
        self._app, self._framing = app, framing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        endless = False

        async def send_plain(message: Message) -> None:
            nonlocal endless
            if message["type"] == "http.response.start":
                endless = all(name != b"content-length" for name, _ in message["headers"])
                if endless:
                    self._framing.chunked_encoding = False
            elif endless:
                self._framing.expected_content_length = len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, send_plain)
