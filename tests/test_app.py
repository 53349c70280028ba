"""The HTTP face, over a catalog that gives canned answers."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from service import examples
from service.alignment import Link
from service.answers import (
    AlignAnswer,
    ErrorAnswer,
    HealthAnswer,
    LanguageAnswer,
    ModelAnswer,
    TimingAnswer,
    TranslateAnswer,
)
from service.deadline import Deadline
from service.errors import ShuttingDown
from service.options import Options, Pair
from service.settings import Settings
from tests.served import app_of, visiting
from tests.stand_ins import FakeCatalog, FakeTranslator

SERVER_TIMING = ["queue", "encode", "decode", "serialise", "total"]


@pytest.fixture
def catalog() -> FakeCatalog:
    return FakeCatalog()


@pytest.fixture
def client(catalog: FakeCatalog) -> Iterator[TestClient]:
    settings = Settings(max_body_bytes=4096, max_texts=4, max_characters=500, max_beam=4)
    with TestClient(app_of(catalog, settings)) as client:
        yield client


def refused(response: Any, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a refusal of this kind, and return its detail."""
    assert response.status_code == status, response.text
    error = ErrorAnswer.model_validate(response.json()).error
    assert error.code == code
    assert error.request_id == response.headers["X-Request-ID"]
    return error.detail or {}


def test_a_text_is_translated(client: TestClient, catalog: FakeCatalog) -> None:
    response = client.post("/translate", json={"text": "Thanks"})
    assert response.status_code == 200
    answer = response.json()
    TranslateAnswer.model_validate(answer)
    assert answer["model"] == {"name": "en-fr", "version": "1.2.3"}
    (sentence,) = answer["translations"][0]["sentences"]
    assert sentence["attention"] == [[0.9312, 0.0688], [0.0, 1.0]]
    assert "0.9312," in response.text
    assert sentence["alignment"] == [{"source": 0, "target": 0, "score": 0.9712}]
    assert sentence["score"] == answer["translations"][0]["score"] == -0.3101
    assert sentence["alternatives"] == []
    assert catalog.translator.options == [Options(deadline=Deadline(60))]


