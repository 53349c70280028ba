"""Keys over HTTP: who is let in where, what is told of limits, and who pays."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from service import access as access_module
from service.access import Access
from service.bearer import bearer, needs_key, require_admin
from service.errors import Unauthorized
from service.keys import KeyStore, Standing, Terms, month_of
from service.settings import Settings
from tests.served import app_of
from tests.stand_ins import FakeCatalog
from tests.test_app import refused

NOW = 1_800_000_000.0


class Server:
    """A server with keys, whose clock stands still, and which exchanges nothing by itself."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.now = NOW
        monkeypatch.setattr(access_module, "SYNC_SECONDS", 3600.0)
        monkeypatch.setattr("service.app.Access", lambda file: Access(file, lambda: self.now))
        self.app_key = self.create("app", Terms(rate=60, quota=30))
        self.plain_key = self.create("plain", Terms())
        self.admin_key = self.create("admin", Terms(admin=True))
        self.catalog = FakeCatalog()

    def create(self, name: str, terms: Terms) -> str:
        with KeyStore(self.path) as store:
            return store.create(name, terms, NOW).secret

    def app(self, metrics_need_key: bool = False) -> Any:
        settings = Settings(keys=self.path, metrics_need_key=metrics_need_key)
        app = app_of(self.catalog, settings)
        app.post("/change", dependencies=[Depends(require_admin)])(_done)
        app.get("/metrics")(_done)
        return app

    def standing(self, key: int = 1) -> Standing:
        with KeyStore(self.path) as store:
            return store.standings(month_of(NOW))[key]


async def _done() -> dict[str, str]:
    return {"status": "done"}


