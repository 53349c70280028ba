"""Refusals: one shape, the right headers, and nothing of ours inside."""

import asyncio
import logging
from contextvars import copy_context

import numpy as np
import pytest
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from service.app import create_app
from service.errors import (
    BundleError,
    Cancelled,
    InterlineaError,
    QueueFull,
    ShuttingDown,
    StepFailed,
    UnknownPair,
)
from service.responses import server_timing
from service.settings import Settings
from service.visit import CURRENT, Timing, Visit
from service.written import to_json


def client(error: BaseException | None = None) -> TestClient:
    """A server whose `/raise` raises."""
    app = create_app(Settings())

    @app.get("/raise")
    async def _raise() -> None:
        if error is not None:
            raise error

    return TestClient(app)


@pytest.mark.parametrize(
    "error",
    [
        UnknownPair("no", {"pairs": [["en", "fr"]]}),
        QueueFull("later"),
        ShuttingDown("later"),
        Cancelled("gone"),
        StepFailed("failed"),
        BundleError("broken"),
    ],
)
def test_an_error_answers_with_its_code_and_status(error: InterlineaError) -> None:
    response = client(error).get("/raise", headers={"X-Request-ID": "me"})
    assert response.status_code == error.status
    expected: dict[str, object] = {
        "code": error.code,
        "message": error.message,
        "request_id": "me",
    }
    if error.detail:
        expected["detail"] = error.detail
    assert response.json() == {"error": expected}
    assert response.headers.get("Retry-After") == ("1" if error.status == 503 else None)


def test_what_nobody_foresaw_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    response = client(KeyError("the secret")).get("/raise", headers={"X-Request-ID": "me"})
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "internal_error"
    assert "secret" not in response.text
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "me" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)


def test_a_request_that_a_server_gives_up_at_its_end_is_told_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    response = client(asyncio.CancelledError()).get("/raise", headers={"X-Request-ID": "me"})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    error = response.json()["error"]
    assert (error["code"], error["request_id"]) == ("shutting_down", "me")
    assert not caplog.records


def test_arrays_are_matrices_whose_bytes_are_counted() -> None:
    visit = Visit("me")

    def write() -> bytes:
        CURRENT.set(visit)
        return to_json({"attention": np.array([[0.25, 0.75]]), "heads": [np.array([3], np.int32)]})

    assert copy_context().run(write) == b'{"attention":[[0.25,0.75]],"heads":[[3]]}'
    assert visit.attention_bytes == len("[[0.25,0.75]]") + len("[3]")
    with pytest.raises(TypeError):
        to_json({"what": object()})


def test_times_are_in_milliseconds() -> None:
    spent = Timing(0.0001234, 0.01, 0.15, 0.0, 0.25, 3, 4, 5)
    assert server_timing(spent) == (
        "queue;dur=0.12, encode;dur=10.00, decode;dur=150.00, serialise;dur=0.00, total;dur=250.00"
    )


def test_an_unknown_path() -> None:
    for path in ("/nowhere", "/translate/", "/%ff", "/docs/assets/../../etc/passwd"):
        response = client().get(path)
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/translate", ["POST"]),
        ("PUT", "/align", ["GET", "POST"]),
        ("POST", "/models", ["GET"]),
    ],
)
def test_a_wrong_method(method: str, path: str, allowed: list[str]) -> None:
    response = client().request(method, path)
    assert response.status_code == 405
    assert response.headers["Allow"] == ", ".join(allowed)
    error = response.json()["error"]
    assert (error["code"], error["detail"]) == ("method_not_allowed", {"allowed": allowed})


def test_what_the_framework_refuses_has_the_same_shape() -> None:
    response = client(HTTPException(418, "a teapot", {"X-Tea": "yes"})).get("/raise")
    assert response.status_code == 418
    assert response.headers["X-Tea"] == "yes"
    assert response.json()["error"]["message"] == "a teapot"
