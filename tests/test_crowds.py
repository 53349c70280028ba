"""A marked request is refused, but for what watches the server."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.crowds import MARK, Crowds
from service.responses import answer


def status(path: str, state: dict[str, Any]) -> int:
    """The status of the answer to a GET, 204 where the application itself gave it."""
    told: list[Message] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await answer({}, 204)(scope, receive, send)

    async def send(message: Message) -> None:
        told.append(message)

    async def receive() -> Message:
        raise AssertionError("nobody reads the body of such a request")

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": "",
        "headers": [],
    }
    scope["state"] = {"request_id": "a", **state}
    asyncio.run(Crowds(application)(scope, receive, send))
    return int(told[0]["status"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/translate", 503),
        ("/", 503),
        ("/metrics/", 503),
        ("/metrics", 204),
        ("/health/live", 204),
        ("/health/ready", 204),
    ],
)
def test_what_is_marked_is_refused_but_for_who_watches(path: str, expected: int) -> None:
    assert status(path, {MARK: 4}) == expected
    assert status(path, {}) == 204