def sent(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(tmp_path / "keys.db", monkeypatch)


@pytest.fixture
def client(server: Server) -> Iterator[TestClient]:
    with TestClient(server.app(), raise_server_exceptions=False) as made:
        yield made


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/translate"),
        ("POST", "/align"),
        ("GET", "/align?source_text=a"),
        ("GET", "/models"),
        ("GET", "/languages"),
        ("GET", "/no/such/path"),
        ("PUT", "/translate"),
        ("POST", "/change"),
    ],
)
def test_whatever_is_not_open_needs_a_key(client: TestClient, method: str, path: str) -> None:
    response = client.request(method, path)
    refused(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="interlinea"'


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs",
        "/docs/assets/swagger-ui.css",
        "/openapi.json",
        "/health/live",
        "/health/ready",
        "/metrics",
    ],
)
def test_what_is_open_needs_none(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        ["Bearer"],
        ["Bearer "],
        ["Bearer il_00000000_" + "a" * 43],
        ["Basic aWw6"],
        ["Bearer {key}", "Bearer {key}"],
        ["{key}"],
        ["Bearer {key}x"],
        ["Bearer \xe9"],
    ],
)
def test_what_is_no_key_is_refused(client: TestClient, server: Server, given: list[str]) -> None:
    spelled = [one.format(key=server.plain_key).encode("latin-1") for one in given]
    headers = [(b"Authorization", one) for one in spelled]
    response = client.get("/models", headers=headers)
    refused(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_wrong_key_is_called_so(client: TestClient, server: Server) -> None:
    response = client.get("/models", headers=sent(server.plain_key[:-1] + "!"))
    assert response.headers["WWW-Authenticate"].endswith('error="invalid_token"')


def test_a_key_lets_in(client: TestClient, server: Server) -> None:
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {server.plain_key}"}
        response = client.post("/translate", json={"text": "Thanks"}, headers=headers)
        assert response.status_code == 200
        assert "RateLimit" not in response.headers
    refused(client.get("/nowhere", headers=sent(server.plain_key)), 404, "not_found")


def test_only_an_admin_may_change_the_server(client: TestClient, server: Server) -> None:
    refused(client.post("/change", headers=sent(server.plain_key)), 403, "forbidden")
    assert client.post("/change", headers=sent(server.admin_key)).json() == {"status": "done"}


def test_without_keys_nobody_is_admin() -> None:
    app = app_of(FakeCatalog())
    app.post("/change", dependencies=[Depends(require_admin)])(_done)
    with TestClient(app) as client:
        refused(client.post("/change"), 403, "forbidden")
        assert client.get("/models").status_code == 200


def test_metrics_can_be_for_admins_only(server: Server) -> None:
    with TestClient(server.app(metrics_need_key=True)) as client:
        refused(client.get("/metrics"), 401, "unauthorized")
        refused(client.get("/metrics", headers=sent(server.plain_key)), 403, "forbidden")
        assert client.get("/metrics", headers=sent(server.admin_key)).status_code == 200
    assert needs_key("/metrics", True)
    assert not needs_key("/metrics", False)


def test_what_is_left_is_told_with_every_answer(client: TestClient, server: Server) -> None:
    headers = sent(server.app_key)
    first = client.post("/translate", json={"text": "Thanks"}, headers=headers)
    policy = '"work";q=60;qu="tokens";w=60, "characters";q=30;qu="characters"'
    assert first.headers["RateLimit-Policy"] == policy
    assert first.headers["RateLimit"].startswith('"work";r=52;t=8, "characters";r=24;t=')
    missing = client.get("/nowhere", headers=headers)
    assert missing.headers["RateLimit"] == first.headers["RateLimit"]


def test_a_rate_is_kept(client: TestClient, server: Server) -> None:
    headers, body = sent(server.app_key), {"text": "a"}
    for _ in range(6):  # each reserves 20 and takes 8
        assert client.post("/translate", json=body, headers=headers).status_code == 200
    response = client.post("/translate", json=body, headers=headers)
    detail = refused(response, 429, "rate_limited")
    assert detail == {"work": 20, "left": 12, "limit": 60, "seconds": 8.0}
    assert response.headers["Retry-After"] == "8"
    server.now += 8
    assert client.post("/translate", json=body, headers=headers).status_code == 200


def test_a_quota_is_kept_for_both_sides_of_pairs(client: TestClient, server: Server) -> None:
    pair = {"source_text": "Good day", "target_text": ["Bon", "jour"]}
    body = {"pairs": [pair]}
    response = client.post("/align", json=body, headers=sent(server.app_key))
    assert '"characters";r=14;' in response.headers["RateLimit"]
    response = client.post("/align", json=body, headers=sent(server.app_key))
    detail = refused(response, 429, "quota_exceeded")
    assert (detail["characters"], detail["left"], detail["limit"]) == (16, 14, 30)
    assert int(response.headers["Retry-After"]) > 0
    query = "/align?source_text=abc"
    assert client.get(query, headers=sent(server.app_key)).status_code == 200


def test_use_is_written_down_at_the_end(server: Server) -> None:
    with TestClient(server.app()) as client:
        client.post("/translate", json={"text": "Thanks"}, headers=sent(server.app_key))
    assert server.standing() == Standing(6, 8, 1, 52.0, NOW)


@pytest.mark.parametrize(("text", "paid"), [("fail", 0), ("crash", 0), ("full", 0), ("hm", 8)])
def test_what_fails_by_our_fault_costs_nothing(server: Server, text: str, paid: int) -> None:
    with TestClient(server.app(), raise_server_exceptions=False) as client:
        client.post("/translate", json={"text": text}, headers=sent(server.app_key))
    assert server.standing() == Standing(len(text) if paid else 0, paid, 1, 60.0 - paid, NOW)


@pytest.mark.parametrize(
    ("texts", "paid"),
    [(["Thanks"], (6, 8)), (["Thanks", "fail later"], (0, 0)), (["Thanks", "wait later"], (7, 8))],
)
def test_a_stream_pays_at_its_end_and_one_that_is_left_for_what_was_decoded(
    server: Server, texts: list[str], paid: tuple[int, int]
) -> None:
    asyncio.run(stream(server.app(), texts, server.app_key, server.catalog))
    standing = server.standing()
    assert (standing.characters, standing.work) == paid
    assert standing.level == 60.0 - paid[1]
    assert server.catalog.translator.streams_closed == 1


async def stream(app: Any, texts: list[str], key: str, catalog: FakeCatalog) -> None:
    """Ask for a stream, and leave when it waits."""
    inbox: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    inbox.put_nowait({"type": "http.request", "body": json.dumps({"text": texts}).encode()})
    headers = [(b"accept", b"text/event-stream"), (b"authorization", b"Bearer " + key.encode())]
    path = {"method": "POST", "path": "/translate", "query_string": b""}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            names = [name for name, _ in message["headers"]]
            assert names.count(b"ratelimit") == 1

    async with app.router.lifespan_context(app):
        scope = {"type": "http", "headers": headers, **path}
        served = asyncio.create_task(app(scope, inbox.get, send))
        if texts[-1] == "wait later":
            await asyncio.wait_for(catalog.translator.started.wait(), 5)
            inbox.put_nowait({"type": "http.disconnect"})
        await asyncio.wait_for(served, 5)


def test_a_revoked_key_is_refused_after_the_next_exchange(server: Server) -> None:
    async def live() -> list[int]:
        app, found = server.app(), []
        async with app.router.lifespan_context(app):
            found.append(await status(app, server.plain_key))
            with KeyStore(server.path) as store:
                store.revoke("plain", NOW)
            await app.state.access.sync()
            found.append(await status(app, server.plain_key))
        return found

    assert asyncio.run(live()) == [200, 401]


async def status(app: Any, key: str) -> int:
    """The status of `GET /models`."""
    found: list[int] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    headers = [(b"authorization", b"Bearer " + key.encode())]
    scope = {"type": "http", "method": "GET", "path": "/models", "query_string": b""}
    await app({**scope, "headers": headers}, receive, send)
    return found[0]


def test_no_key_is_logged(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        TestClient(server.app(), raise_server_exceptions=False) as client,
    ):
        for text in ("Thanks", "crash", "fail", "full"):
            client.post("/translate", json={"text": text}, headers=sent(server.plain_key))
        client.get("/models", headers=sent(server.plain_key + "x"))
    assert "request" in caplog.text
    assert server.plain_key.rpartition("_")[2] not in caplog.text


def test_a_refusal_does_not_repeat_the_key(client: TestClient, server: Server) -> None:
    wrong = server.plain_key[:-1] + "!"
    response = client.get("/models", headers=sent(wrong))
    assert wrong.rpartition("_")[2] not in response.text + str(response.headers)


@pytest.mark.parametrize("build", [lambda: Headers({}), lambda: Headers({"authorization": "x"})])
def test_a_header_that_is_no_bearer_is_refused(build: Callable[[], Headers]) -> None:
    with pytest.raises(Unauthorized):
        bearer(build())
