"""Request ids: the client's where it is harmless, else a new one; on every answer."""

import re

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.request_ids import accepted
from service.settings import Settings


@pytest.fixture
def client() -> TestClient:
    return TestClient(create_app(Settings()))  # not started: nothing here needs a catalog


@pytest.mark.parametrize("given", ["a", "!~", "x" * 128, "0b5e-4f/=+"])
def test_a_harmless_id_is_kept(client: TestClient, given: str) -> None:
    assert accepted(given) == given
    response = client.get("/health/live", headers={"X-Request-ID": given})
    assert response.headers.get_list("X-Request-ID") == [given]


@pytest.mark.parametrize("given", [None, "", " ", "a b", "é", "a\tb", "a\n", "x" * 129, "\x7f"])
def test_any_other_is_replaced(given: str | None) -> None:
    assert accepted(given) is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health/live", 200),
        ("GET", "/docs", 200),
        ("GET", "/docs/assets/swagger-ui.css", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/", 307),
        ("GET", "/nowhere", 404),
        ("GET", "/docs/assets/nowhere", 404),
        ("GET", "/translate", 405),
        ("POST", "/translate", 400),
        ("GET", "/models", 503),
    ],
)
def test_every_answer_carries_one(client: TestClient, method: str, path: str, status: int) -> None:
    answers = [client.request(method, path, follow_redirects=False) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {status}
    ids = {answer.headers["X-Request-ID"] for answer in answers}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
