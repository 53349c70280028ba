"""Metrics: the documented names and no others, true numbers, and nothing of what users sent."""

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from service.catalog import Catalog
from service.life import Life
from service.metrics import Metrics
from service.settings import Settings
from service.traffic import Traffic
from service.translator import Translator
from service.visit import Visit
from tests.served import app_of, client_of, visit_and_leave
from tests.stand_ins import FakeCatalog

OPERATIONS = Path(__file__).parents[1] / "docs" / "operations.md"
EVENTS = {"Accept": "text/event-stream"}


def families(exposition: str) -> dict[str, Metric]:
    """Read an exposition with the library's own parser; it raises where a line is wrong."""
    found = list(text_string_to_metric_families(exposition))
    assert len({family.name for family in found}) == len(found)
    series = [(one.name, *sorted(one.labels.items())) for f in found for one in f.samples]
    assert len(set(series)) == len(series), "a series is there twice"
    return {family.name: family for family in found}


def value(found: dict[str, Metric], sample: str, **labels: str) -> float:
    """The one sample with these labels."""
    (number,) = [
        one.value
        for family in found.values()
        for one in family.samples
        if one.name == sample and labels.items() <= one.labels.items()
    ]
    return float(number)


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of every metric in the table of the manual."""
    text = OPERATIONS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(interlinea_\w+)` \| (\w+) \|([^|]*)\| \S", text, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def exported(found: dict[str, Metric]) -> dict[str, tuple[str, set[str]]]:
    """The same of what is exported as this project's own."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            {label for one in family.samples for label in one.labels} - {"le"},
        )
        for family in found.values()
        if family.name.startswith("interlinea_")
    }


def test_what_is_exported_is_what_is_documented(translator: Translator) -> None:
    with client_of(translator) as client:
        client.post("/translate", json={"text": "The cat."})
        client.post("/translate", json={"text": 5})
        found = families(client.get("/metrics").text)
    assert exported(found) == documented()
    assert {"process_cpu_seconds", "python_info", "python_gc_collections"} <= found.keys()


def test_numbers_are_those_of_the_work(translator: Translator) -> None:
    texts = ["The cat sees the dog.", "The old king likes the red house."]
    with client_of(translator) as client:
        before = families(client.get("/metrics").text)
        answers = [client.post("/translate", json={"text": text}) for text in texts]
        client.post("/align", json={"pairs": [{"source_text": "The cat.", "target_text": "Le."}]})
        after = families(client.get("/metrics").text)

    def grew(sample: str, label: str = "model", of: str = "toy") -> float:
        one = {label: of}
        return value(after, sample, **one) - value(before, sample, **one)

    sides = [answer.json()["translations"][0]["sentences"][0] for answer in answers]
    tokens = sum(len(side["target"]["tokens"]) for side in sides)
    assert grew("interlinea_sentences_total", "outcome", "done") == 3
    assert grew("interlinea_target_tokens_total") > tokens
    assert grew("interlinea_queue_wait_seconds_count") == 3
    steps = grew("interlinea_decoder_steps_total")
    assert steps >= tokens
    assert grew("interlinea_decoder_step_duration_seconds_count") == steps
    assert grew("interlinea_decoder_step_duration_seconds_sum") > 0
    assert 0 < grew("interlinea_decoder_batch_fill_ratio_sum") <= steps
    for graph in ("encoder", "decoder"):
        computed = grew("interlinea_batch_tokens_total", "graph", graph)
        assert 0 < grew("interlinea_batch_real_tokens_total", "graph", graph) <= computed
        assert grew("interlinea_failed_batches_total", "graph", graph) == 0
    for name in ("queue_sentences", "running_sentences"):
        assert value(after, f"interlinea_{name}") == 0
    assert value(after, "interlinea_ready") == 1
    for phase in ("queue", "encode", "decode", "serialise"):
        labels = {"model": "toy", "phase": phase}
        assert value(after, "interlinea_request_phase_seconds_count", **labels) == 3
        assert value(after, "interlinea_request_phase_seconds_sum", **labels) > 0
    spelled = sum(len(_matrix_of(answer.text)) for answer in answers)
    assert value(after, "interlinea_attention_bytes_total", model="toy") > spelled
    (info,) = after["interlinea_model_info"].samples
    manifest = translator.manifest
    assert info.labels == {
        "model": "toy",
        "version": manifest.version,
        "source": "en",
        "target": "fr",
        "architecture": manifest.summary()["architecture"],
    }


def _matrix_of(text: str) -> str:
    found = re.search(r'"attention":(\[\[.*?\]\])', text)
    assert found is not None
    return found[1]


def test_bytes_of_attention_are_those_of_the_answer(translator: Translator) -> None:
    with client_of(translator) as client:
        whole = client.post("/translate", json={"text": "The cat sees the dog."}).text
        client.post("/translate", json={"text": "The cat.", "attention": "none"})
        found = families(client.get("/metrics").text)
    assert value(found, "interlinea_attention_bytes_total") == len(_matrix_of(whole))


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/nowhere/secret", "unknown", "404"),
        ("GET", "/other", "unknown", "404"),
        ("GET", "/translate", "/translate", "405"),
        ("POST", "/translate", "/translate", "400"),
        ("GET", "/align?source_text=secret&source=xx", "/align", "422"),
        ("GET", "/docs/assets/swagger-ui.css", "/docs/assets/{path}", "200"),
        ("GET", "/openapi.json", "/openapi.json", "200"),
        ("GET", "/health/live", "/health/live", "200"),
    ],
)
def test_requests_are_counted_by_route_never_by_path(
    translator: Translator, method: str, path: str, route: str, status: str
) -> None:
    with client_of(translator) as client:
        for _ in range(2):
            client.request(method, path, headers={"X-Request-ID": "secret-id"})
        text = client.get("/metrics").text
    found = families(text)
    labels = {"method": method, "route": route}
    assert value(found, "interlinea_http_requests_total", **labels, status=status) == 2
    assert value(found, "interlinea_http_request_duration_seconds_count", **labels) == 2
    assert "secret" not in text