@pytest.mark.parametrize("path", ["/translate", "/align"])
def test_a_timeout_counts_from_the_arrival(
    path: str, client: TestClient, catalog: FakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.handlers.arrival", lambda: 7.0)
    body = {"text": "Thanks", "pairs": [{"source_text": "Thanks"}], "timeout": 3}
    del body["pairs" if path == "/translate" else "text"]
    assert client.post(path, json=body).status_code == 200
    within = catalog.translator.options[0].deadline
    assert within is not None
    assert (within.seconds, within.since) == (3, 7.0)


def test_options_reach_the_translator(client: TestClient, catalog: FakeCatalog) -> None:
    asked = {
        "text": ["Thanks", " "],
        "source": "en",
        "target": "fr",
        "beam_size": 4,
        "n_best": 3,
        "attention": "none",
        "unit": "word",
        "split_sentences": False,
        "max_length": 7,
    }
    answer = client.post("/translate", json=asked).json()
    assert catalog.translator.options == [
        Options(4, 3, "none", "word", False, 7, deadline=Deadline(60))
    ]
    first, second = answer["translations"]
    assert first["sentences"][0]["attention"] is None
    assert len(first["sentences"][0]["alternatives"]) == 2
    assert second["sentences"] == []


def test_pairs_are_aligned(client: TestClient, catalog: FakeCatalog) -> None:
    pairs: list[dict[str, object]] = [
        {"source_text": "Thanks", "target_text": "Merci"},
        {"source_text": ["Good", "day"], "target_text": ["Bonjour"]},
        {"source_text": "Thanks", "target_text": None},
        {"source_text": "Thanks"},
    ]
    response = client.post("/align", json={"pairs": pairs})
    answer = AlignAnswer.model_validate(response.json())
    assert [alignment.pharaoh for alignment in answer.alignments] == ["0-0"] * 4
    assert catalog.translator.options == [Options(deadline=Deadline(60))]
    assert catalog.translator.pairs == [
        Pair("Thanks", "Merci"),
        Pair(("Good", "day"), ("Bonjour",)),
        Pair("Thanks", None),
        Pair("Thanks", None),
    ]


def test_one_pair_is_fetched(client: TestClient, catalog: FakeCatalog) -> None:
    query = {"source_text": "Thänks", "source": "en", "unit": "word", "attention": "cross"}
    answer = AlignAnswer.model_validate(client.get("/align", params=query).json())
    assert len(answer.alignments) == 1
    assert catalog.translator.pairs == [Pair("Thänks", None)]
    assert catalog.translator.options == [
        Options(attention="cross", unit="word", deadline=Deadline(60))
    ]


def test_both_directions_are_merged(client: TestClient, catalog: FakeCatalog) -> None:
    catalog.reversed = FakeTranslator("fr-en", (Link(0, 0, 0.5), Link(3, 2, 0.5)))
    asked = {"pairs": [{"source_text": "Thanks"}], "symmetrize": "union", "diagnostics": True}
    answer = AlignAnswer.model_validate(client.post("/align", json=asked).json())
    assert answer.reverse_model is not None
    assert (answer.model.name, answer.reverse_model.name) == ("en-fr", "fr-en")
    (found,) = answer.alignments
    links = [(link.source, link.target, link.score) for link in found.alignment]
    assert links == [(0, 0, 0.7356), (2, 3, 0.25)]
    assert found.pharaoh == "0-0 2-3"
    assert found.diagnostics is not None
    assert catalog.translator.options == [Options(deadline=Deadline(60), diagnostics=True)]
    assert catalog.reversed.options == [Options(attention="none", deadline=Deadline(60))]
    query = {"source_text": "Thanks", "symmetrize": "intersection"}
    answer = AlignAnswer.model_validate(client.get("/align", params=query).json())
    assert [alignment.pharaoh for alignment in answer.alignments] == ["0-0"]


def test_without_a_model_of_the_other_direction_there_is_no_merge(client: TestClient) -> None:
    asked = {"pairs": [{"source_text": "Thanks"}], "symmetrize": "grow-diag"}
    detail = refused(client.post("/align", json=asked), 422, "no_reverse_model")
    assert detail == {"pairs": [["en", "fr"]]}


def test_nothing_new_is_answered_unasked(client: TestClient) -> None:
    aligned = client.post("/align", json={"pairs": [{"source_text": "Thanks"}]}).json()
    assert list(aligned) == ["model", "alignments"]
    assert list(aligned["alignments"][0])[-1] == "score"
    (translated,) = client.post("/translate", json={"text": "Thanks"}).json()["translations"]
    assert list(translated["sentences"][0])[-1] == "alternatives"


def test_diagnostics_come_where_they_are_asked_for(client: TestClient) -> None:
    asked = {"text": "Thanks", "beam_size": 2, "n_best": 2, "diagnostics": True}
    answer = TranslateAnswer.model_validate(client.post("/translate", json=asked).json())
    (sentence,) = answer.translations[0].sentences
    assert sentence.diagnostics is not None
    assert sentence.diagnostics.attention == "cross"
    query = {"source_text": "Thanks", "diagnostics": "true"}
    aligned = AlignAnswer.model_validate(client.get("/align", params=query).json())
    assert aligned.alignments[0].diagnostics == sentence.diagnostics
    assert aligned.reverse_model is None


def test_every_answer_says_how_long_it_took(client: TestClient) -> None:
    pairs = [{"source_text": "Thanks"}]
    for timing in (False, True):
        for response in (
            client.post("/translate", json={"text": "Thanks", "timing": timing}),
            client.post("/align", json={"pairs": pairs, "timing": timing}),
            client.get("/align", params={"source_text": "Thanks", "timing": timing}),
        ):
            entries = response.headers["Server-Timing"].split(", ")
            names = [re.fullmatch(r"(\w+);dur=\d+\.\d\d", entry) for entry in entries]
            assert [name and name[1] for name in names] == SERVER_TIMING
            assert ("timing" in response.json()) == timing
            if timing:
                told = TimingAnswer.model_validate(response.json()["timing"])
                assert 0 < told.total <= float(entries[-1].partition("=")[2]) + 0.01
    assert "Server-Timing" not in client.post("/translate", json={"text": "full"}).headers


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ("", "invalid_request", 422),
        ("source_text=a&unit=line", "invalid_request", 422),
        ("source_text=a&sauce=en", "invalid_request", 422),
        ("source_text=a&symmetrize=vote", "invalid_request", 422),
        ("source_text=a&symmetrize=union", "no_reverse_model", 422),
        ("source_text=a&diagnostics=perhaps", "invalid_request", 422),
        ("source_text=a&source_text=b", "invalid_request", 422),
        ("source_text=%ED%A0%80", "invalid_encoding", 400),
        ("source_text=a&source=xx", "unknown_pair", 422),
        ("source_text=" + "a" * 501, "text_too_long", 422),
    ],
)
def test_bad_queries_are_refused(client: TestClient, query: str, code: str, status: int) -> None:
    refused(client.get(f"/align?{query}"), status, code)


