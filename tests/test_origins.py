"""Pages of other origins: nobody by default, then those on the list and no others."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.settings import Settings
from tests.served import app_of
from tests.sockets import LANGUAGES, House, serve
from tests.stand_ins import FakeCatalog

PAGE = "https://page.example.org"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-request-id",
}


def client(*origins: str, keys: Path | None = None) -> TestClient:
    settings = Settings(cors_origins=origins, keys=keys)
    return TestClient(app_of(FakeCatalog(), settings))


def allowed(response: Any) -> str | None:
    found: str | None = response.headers.get("Access-Control-Allow-Origin")
    return found


def test_by_default_no_page_may_read_an_answer() -> None:
    with client() as opened:
        response = opened.get("/models", headers={"Origin": PAGE})
        assert not [name for name in response.headers if name.startswith("access-control")]
        assert opened.options("/translate", headers=PREFLIGHT).status_code == 405


def test_a_page_on_the_list_may() -> None:
    with client(PAGE, "http://localhost:3000") as opened:
        for origin in (PAGE, "http://localhost:3000"):
            response = opened.get("/models", headers={"Origin": origin})
            assert allowed(response) == origin
            assert "Origin" in response.headers["Vary"]
            shown = response.headers["Access-Control-Expose-Headers"].split(", ")
            assert {"X-Request-ID", "Retry-After", "Server-Timing", "RateLimit"} <= set(shown)
            assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.org", "http://page.example.org", PAGE + ".evil.org", "null"]
)
def test_any_other_may_not(origin: str) -> None:
    with client(PAGE) as opened:
        assert allowed(opened.get("/models", headers={"Origin": origin})) is None
        response = opened.options("/translate", headers={**PREFLIGHT, "Origin": origin})
        assert response.status_code == 403
        assert allowed(response) is None
        assert response.json()["error"]["code"] == "origin_not_allowed"


def test_a_browser_is_told_what_it_may_send() -> None:
    with client(PAGE) as opened:
        response = opened.options("/translate", headers=PREFLIGHT)
        assert response.status_code == 200
        assert allowed(response) == PAGE
        assert response.headers["Access-Control-Allow-Methods"] == "GET, POST"
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        assert "X-Request-ID" in response.headers


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("Access-Control-Request-Method", "DELETE", "method"),
        ("Access-Control-Request-Headers", "x-secret", "headers"),
    ],
)
def test_and_nothing_else(name: str, value: str, what: str) -> None:
    with client(PAGE) as opened:
        response = opened.options("/translate", headers={**PREFLIGHT, name: value})
        assert response.status_code == 403
        assert response.json()["error"]["message"].endswith(f"its {what}")


def test_a_page_can_read_why_it_is_refused_and_a_preflight_needs_no_key(tmp_path: Path) -> None:
    with client(PAGE, keys=tmp_path / "keys.db") as opened:
        assert opened.options("/translate", headers=PREFLIGHT).status_code == 200
        response = opened.get("/models", headers={"Origin": PAGE})
        assert response.status_code == 401
        assert allowed(response) == PAGE


def test_a_page_can_read_that_it_asked_under_a_wrong_name() -> None:
    app = app_of(FakeCatalog(), Settings(cors_origins=(PAGE,), hosts=("example.org",)))
    with TestClient(app) as opened:
        assert opened.options("/translate", headers=PREFLIGHT).status_code == 200
        for origin, expected in ((PAGE, PAGE), ("https://evil.org", None)):
            response = opened.get("/models", headers={"Origin": origin})
            assert response.status_code == 421
            assert allowed(response) == expected


def test_a_page_can_read_that_there_is_a_crowd() -> None:
    async def visit(house: House) -> None:
        *_, fifth = [await house.connect() for _ in range(5)]
        await fifth.send(LANGUAGES[:-2] + f"Origin: {PAGE}\r\n\r\n".encode())
        status, headers, _ = await fifth.answer()
        assert (status, headers["access-control-allow-origin"]) == (503, PAGE)

    serve(visit, Settings(max_connections=4, cors_origins=(PAGE,)))


def test_a_page_can_read_that_something_failed() -> None:
    with client(PAGE) as opened:
        body = {"text": "crash"}
        response = opened.post("/translate", json=body, headers={"Origin": PAGE})
        assert response.status_code == 500
        assert allowed(response) == PAGE
