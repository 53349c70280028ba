"""Host names: those on the list, and health checks under any."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from service.hosts import named
from service.settings import Settings
from tests.served import app_of
from tests.stand_ins import FakeCatalog


def ask(hosts: tuple[str, ...], host: str, path: str = "/models") -> Any:
    app = app_of(FakeCatalog(), Settings(hosts=hosts))
    with TestClient(app) as client:
        return client.get(path, headers={"Host": host})


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "EXAMPLE.org:8000",
        "example.org.",
        "a.example.net",
        "a.b.example.net:1",
        "[::1]",
        "[::1]:8000",
        "10.0.0.7:80",
    ],
)
def test_a_name_on_the_list_is_answered(host: str) -> None:
    hosts = ("example.org", "*.example.net", "[::1]", "10.0.0.7")
    assert ask(hosts, host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.org",
        "example.net",
        "notexample.net",
        "example.org.evil.org",
        "example.org@evil.org",
        "example.org/",
        "example.org:80:80",
        "*.example.net.evil",
        "::1",
    ],
)
def test_any_other_is_refused(host: str) -> None:
    response = ask(("example.org", "*.example.net", "::1"), host)
    assert response.status_code == 421
    error = response.json()["error"]
    assert error["code"] == "unknown_host"
    assert error["request_id"] == response.headers["X-Request-ID"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/health/ready", "/metrics"])
def test_who_checks_on_the_server_may_use_an_address(path: str) -> None:
    assert ask(("example.org",), "172.17.0.2:8000", path).status_code == 200
    assert ask(("example.org",), "172.17.0.2:8000", "/metrics/").status_code == 421
    assert ask(("example.org",), "172.17.0.2:8000", "/docs").status_code == 421


def test_without_a_list_every_name_is_answered() -> None:
    assert ask((), "whatever").status_code == 200


def test_two_names_are_none() -> None:
    assert named(["example.org"]) == "example.org"
    assert named(["example.org", "example.org"]) == named([]) == named(["a b"]) == ""
