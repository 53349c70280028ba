"""The documents: complete, and served without a word to anybody else."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from starlette.testclient import TestClient

from service import examples
from service.app import create_app
from service.settings import Settings

POLICY = "Content-Security-Policy"
ROUTES = {
    "/translate": {"post"},
    "/align": {"get", "post"},
    "/models": {"get"},
    "/models/reload": {"post"},
    "/languages": {"get"},
    "/health/live": {"get"},
    "/health/ready": {"get"},
}


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(create_app(Settings()))


@pytest.fixture(scope="module")
def document(client: TestClient) -> Any:
    return client.get("/openapi.json").json()


def references(value: Any) -> set[str]:
    """Every `$ref` inside."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_the_page_needs_nobody_else(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "//" not in re.sub(r"^\s*//.*|<!--.*?-->", "", page, flags=re.MULTILINE)
    assert '"validatorUrl": null' in page
    linked = re.findall(r"""(?:href|src|url)[=:]\s*["']([^"']+)["']""", page)
    assert len(linked) == 4
    for link in linked:
        assert client.get(urljoin("/docs", link)).status_code == 200


def test_the_page_may_run_its_own_scripts_only(client: TestClient) -> None:
    response = client.get("/docs")
    policy = dict(part.split(" ", 1) for part in response.headers[POLICY].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["connect-src"] == policy["style-src"] == "'self'"
    (inline,) = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    digest = b64encode(sha256(inline.encode()).digest()).decode()
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert "unsafe" not in response.headers[POLICY]
    assert not re.search(r"<[^>]+ (?:on\w+|style)=", response.text), "neither would be allowed"
    sources = re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)="([^"]+)""", response.text)
    assert len(sources) == 3
    assert all(source.startswith("docs/assets/") for source in sources)


def test_keys_are_in_the_document_where_they_are_needed(tmp_path: Path, document: Any) -> None:
    assert "securitySchemes" not in document["components"]
    app = create_app(Settings(keys=tmp_path / "keys.db"))
    needing = TestClient(app).get("/openapi.json").json()
    scheme = needing["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for path, methods in needing["paths"].items():
        for operation in methods.values():
            asked = not path.startswith("/health/")
            assert ("security" in operation) == ("401" in operation["responses"]) == asked
            assert ("429" in operation["responses"]) == (path in ("/translate", "/align"))
            assert operation.get("security", [{"key": []}]) == [{"key": []}]
            for status, answer in operation["responses"].items():
                shown = answer["content"]["application/json"]["schema"]
                assert status == "200" or shown["$ref"].endswith("/ErrorAnswer")


@pytest.mark.parametrize("hosts", [(), ("example.org",)])
def test_what_refuses_before_a_route_is_in_the_document(hosts: tuple[str, ...]) -> None:
    told = TestClient(create_app(Settings(hosts=hosts)), base_url="http://example.org")
    for path, methods in told.get("/openapi.json").json()["paths"].items():
        watched = path.startswith("/health/")
        for operation in methods.values():
            statuses = set(operation["responses"])
            assert "431" in statuses
            assert ("421" in statuses) == (bool(hosts) and not watched)
            assert watched or "503" in statuses


@pytest.mark.parametrize("part", ["bytes=abc", "bytes=99999999-", "bytes=0-9", "lines=1-2"])
def test_files_of_the_page_come_whole(part: str) -> None:
    client = TestClient(create_app(Settings()))
    whole = client.get("/docs/assets/swagger-ui.css")
    response = client.get("/docs/assets/swagger-ui.css", headers={"Range": part})
    assert response.status_code == 200
    assert response.content == whole.content


def test_every_route_is_in_the_document(document: Any) -> None:
    assert {path: set(methods) for path, methods in document["paths"].items()} == ROUTES


def test_every_reference_leads_somewhere(document: Any) -> None:
    names = {reference.removeprefix("#/components/schemas/") for reference in references(document)}
    assert names == set(document["components"]["schemas"])


def test_bodies_have_examples_in_the_order_of_their_fields(document: Any) -> None:
    for path, example in (("/translate", examples.TRANSLATE), ("/align", examples.ALIGN)):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert list(body["example"].items()) == list(example.items())
    parameters = document["paths"]["/align"]["get"]["parameters"]
    given = {one["name"]: one["example"] for one in parameters if "example" in one}
    assert given == examples.ALIGN_QUERY


def test_what_is_asked_for_by_a_flag_is_explained(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["DiagnosticsAnswer"]["example"] == examples.DIAGNOSTICS
    assert schemas["TimingAnswer"]["example"] == examples.TIMING
    for name in ("TranslateRequest", "AlignRequest"):
        assert "entropy" in schemas[name]["properties"]["diagnostics"]["description"]
        assert "milliseconds" in schemas[name]["properties"]["timing"]["description"]
    described = schemas["AlignRequest"]["properties"]["symmetrize"]
    assert "null" in described["description"]
    assert described["examples"] == ["grow-diag-final-and"]
    names = {one["name"] for one in document["paths"]["/align"]["get"]["parameters"]}
    assert {"symmetrize", "diagnostics", "timing"} <= names
    for path, method in (("/translate", "post"), ("/align", "post"), ("/align", "get")):
        answer = document["paths"][path][method]["responses"]["200"]
        assert "queue" in answer["headers"]["Server-Timing"]["description"]


def test_a_stream_is_told_of_where_there_is_one(document: Any) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            kinds = set(operation["responses"]["200"]["content"])
            streams = {"text/event-stream"} if (path, method) == ("/translate", "post") else set()
            assert kinds == {"application/json"} | streams


def test_refusals_have_our_shape_only(document: Any) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                schema = answer["content"]["application/json"]["schema"]
                if status != "200":
                    assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}
