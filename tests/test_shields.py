"""The headers for browsers: on every answer, and no cache keeps what people wrote."""

import pytest
from starlette.testclient import TestClient

from service.shields import EVERYWHERE
from tests.served import app_of
from tests.stand_ins import FakeCatalog


@pytest.fixture
def client() -> TestClient:
    return TestClient(app_of(FakeCatalog()), raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/translate", {"text": "Thanks"}),
        ("POST", "/translate", {"text": "crash"}),
        ("POST", "/translate", {}),
        ("GET", "/align?source_text=a", None),
        ("GET", "/models", None),
        ("GET", "/nowhere", None),
    ],
)
def test_no_cache_keeps_an_answer_and_no_page_frames_it(
    client: TestClient, method: str, path: str, body: object
) -> None:
    headers = client.request(method, path, json=body).headers
    assert {name: headers[name] for name in EVERYWHERE} == EVERYWHERE
    assert headers["Cache-Control"] == "no-store"
    assert "'none'" in headers["Content-Security-Policy"]


def test_neither_does_a_stream(client: TestClient) -> None:
    headers = {"Accept": "text/event-stream"}
    response = client.post("/translate", json={"text": "Thanks"}, headers=headers)
    assert response.headers.get_list("Cache-Control") == ["no-store"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/docs", "/docs/assets/swagger-ui.css", "/openapi.json"])
def test_the_documentation_may_be_kept_while_it_is_the_same(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
