"""Log lines: the request's name in each, its text in none, and one line for one record."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import pytest
from starlette.testclient import TestClient

from service import logs
from service.errors import StepFailed
from service.logs import ACCESS, AccessLog, JsonLines, TextLines
from service.settings import LogLevel, Settings
from service.translator import Translator
from service.visit import CURRENT, Visit
from tests.served import app_of, client_of
from tests.stand_ins import FakeCatalog

NASTY = "a\nERROR: forged\r\x1b[2J\x85\u2028\u202e\x7f\udc80 end"

SECRET = "a word of the text"


@contextmanager
def written(settings: Settings) -> Iterator[io.StringIO]:
    """Log as a process of its own would, and read what it writes."""
    root, access = logging.getLogger(), logging.getLogger(ACCESS)
    before = root.handlers[:], root.level, access.level
    root.handlers[:] = []
    try:
        logs.configure(settings)
        (handler,) = root.handlers
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream := io.StringIO())
        yield stream
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        access.setLevel(before[2])


def record(message: str, **facts: object) -> logging.LogRecord:
    made = logging.LogRecord("interlinea.test", logging.WARNING, "", 1, message, (), None)
    made.created = 1763757064.1239
    if facts:
        vars(made)["facts"] = facts
    return made


def fail_after_another(error: Exception) -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as cause:
        raise error from cause


def failing(error: Exception) -> logging.LogRecord:
    made = record("it failed")
    with pytest.raises(type(error)) as caught:
        fail_after_another(error)
    made.exc_info = (caught.type, caught.value, caught.tb)
    return made


def while_serving(visit: Visit, shape: logging.Formatter, made: logging.LogRecord) -> str:
    def write() -> str:
        CURRENT.set(visit)
        return shape.format(made)

    return copy_context().run(write)


def test_a_line_of_text() -> None:
    assert TextLines(False).format(record("all is well", steps=3, name="x y")) == (
        '2025-11-21T20:31:04.123Z WARNING interlinea.test: all is well steps=3 name="x y"'
    )


def test_a_line_of_json() -> None:
    line = JsonLines(False).format(record("all is well", steps=3, ids=["a", "b"]))
    assert json.loads(line) == {
        "time": "2025-11-21T20:31:04.123Z",
        "level": "warning",
        "logger": "interlinea.test",
        "message": "all is well",
        "steps": 3,
        "ids": ["a", "b"],
    }


@pytest.mark.parametrize("shape", [TextLines, JsonLines])
def test_nobody_can_forge_a_line(shape: type[TextLines] | type[JsonLines]) -> None:
    visit = Visit(NASTY)
    line = while_serving(visit, shape(False), record(NASTY, value=NASTY, more=[NASTY]))
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    if shape is JsonLines:
        found = json.loads(line)
        assert found["message"] == found["value"] == found["request_id"] == NASTY


def test_a_value_cannot_pass_for_two() -> None:
    line = TextLines(False).format(record("ok", code='x" status=200 a=', other="a=b"))
    assert line.endswith('code="x\\" status=200 a=" other="a=b"')


@pytest.mark.parametrize("shape", [TextLines, JsonLines])
def test_a_line_names_the_request_that_is_served(
    shape: type[TextLines] | type[JsonLines],
) -> None:
    visit = Visit("me-1", trace_id="0af7")
    line = while_serving(visit, shape(False), record("ok"))
    assert "me-1" in line
    assert "0af7" in line
    assert "me-1" not in shape(False).format(record("ok"))


def test_messages_of_foreign_errors_are_withheld_while_a_request_is_served() -> None:
    made = failing(ValueError(SECRET))
    for shape in (TextLines(False), JsonLines(False)):
        line = while_serving(Visit("me"), shape, made)
        assert SECRET not in line
        assert "ValueError: (withheld)" in line
        assert "KeyError: (withheld)" in line
        assert "in fail_after_another" in line
        assert SECRET in shape.format(made)  # as of an engine, which knows no text
    assert SECRET in while_serving(Visit("me"), TextLines(True), made)
    ours = while_serving(Visit("me"), TextLines(False), failing(StepFailed("out of luck")))
    assert "StepFailed: out of luck" in ours


def test_a_traceback_is_indented() -> None:
    lines = TextLines(True).format(failing(ValueError("one\nERROR two"))).splitlines()
    assert len(lines) > 5
    assert all(line.startswith("    ") for line in lines[1:])


def test_the_log_is_configured_as_the_settings_say() -> None:
    with written(Settings(log_format="json", log_level="warning")) as stream:
        logging.getLogger("interlinea.http").warning("one")
        logging.getLogger("interlinea.http").info("two")
        logging.getLogger("uvicorn.error").warning("three of %s", "uvicorn")
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [one["message"] for one in found] == ["one", "three of uvicorn"]


@pytest.mark.parametrize(("texts", "count"), [(False, 0), (True, 1)])
def test_messages_of_the_server_hold_queries(texts: bool, count: int) -> None:
    with written(Settings(log_level="trace", log_texts=texts)) as stream:
        logging.getLogger("uvicorn.asgi").warning("query_string=secret")
    assert stream.getvalue().count("secret") == count


def access_lines(translator: Translator, settings: Settings) -> list[dict[str, Any]]:
    """What is logged of a translation, an alignment, a refusal and an unknown path."""
    pair = {"source_text": "The secret cat.", "target_text": "Le chat."}
    with written(settings) as stream, client_of(translator, settings) as client:
        client.post("/translate", json={"text": "The secret cat."}, headers={"X-Request-ID": "a"})
        client.post("/align", json={"pairs": [pair]}, headers={"X-Request-ID": "b"})
        client.get("/align?source_text=secret&target=xx", headers={"X-Request-ID": "c"})
        client.get("/secret", headers={"X-Request-ID": "d"})
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [line for line in found if line["logger"] == ACCESS]


def test_every_request_has_its_line(translator: Translator) -> None:
    settings = Settings(log_format="json", access_log=True, log_level="error")
    lines = access_lines(translator, settings)
    assert "secret" not in json.dumps(lines)
    durations = [line.pop("duration_ms") for line in lines]
    assert all(one > 0 for one in durations)
    for line in lines:
        assert line.pop("time") <= "3"
        assert (line.pop("level"), line.pop("message")) == ("info", "request served")
        line.pop("logger")
    assert [line.pop("source_tokens", 0) > 1 for line in lines] == [True, True, False, False]
    assert [line.pop("target_tokens", 0) > 1 for line in lines] == [True, True, False, False]
    served = {"status": 200, "model": "toy", "sentences": 1}
    assert lines == [
        {"request_id": "a", "method": "POST", "route": "/translate", **served},
        {"request_id": "b", "method": "POST", "route": "/align", **served},
        *[
            {"request_id": name, "method": "GET", "route": route, "status": status, "code": code}
            for name, route, status, code in [
                ("c", "/align", 422, "unknown_pair"),
                ("d", "unknown", 404, "not_found"),
            ]
        ],
    ]


@pytest.mark.parametrize(("level", "count"), [("info", 0), ("debug", 4)])
def test_without_the_setting_there_are_none(
    translator: Translator, level: LogLevel, count: int
) -> None:
    settings = Settings(log_format="json", log_level=level)
    assert len(access_lines(translator, settings)) == count


def test_texts_are_told_only_where_a_setting_says_so(translator: Translator) -> None:
    settings = Settings(log_format="json", access_log=True, log_texts=True)
    first, second, *_ = access_lines(translator, settings)
    assert first["texts"] == ["The secret cat."]
    assert second["texts"] == [["The secret cat.", "Le chat."]]


@pytest.mark.parametrize("text", ["crash", "fail", "crash later"])
def test_what_fails_is_logged_with_the_request_and_without_its_text(text: str) -> None:
    accept = {"Accept": "text/event-stream", "X-Request-ID": "me"}
    app = app_of(FakeCatalog())
    with written(Settings(log_format="json")) as stream, TestClient(app) as client:
        body = {"text": ["Thanks", text] if "later" in text else text}
        client.post("/translate", json=body, headers=accept)
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    (line,) = [one for one in found if one["level"] == "error"]
    assert line["request_id"] == "me"
    assert ": the secret" not in line["exception"]
    assert "stand_ins.py" in line["exception"]


def test_the_access_log_tells_of_a_request_only_at_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    visit = Visit("me", "GET", started=1.0, ended=1.25, route="/x", status=200)
    watcher = AccessLog(texts=False)
    watcher.begin(visit, {})
    assert not caplog.records
    watcher.end(visit)
    facts = vars(caplog.records[0])["facts"]
    assert facts == {"method": "GET", "route": "/x", "status": 200, "duration_ms": 250.0}


def test_a_failed_step_names_the_requests_of_its_batch(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of luck")

    settings = Settings(log_format="json")
    with written(settings) as stream, client_of(translator, settings) as client:
        monkeypatch.setattr(translator._runner, "step", fail)
        answer = client.post("/translate", json={"text": "The cat."}, headers={"X-Request-ID": "a"})
    assert answer.status_code == 500
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    engine, http = (one for one in found if one["level"] == "error")
    assert (engine["logger"], engine["request_ids"]) == ("interlinea.engine", ["a"])
    assert "RuntimeError: out of luck" in engine["exception"]
    assert (http["logger"], http["request_id"]) == ("interlinea.http", "a")


def test_requests_at_once_keep_their_names() -> None:
    async def serve(name: str) -> str:
        CURRENT.set(Visit(name))
        await asyncio.sleep(0)
        return JsonLines(False).format(record("ok"))

    async def crowd() -> list[str]:
        return list(await asyncio.gather(*(serve(str(n)) for n in range(5))))

    lines = asyncio.run(crowd())
    assert [json.loads(line)["request_id"] for line in lines] == list("01234")