def test_examples_work_as_they_stand(client: TestClient) -> None:
    assert client.post("/translate", json=examples.TRANSLATE).status_code == 200
    assert client.post("/align", json=examples.ALIGN).status_code == 200
    assert client.get("/align", params=examples.ALIGN_QUERY).status_code == 200


def test_lists(client: TestClient) -> None:
    for model in client.get("/models").json():
        ModelAnswer.model_validate(model)
    (language,) = client.get("/languages").json()
    LanguageAnswer.model_validate(language)
    assert language == {"code": "en", "name": "English", "targets": ["fr"]}


def test_health(client: TestClient, catalog: FakeCatalog) -> None:
    for path, status in (("/health/live", "live"), ("/health/ready", "ready")):
        response = client.get(path)
        assert response.status_code == 200
        assert HealthAnswer.model_validate(response.json()).status == status
    catalog.found = {"en-fr": "its last steps all failed"}
    assert client.get("/health/live").status_code == 200
    response = client.get("/health/ready")
    assert refused(response, 503, "unavailable") == {"bundles": ["en-fr"]}
    assert "en-fr: its last steps all failed" in response.text
    assert response.headers["Retry-After"] == "1"


def test_health_has_heads(client: TestClient) -> None:
    for path in ("/health/live", "/health/ready"):
        assert client.head(path).status_code == 200


def test_the_root_leads_to_the_docs(client: TestClient) -> None:
    response = client.get("/", follow_redirects=False)
    assert response.is_redirect
    assert response.headers["Location"] == "/docs"
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (b"", "malformed_body", 400),
        (b"{", "malformed_body", 400),
        (b'{"text": NaN}', "malformed_body", 400),
        (b'{"text": "a", "text": "b"}', "malformed_body", 400),
        (b'{"text":' + b"[" * 2000, "malformed_body", 400),
        (b'{"text": "\xff"}', "invalid_encoding", 400),
        (b'{"text": "\\ud800"}', "invalid_encoding", 400),
        (b'{"\\udfff": "a"}', "invalid_encoding", 400),
        (b"[]", "invalid_request", 422),
        (b'{"text": 5}', "invalid_request", 422),
        (b'{"text": []}', "invalid_request", 422),
        (b'{"text": "a", "beam_size": "1"}', "invalid_request", 422),
        (b'{"text": "a", "beam_size": 1e999}', "invalid_request", 422),
        (b'{"text": "a", "max_length": 1' + b"0" * 40 + b"}", "invalid_request", 422),
        (b'{"text": "a", "beam_size": 1' + b"0" * 40 + b"}", "invalid_beam", 422),
        (b'{"text": "a", "n_best": 2}', "invalid_beam", 422),
        (b'{"text": ["a", "a", "a", "a", "a"]}', "too_many_texts", 422),
        (b'{"text": "' + b"a" * 501 + b'"}', "text_too_long", 422),
        (b'{"text": "a", "source": "xx"}', "unknown_pair", 422),
        (b'{"text": "' + b"a" * 4096 + b'"}', "body_too_large", 413),
        (b'{"text": "full"}', "queue_full", 503),
        (b'{"text": "drop"}', "unavailable", 503),
        (b'{"text": "fail"}', "step_failed", 500),
        (b'{"text": "crash"}', "internal_error", 500),
    ],
)
def test_every_failure_has_one_shape(
    client: TestClient, body: bytes, code: str, status: int
) -> None:
    headers = {"Content-Type": "application/json"}
    response = client.post("/translate", content=body, headers=headers)
    refused(response, status, code)
    assert ("Retry-After" in response.headers) == (status == 503)


