"""Streaming: events in order, the final answer, failures on the way, and clients that leave."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import numpy as np
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from service.answers import TimingAnswer
from service.streaming import _events, _Writer
from service.translation import Progress, TokenChosen
from service.written import TURN
from tests.served import app_of, visit_and_leave
from tests.stand_ins import FakeCatalog

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
def catalog() -> FakeCatalog:
    return FakeCatalog()


@pytest.fixture
def client(catalog: FakeCatalog) -> Iterator[TestClient]:
    app = app_of(catalog)
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


def events(text: str) -> list[tuple[str, Any]]:
    """Read server-sent events as the specification has it: blocks of `event` and `data`."""
    found = []
    for block in text.split("\n\n")[:-1]:
        name, data = block.split("\n")
        assert name.startswith("event: ")
        assert data.startswith("data: ")
        found.append((name[7:], json.loads(data[6:])))
    return found


def test_tokens_and_sentences_come_before_the_answer_which_is_the_usual_one(
    client: TestClient, catalog: FakeCatalog
) -> None:
    body = {"text": ["Thanks", "Thänks"]}
    response = client.post("/translate", json=body, headers=EVENTS)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["Cache-Control"] == "no-store"
    assert "X-Request-ID" in response.headers
    told = events(response.text)
    assert [name for name, _ in told] == ["token", "sentence", "done"]
    assert told[0][1]["delta"] == "Merci"
    assert told[0][1]["cross"] == [0.9312, 0.0688]
    plain = client.post("/translate", json=body).json()
    assert told[2][1] == plain
    assert told[1][1]["translated"] == plain["translations"][0]["sentences"][0]
    assert catalog.translator.streams_closed == 1


@pytest.mark.parametrize(
    ("accept", "streams"),
    [
        ("application/json, Text/Event-Stream;q=0.5", True),
        ("text/event-stream; q=0.01", True),
        ("text/event-stream;q=0, application/json", False),
        ("application/json, text/event-stream; q=0.000", False),
        ("text/event-streams", False),
        ("*/*", False),
    ],
)
def test_events_come_to_those_who_ask_for_them(
    client: TestClient, accept: str, streams: bool
) -> None:
    response = client.post("/translate", json={"text": "Thanks"}, headers={"Accept": accept})
    assert response.headers["Content-Type"].startswith("text/event-stream") == streams


def test_times_come_with_the_last_event(client: TestClient) -> None:
    for timing in (False, True):
        response = client.post("/translate", json={"text": "a", "timing": timing}, headers=EVENTS)
        assert "Server-Timing" not in response.headers
        *before, done = events(response.text)
        assert not any("timing" in data for _, data in before)
        assert ("timing" in done[1]) == timing
        if timing:
            assert TimingAnswer.model_validate(done[1]["timing"]).total > 0


def test_rows_can_be_integers(client: TestClient) -> None:
    body = {"text": "Thanks", "matrix": "integers"}
    told = events(client.post("/translate", json=body, headers=EVENTS).text)
    assert told[0][1]["cross"] == {"scale": 10000, "weights": [9312, 688]}


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [("full", 503, "queue_full"), ("fail", 500, "step_failed"), ("crash", 500, "internal_error")],
)
def test_what_fails_before_the_start_is_a_usual_refusal(
    client: TestClient, text: str, status: int, code: str
) -> None:
    response = client.post("/translate", json={"text": text}, headers=EVENTS)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code


@pytest.mark.parametrize(
    ("text", "code"), [("fail later", "step_failed"), ("crash later", "internal_error")]
)
def test_what_fails_later_is_an_event(
    client: TestClient, catalog: FakeCatalog, text: str, code: str
) -> None:
    response = client.post("/translate", json={"text": ["Thanks", text]}, headers=EVENTS)
    assert response.status_code == 200
    told = events(response.text)
    assert [name for name, _ in told] == ["token", "error"]
    assert told[1][1]["error"]["code"] == code
    assert told[1][1]["error"]["request_id"] == response.headers["X-Request-ID"]
    assert "secret" not in response.text
    assert catalog.translator.streams_closed == 1


@pytest.mark.parametrize("text", ["wait", "wait later"])
def test_a_client_that_leaves_ends_the_stream(text: str) -> None:
    catalog = FakeCatalog()
    body = {"text": [text] if text == "wait" else ["Thanks", text]}
    sent = asyncio.run(visit_and_leave(app_of(catalog), catalog, body, b"text/event-stream"))
    assert catalog.translator.cancelled
    if text == "wait later":
        assert catalog.translator.streams_closed == 1
        assert sent[0]["status"] == 200
        assert b"event: token" in sent[1]["body"]


def test_what_fails_at_the_first_event_is_an_event_too(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("service.wire.token_chosen", fail)
    response = client.post("/translate", json={"text": "Thanks"}, headers=EVENTS)
    assert [name for name, _ in events(response.text)] == ["error"]
    assert "secret" not in response.text


def test_a_backlog_of_events_leaves_the_loop_to_others(catalog: FakeCatalog) -> None:
    told = TokenChosen(0, 0, 0, "x", None, -0.1, {"cross": np.ones(400, np.float32)}, None)

    async def progress() -> AsyncGenerator[Progress, None]:
        for _ in range(500):
            yield told

    async def scenario() -> None:
        turns, done = 0, False

        async def others() -> None:
            nonlocal turns
            while not done:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(others())
        rest = progress()
        write = _Writer(catalog.translator.manifest, "decimals", False)
        request = Request({"type": "http"})
        written = [event async for event in _events(request, await anext(rest), rest, write)]
        done = True
        await other
        assert len(written) == 500
        assert turns >= sum(map(len, written)) // (2 * TURN) > 1

    asyncio.run(scenario())
