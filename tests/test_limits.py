"""Limits: exactly so much and no more, and a refusal that says how much."""

import pytest

from service.demand import Demand
from service.errors import (
    AttentionTooLarge,
    EmptyWord,
    InvalidBeam,
    RequestError,
    TextTooLong,
    TooManyHypotheses,
    TooManyTexts,
    TooManyTokens,
)
from service.limits import check_align, check_demand, check_translate
from service.schemas import AlignRequest, MatrixForm, TranslateRequest, read
from service.settings import Settings

SETTINGS = Settings(
    max_texts=2,
    max_characters=10,
    max_beam=4,
    max_tokens=100,
    max_hypotheses=8,
    max_attention_bytes=600,
)


@pytest.mark.parametrize(
    "body",
    [
        {"text": "0123456789"},
        {"text": ["01234", "56789"]},
        {"text": "👨‍👩‍👧" * 2},
        {"text": "a", "beam_size": 4, "n_best": 4},
    ],
)
def test_a_translation_within_limits(body: object) -> None:
    check_translate(read(TranslateRequest, body), SETTINGS)


@pytest.mark.parametrize(
    ("body", "kind", "detail"),
    [
        ({"text": ["", "", ""]}, TooManyTexts, {"count": 3, "limit": 2}),
        ({"text": ["01234", "567890"]}, TextTooLong, {"count": 11, "limit": 10}),
        ({"text": "a", "beam_size": 5}, InvalidBeam, {"limit": 4}),
        ({"text": "a", "beam_size": 0}, InvalidBeam, {"limit": 4}),
        ({"text": "a", "beam_size": -(10**30)}, InvalidBeam, {"limit": 4}),
        ({"text": "a", "n_best": 0}, InvalidBeam, {"limit": 1}),
        ({"text": "a", "beam_size": 2, "n_best": 3}, InvalidBeam, {"limit": 2}),
    ],
)
def test_a_translation_past_a_limit(
    body: object, kind: type[RequestError], detail: dict[str, int]
) -> None:
    with pytest.raises(kind) as caught:
        check_translate(read(TranslateRequest, body), SETTINGS)
    assert caught.value.detail == detail


def test_pairs_within_limits() -> None:
    pairs = [{"source_text": ["ab", "cd"], "target_text": "e"}, {"source_text": "fghi"}]
    check_align(read(AlignRequest, {"pairs": pairs}), SETTINGS)


@pytest.mark.parametrize(
    ("pairs", "kind", "detail"),
    [
        ([{"source_text": "a"}] * 3, TooManyTexts, {"count": 3, "limit": 2}),
        ([{"source_text": ["abcde", "fghij"]}], TextTooLong, {"count": 11, "limit": 10}),
        (
            [{"source_text": "abcde", "target_text": "fghijk"}],
            TextTooLong,
            {"count": 11, "limit": 10},
        ),
        (
            [{"source_text": "a"}, {"source_text": "a", "target_text": ["b", ""]}],
            EmptyWord,
            {"field": "pairs[1].target_text[1]", "index": 1},
        ),
        (
            [{"source_text": [" "]}],
            EmptyWord,
            {"field": "pairs[0].source_text[0]", "index": 0},
        ),
        (
            [{"source_text": "a"}, {"source_text": "a", "target_text": " "}],
            RequestError,
            {"errors": [{"field": "pairs[1].target_text", "message": "must not be empty"}]},
        ),
    ],
)
def test_pairs_past_a_limit(
    pairs: object, kind: type[RequestError], detail: dict[str, object]
) -> None:
    with pytest.raises(kind) as caught:
        check_align(read(AlignRequest, {"pairs": pairs}), SETTINGS)
    assert caught.value.detail == detail


def test_characters_are_counted() -> None:
    assert check_translate(read(TranslateRequest, {"text": ["012", "é"]}), SETTINGS) == 4
    pairs = [{"source_text": ["ab", "cd"], "target_text": "e"}, {"source_text": "f"}]
    assert check_align(read(AlignRequest, {"pairs": pairs}), SETTINGS) == 7


@pytest.mark.parametrize("form", ["decimals", "integers"])
def test_a_demand_within_limits(form: MatrixForm) -> None:
    check_demand(Demand(tokens=100, rows=8, work=10**9, cells=100), SETTINGS, form)
    check_demand(Demand(tokens=0, rows=0, work=0, cells=200), SETTINGS, "integers")


@pytest.mark.parametrize(
    ("demand", "form", "kind", "detail"),
    [
        (Demand(101, 1, 1, 1), "decimals", TooManyTokens, {"count": 101, "limit": 100}),
        (Demand(1, 9, 1, 1), "decimals", TooManyHypotheses, {"count": 9, "limit": 8}),
        (Demand(1, 1, 1, 101), "decimals", AttentionTooLarge, {"count": 606, "limit": 600}),
        (Demand(1, 1, 1, 201), "integers", AttentionTooLarge, {"count": 603, "limit": 600}),
    ],
)
def test_a_demand_past_a_limit(
    demand: Demand, form: MatrixForm, kind: type[RequestError], detail: dict[str, int]
) -> None:
    with pytest.raises(kind) as caught:
        check_demand(demand, SETTINGS, form)
    assert caught.value.detail == detail


def test_too_large_matrices_come_with_advice() -> None:
    with pytest.raises(AttentionTooLarge) as caught:
        check_demand(Demand(1, 1, 1, 10**6), SETTINGS, "decimals")
    assert '"attention": "none" or "matrix": "integers"' in caught.value.message
    with pytest.raises(AttentionTooLarge) as caught:
        check_demand(Demand(1, 1, 1, 10**6), SETTINGS, "integers")
    assert '"attention": "none"' in caught.value.message
    assert "integers" not in caught.value.message