def test_a_chunked_body_is_counted_while_it_is_read(client: TestClient) -> None:
    chunks = iter([b" " * 1024] * 100)
    headers = {"Content-Type": "application/json"}
    response = client.post("/translate", content=chunks, headers=headers)
    assert refused(response, 413, "body_too_large") == {"limit": 4096}


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json; a*=1; a*0=2"},
    ],
)
def test_only_plain_json_is_read(client: TestClient, headers: dict[str, str]) -> None:
    response = client.post("/align", content=b"{}", headers=headers)
    refused(response, 415, "unsupported_media_type")


def test_a_body_without_a_content_type_is_read_as_json(client: TestClient) -> None:
    response = client.post("/align", content=b"{}")
    assert refused(response, 422, "invalid_request")


def test_an_unknown_field_is_named(client: TestClient) -> None:
    response = client.post("/translate", json={"text": "a", "beam": 3})
    detail = refused(response, 422, "invalid_request")
    assert detail == {"errors": [{"field": "beam", "message": "unknown field"}]}


@pytest.mark.parametrize(
    ("limit", "code", "detail"),
    [
        ({"max_tokens": 1}, "too_many_tokens", {"count": 2, "limit": 1}),
        ({"max_attention_bytes": 23}, "attention_too_large", {"count": 24, "limit": 23}),
    ],
)
def test_what_shows_once_texts_are_tokens_is_refused_too(
    limit: dict[str, Any], code: str, detail: dict[str, int]
) -> None:
    app = app_of(FakeCatalog(), Settings(**limit))
    with TestClient(app) as client:
        for headers in ({}, {"Accept": "text/event-stream"}):
            response = client.post("/translate", json={"text": "Thanks"}, headers=headers)
            assert refused(response, 422, code) == detail
        response = client.post("/align", json={"pairs": [{"source_text": "Thanks"}]})
        assert refused(response, 422, code) == detail


def test_large_answers_are_compressed_where_asked(client: TestClient) -> None:
    texts = ["Thanks"] * 4
    packed = client.post("/translate", json={"text": texts}, headers={"Accept-Encoding": "gzip"})
    plain = client.post("/translate", json={"text": texts}, headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert "X-Request-ID" in packed.headers


def test_the_catalog_is_closed_at_the_end(catalog: FakeCatalog) -> None:
    with TestClient(app_of(catalog)):
        assert catalog.translator.closed_with is None
    assert isinstance(catalog.translator.closed_with, ShuttingDown)


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("POST", "/translate", b"", {"text": "wait"}),
        ("POST", "/align", b"", {"pairs": [{"source_text": "wait"}]}),
        ("GET", "/align", b"source_text=wait", None),
    ],
)
def test_a_client_that_leaves_cancels_its_work(
    method: str, path: str, query: bytes, body: object
) -> None:
    catalog = FakeCatalog()

    async def visit() -> list[Any]:
        left = visiting(app_of(catalog), catalog, body, method=method, path=path, query=query)
        async with left as sent:
            return sent

    sent = asyncio.run(visit())
    assert catalog.translator.cancelled
    assert sent[0]["status"] == 499  # which nobody is there to read
