"""Watching: every request is seen once, by a name out of our routes, whatever comes of it."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from service.request_ids import RequestIds
from service.visit import CURRENT, Visit
from service.watching import Watching


class Notes:
    """A watcher that writes everything down."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str | None]] = []
        self.ended: list[Visit] = []

    def begin(self, visit: Visit, headers: Mapping[str, str]) -> None:
        self.begun.append((visit.request_id, headers.get("traceparent")))

    def end(self, visit: Visit) -> None:
        self.ended.append(visit)


async def _hello(request: Request) -> Response:
    visit = CURRENT.get()
    assert visit is not None
    visit.model = request.path_params.get("name")
    return Response("hello")


async def _broken(request: Request) -> Response:
    raise ZeroDivisionError


async def _events(request: Request) -> Response:
    async def events() -> Any:
        yield b"one"
        visit = CURRENT.get()
        assert visit is not None
        assert visit.streaming
        yield b"two"

    return StreamingResponse(events(), media_type="text/event-stream")


def app_of(notes: Notes) -> Starlette:
    return Starlette(
        routes=[
            Route("/hello/{name}", _hello),
            Route("/broken", _broken),
            Route("/events", _events),
            Mount("/files", routes=[Route("/{file}", _hello)]),
        ],
        middleware=[Middleware(RequestIds), Middleware(Watching, watchers=[notes])],
    )


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def client(notes: Notes) -> TestClient:
    return TestClient(app_of(notes), raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("method", "path", "seen"),
    [
        ("GET", "/hello/you?and=me", ("GET", "/hello/{name}", 200)),
        ("HEAD", "/hello/you", ("HEAD", "/hello/{name}", 200)),
        ("POST", "/hello/you", ("POST", "/hello/{name}", 405)),
        ("BREW", "/hello/you", ("OTHER", "/hello/{name}", 405)),
        ("GET", "/goodbye", ("GET", "unknown", 404)),
        ("GET", "/goodbye/%0a/x", ("GET", "unknown", 404)),
        ("GET", "/files/nothing/here", ("GET", "/files/{path}", 404)),
        ("GET", "/events", ("GET", "/events", 200)),
    ],
)
def test_a_request_is_known_by_its_route(
    client: TestClient, notes: Notes, method: str, path: str, seen: tuple[str, str, int]
) -> None:
    client.request(method, path, headers={"X-Request-ID": "me", "Traceparent": "00-a-b-01"})
    assert notes.begun == [("me", "00-a-b-01")]
    (visit,) = notes.ended
    assert (visit.method, visit.route, visit.status) == seen
    assert visit.request_id == "me"
    assert visit.code is None
    assert visit.started < visit.ended


def test_the_prefix_of_a_proxy_is_no_part_of_a_route(notes: Notes) -> None:
    client = TestClient(app_of(notes), root_path="/translations")
    for path in ("/hello/you", "/files/nothing/here"):
        client.get(path)
    assert [visit.route for visit in notes.ended] == ["/hello/{name}", "/files/{path}"]


def test_work_finds_the_visit_and_writes_into_it(client: TestClient, notes: Notes) -> None:
    client.get("/hello/you")
    client.get("/events")
    assert [visit.model for visit in notes.ended] == ["you", None]
    assert [visit.streaming for visit in notes.ended] == [False, True]


def test_what_breaks_is_seen_too(client: TestClient, notes: Notes) -> None:
    client.get("/broken")
    (visit,) = notes.ended
    assert (visit.route, visit.status, visit.code) == ("/broken", 0, "internal_error")


def test_what_is_broken_off_was_cancelled(notes: Notes) -> None:
    started = asyncio.Event()

    async def never(scope: Any, receive: Any, send: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    async def visit() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "app": Starlette()}
        watching = Watching(never, [notes])
        served = asyncio.create_task(watching({**scope, "state": {"request_id": "me"}}, _r, _s))
        await asyncio.wait_for(started.wait(), 5)
        served.cancel()
        await asyncio.gather(served, return_exceptions=True)

    asyncio.run(visit())
    assert [visit.code for visit in notes.ended] == ["cancelled"]


async def _r() -> Any:
    """There is nothing to receive."""


async def _s(message: Any) -> None:
    """Nobody reads it."""


def test_other_kinds_of_connection_pass(notes: Notes) -> None:
    with TestClient(app_of(notes)):
        assert not notes.begun
