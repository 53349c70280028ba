"""Leases: a request has its catalog until its answer is sent, a stream until its end."""

import asyncio

import pytest
from starlette.testclient import TestClient

from service.life import Life
from tests.served import app_of, visiting
from tests.stand_ins import FakeCatalog
from tests.test_app import refused


def test_a_stream_holds_the_bundle_that_it_began_with_until_its_end() -> None:
    async def scenario() -> None:
        old, new = FakeCatalog(), FakeCatalog()
        old.following = new
        app = app_of(old)
        life: Life = app.state.life
        body = {"text": ["Thanks", "wait later"]}
        async with visiting(app, old, body, b"text/event-stream") as sent:
            assert (await life.reload()).replaced
            assert not old.translator.is_closed()
            assert sent[0]["status"] == 200
        assert old.translator.is_closed()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/translate", {"text": "Thanks"}, 200),
        ("/translate", {"text": "fail"}, 500),
        ("/translate", {"text": 5}, 422),
        ("/models/reload", None, 403),
    ],
)
def test_no_lease_is_left(path: str, body: object, status: int) -> None:
    app = app_of(FakeCatalog())
    with TestClient(app) as client:
        for _ in range(3):
            assert client.post(path, json=body).status_code == status
        (generation,) = app.state.life._generations._living
        assert generation.users == 0


def test_who_is_served_while_it_drains_is_sent_elsewhere() -> None:
    app = app_of(FakeCatalog())
    with TestClient(app) as client:
        assert "Connection" not in client.get("/models").headers
        app.state.life.drain()
        response = client.post("/translate", json={"text": "Thanks"})
        assert response.status_code == 200
        assert response.headers["Connection"] == "close"
        refused(client.get("/health/ready"), 503, "shutting_down")
        assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize("path", ["/models", "/languages", "/align?source_text=Thanks"])
def test_when_it_refuses_it_says_so_with_a_type(path: str) -> None:
    app = app_of(FakeCatalog())
    with TestClient(app) as client:
        app.state.life.refuse()
        response = client.get(path)
        refused(response, 503, "shutting_down")
        assert response.headers["Connection"] == "close"
        assert response.headers["Retry-After"] == "1"
        assert client.get("/health/live").status_code == 200


def test_until_bundles_are_loaded_only_health_and_documentation_answer() -> None:
    app = app_of(FakeCatalog(), waits=False)
    with TestClient(app) as client:
        assert client.get("/health/live").status_code == 200
        assert client.get("/docs").status_code == 200
        for path in ("/health/ready", "/models", "/languages", "/align?source_text=Thanks"):
            response = client.get(path)
            refused(response, 503, "unavailable")
            assert response.headers["Retry-After"] == "1"
        assert client.portal is not None
        client.portal.call(app.state.life.load)
        assert client.get("/health/ready").status_code == 200
        assert client.get("/models").status_code == 200