def test_refusals_are_counted_by_their_code() -> None:
    codes = {"full": "queue_full", "fail": "step_failed", "crash": "internal_error"}
    catalog = FakeCatalog()
    app = app_of(catalog)
    with TestClient(app, raise_server_exceptions=False) as client:
        for text in codes:
            client.post("/translate", json={"text": text})
        client.post("/translate", json={"text": ["Thanks", "fail later"]}, headers=EVENTS)
        client.post("/translate", json={"text": ["Thanks", "crash later"]}, headers=EVENTS)
        found = families(client.get("/metrics").text)
    counted = {one.labels["code"]: one.value for one in found["interlinea_errors"].samples}
    assert counted == {"queue_full": 1, "step_failed": 2, "internal_error": 2}
    assert value(found, "interlinea_queue_sentences", model="en-fr") == 2
    assert value(found, "interlinea_running_sentences", model="en-fr") == 1
    assert value(found, "interlinea_http_requests_open") == 1
    assert value(found, "interlinea_http_streams_open") == 0


@pytest.mark.parametrize(
    ("text", "accept", "status"),
    [
        ("wait", b"*/*", "499"),
        ("wait", b"text/event-stream", "499"),
        (["Thanks", "wait later"], b"text/event-stream", "200"),
    ],
)
def test_clients_that_leave_are_counted(text: object, accept: bytes, status: str) -> None:
    catalog = FakeCatalog()
    app = app_of(catalog)
    asyncio.run(visit_and_leave(app, catalog, {"text": text}, accept))
    found = families(_exposition(app.state.metrics))
    assert value(found, "interlinea_errors_total", code="cancelled") == 1
    assert value(found, "interlinea_http_requests_total", status=status) == 1
    assert value(found, "interlinea_http_requests_open") == 0


def _exposition(metrics: Metrics, accept: str = "") -> str:
    return metrics.exposition(accept)[0].decode()


def unloaded() -> Life:
    """A server that has loaded nothing yet."""
    return Life(Settings(), Catalog.load)


def test_a_stream_is_open_as_long_as_it_lasts() -> None:
    traffic = Traffic()
    metrics = Metrics(traffic, unloaded())
    visit = Visit("me", "POST")
    traffic.begin(visit, {})
    visit.streaming = True
    assert value(families(_exposition(metrics)), "interlinea_http_streams_open") == 1
    traffic.end(visit)
    found = families(_exposition(metrics))
    assert value(found, "interlinea_http_streams_open") == 0
    assert value(found, "interlinea_http_requests_total", status="none") == 1


def test_before_the_start_there_are_no_models() -> None:
    found = families(_exposition(Metrics(Traffic(), unloaded())))
    assert value(found, "interlinea_ready") == 0
    assert "interlinea_model_info" not in found


def test_two_bundles_of_one_name_are_counted_as_one() -> None:
    class Twice(FakeCatalog):
        def translators(self) -> Any:
            return [*super().translators(), *super().translators()]

    app = app_of(Twice())
    with TestClient(app) as client:
        found = families(client.get("/metrics").text)
    assert value(found, "interlinea_queue_sentences", model="en-fr") == 4
    assert value(found, "interlinea_sentences_total", outcome="done") == 10


def test_openmetrics_comes_where_it_is_asked_for(translator: Translator) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    with client_of(translator) as client:
        client.post("/translate", json={"text": "The cat."})
        plain, other = client.get("/metrics"), client.get("/metrics", headers=accept)
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert other.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    read: Iterable[Metric] = openmetrics_families(other.text)  # type: ignore[no-untyped-call]
    names = {family.name for family in read}
    assert {"interlinea_model", "interlinea_http_requests"} <= names


@pytest.mark.parametrize("version", ["x", "1.a", "1..0", "9.9", "", '"; evil="'])
def test_no_header_is_too_odd(translator: Translator, version: str) -> None:
    with client_of(translator) as client:
        accept = f"application/openmetrics-text; version={version}, text/plain"
        response = client.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=")
    assert "9.9" not in response.headers["Content-Type"]
    assert "evil" not in response.headers["Content-Type"]


def test_switched_off_there_is_no_route_and_nothing_is_counted(translator: Translator) -> None:
    with client_of(translator, Settings(metrics=False)) as client:
        assert client.get("/metrics").status_code == 404
        assert client.post("/translate", json={"text": "The cat."}).status_code == 200
        assert client.app.state.metrics is None  # type: ignore[attr-defined]


def test_applications_do_not_share_their_numbers() -> None:
    one, other = Traffic(), Traffic()
    metrics = [Metrics(traffic, unloaded()) for traffic in (one, other)]
    one.begin(visit := Visit("me"), {})
    one.end(visit)
    assert [("_requests_total{" in _exposition(each)) for each in metrics] == [True, False]
