"""Traces: one span a request in the trace of its caller, its phases inside, and no text."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.testclient import TestClient

from service.settings import InvalidSettings, Settings
from service.tracing import Tracing, resource
from service.translator import Translator
from tests.served import app_of, client_of, visit_and_leave
from tests.stand_ins import FakeCatalog

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = Settings(tracing=True)


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Keep every span here instead of sending it."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=resource(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(Tracing, "exporting", lambda: Tracing(provider))
    yield kept
    provider.shutdown()


def spans_of(exporter: InMemorySpanExporter) -> tuple[ReadableSpan, list[ReadableSpan]]:
    """The one span of a server, and those inside it, by their begin."""
    spans = exporter.get_finished_spans()
    (server,) = [span for span in spans if span.kind is SpanKind.SERVER]
    assert server.context is not None
    inside = [span for span in spans if span is not server]
    for span in inside:
        assert span.parent is not None
        assert span.parent.span_id == server.context.span_id
        assert (span.context or server.context).trace_id == server.context.trace_id
    return server, sorted(inside, key=lambda span: span.start_time or 0)


def within(inner: ReadableSpan, outer: ReadableSpan) -> bool:
    times = (outer.start_time, inner.start_time, inner.end_time, outer.end_time)
    known = [time for time in times if time is not None]
    return len(known) == 4 and known == sorted(known)


def test_a_translation_is_a_span_with_its_phases(
    translator: Translator, exporter: InMemorySpanExporter
) -> None:
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-ID": "me"}
    with client_of(translator, TRACED) as client:
        client.post("/translate", json={"text": "The cat sees the dog."}, headers=headers)
        server, inside = spans_of(exporter)
    assert server.name == "POST /translate"
    assert server.parent is not None
    assert server.context is not None
    assert f"{server.parent.span_id:016x}" == CALLER
    assert f"{server.context.trace_id:032x}" == TRACE
    facts = dict(server.attributes or {})
    counted = {name: facts.pop(f"interlinea.{name}") for name in ("source_tokens", "decoder_steps")}
    assert all(isinstance(number, int) and number > 1 for number in counted.values())
    assert facts.pop("interlinea.target_tokens") == counted["decoder_steps"]
    assert facts == {
        "http.request.method": "POST",
        "http.route": "/translate",
        "http.response.status_code": 200,
        "interlinea.request_id": "me",
        "interlinea.model": "toy",
        "interlinea.sentences": 1,
    }
    assert server.status.status_code is StatusCode.UNSET
    assert [span.name for span in inside] == ["queue", "encode", "decode", "serialise"]
    assert all(within(span, server) for span in inside)
    assert all(set(span.attributes or {}) == {"interlinea.seconds"} for span in inside)


def test_each_visit_to_the_engine_has_its_phases(
    translator: Translator, exporter: InMemorySpanExporter
) -> None:
    with client_of(translator, TRACED) as client:
        client.get("/align", params={"source_text": "The cat."})
        server, inside = spans_of(exporter)
    once = ["queue", "encode", "decode"]
    assert [span.name for span in inside] == [*once, *once, "serialise"]
    assert "cat" not in server.to_json() + "".join(span.to_json() for span in inside)


@pytest.mark.parametrize(
    ("text", "status", "code", "failed"),
    [("full", 503, "queue_full", True), ("crash", 500, "internal_error", True)],
)
def test_a_failure_is_marked(
    exporter: InMemorySpanExporter, text: str, status: int, code: str, failed: bool
) -> None:
    with TestClient(app_of(FakeCatalog(), TRACED)) as client:
        client.post("/translate", json={"text": text})
        server, inside = spans_of(exporter)
    facts = server.attributes or {}
    assert facts["http.response.status_code"] == status
    assert facts["interlinea.error_code"] == facts["error.type"] == code
    assert (server.status.status_code is StatusCode.ERROR) == failed
    assert not server.events  # an exception would be told with its message
    assert inside == []


def test_a_refusal_is_no_failure_of_the_server(exporter: InMemorySpanExporter) -> None:
    with TestClient(app_of(FakeCatalog(), TRACED)) as client:
        client.get("/secret/path?secret")
        server, _ = spans_of(exporter)
    assert server.name == "GET unknown"
    assert server.status.status_code is StatusCode.UNSET
    assert (server.attributes or {})["interlinea.error_code"] == "not_found"
    assert "error.type" not in (server.attributes or {})
    assert "secret" not in server.to_json()


@pytest.mark.parametrize("given", ["", "nonsense", f"00-{'0' * 32}-{CALLER}-01", "\xff"])
def test_a_trace_that_is_none_is_not_followed(exporter: InMemorySpanExporter, given: str) -> None:
    with TestClient(app_of(FakeCatalog(), TRACED)) as client:
        answer = client.get("/health/live", headers=[(b"traceparent", given.encode("latin-1"))])
        server, _ = spans_of(exporter)
    assert answer.status_code == 200
    assert server.parent is None


def test_nothing_else_that_callers_tell_is_read(
    exporter: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    with TestClient(app_of(FakeCatalog(), TRACED)) as client:
        client.get("/languages", headers={"baggage": "My secret sentence" + ",x" * 50})
        server, _ = spans_of(exporter)
    assert "secret" not in caplog.text + server.to_json()


def test_the_caller_decides_whether_it_is_traced(exporter: InMemorySpanExporter) -> None:
    with TestClient(app_of(FakeCatalog(), TRACED)) as client:
        client.get("/health/live", headers={"traceparent": f"00-{TRACE}-{CALLER}-00"})
    assert exporter.get_finished_spans() == ()


def test_a_client_that_leaves_ends_its_span(exporter: InMemorySpanExporter) -> None:
    catalog = FakeCatalog()
    body = {"text": ["Thanks", "wait later"]}
    app = app_of(catalog, TRACED)
    asyncio.run(visit_and_leave(app, catalog, body, b"text/event-stream"))
    server, _ = spans_of(exporter)
    assert (server.attributes or {})["interlinea.error_code"] == "cancelled"


def test_the_environment_says_what_the_service_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resource().attributes["service.name"] == "interlinea"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "translations")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=here")
    found = resource().attributes
    assert (found["service.name"], found["deployment.environment"]) == ("translations", "here")


def test_fastapi_tells_nothing_by_itself(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with TestClient(app_of(FakeCatalog())) as client:
        client.get("/health/live")
        assert not client.app._native_telemetry.enabled()  # type: ignore[attr-defined]
    assert exporter.get_finished_spans() == ()


WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("opentelemetry.sdk"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from service.cli import app
app(["serve"])
"""


def test_switched_on_without_the_extra_the_server_does_not_start() -> None:
    environment = {"INTERLINEA_TRACING": "true", "INTERLINEA_PORT": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, env=environment
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("INTERLINEA_TRACING: needs")
    assert "interlinea[tracing]" in line


def test_a_variable_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Tracing:
        raise ValueError("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT must be a non-negative integer")

    monkeypatch.setattr(Tracing, "exporting", refuse)
    with pytest.raises(InvalidSettings, match=r"INTERLINEA_TRACING: .* OTEL_SPAN_ATTRIBUTE"):
        app_of(FakeCatalog(), TRACED)


def test_switched_on_without_the_extra_an_application_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "service.tracing", None)
    with pytest.raises(InvalidSettings, match="INTERLINEA_TRACING"):
        app_of(FakeCatalog(), TRACED)
