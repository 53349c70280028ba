"""Limits: exactly so much and no more, and a refusal that says how much."""

import pytest

from service.errors import EmptyWord, InvalidBeam, RequestError, TextTooLong, TooManyTexts
from service.limits import check_align, check_translate
from service.schemas import AlignRequest, TranslateRequest, read
from service.settings import Settings

SETTINGS = Settings(max_texts=2, max_characters=10, max_beam=4)


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
        ({"text": "a", "n_best": 0}, InvalidBeam, {"limit": 4}),
        ({"text": "a", "beam_size": 2, "n_best": 3}, InvalidBeam, {"limit": 4}),
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
    ],
)
def test_pairs_past_a_limit(
    pairs: object, kind: type[RequestError], detail: dict[str, object]
) -> None:
    with pytest.raises(kind) as caught:
        check_align(read(AlignRequest, {"pairs": pairs}), SETTINGS)
    assert caught.value.detail == detail
