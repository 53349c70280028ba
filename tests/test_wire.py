"""What leaves: rounded, plain, and in the shapes that the document shows."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import wire
from service.alignment import Link
from service.answers import AlignAnswer, TimingAnswer, TranslateAnswer
from service.catalog import Language
from service.diagnostics import Diagnostics, Seen, diagnose
from service.manifest import Manifest
from service.segmentation import Span
from service.translation import (
    Alignment,
    Hypothesis,
    Matrix,
    Side,
    Token,
    TokenChosen,
    TranslatedSentence,
    Translation,
    Word,
)
from service.visit import Timing
from service.written import to_json
from tests.stand_ins import BOUNDS

MANIFEST = cast(Manifest, SimpleNamespace(name="en-fr", version="1.2.3"))
SOURCE = Side(
    "Hi",
    Span(1, 3),
    (Token("Hi", Span(1, 3)), Token("", Span(3, 3), "</s>")),
    (Word("Hi", Span(1, 3)),),
)
TARGET = Side(
    "Salut",
    Span(0, 5),
    (Token("Salut", Span(0, 5), None, -0.123456), Token("", Span(5, 5), "</s>", -1e-9)),
    (Word("Salut", Span(0, 5)),),
)
LINK = Link(0, 0, 0.9)
MATRIX: Matrix = np.array([[0.93123, 0.06877], [0.00001, 0.99999]], np.float32)


def written(content: object) -> Any:
    return orjson.loads(to_json(content))


def aligned(alignment: Alignment, reverse: Manifest | None = None) -> Any:
    return written(asyncio.run(wire.aligned(MANIFEST, [alignment], "decimals", reverse)))


def translated(*translations: Translation) -> Any:
    return written(asyncio.run(wire.translated(MANIFEST, translations, "decimals")))


def hypothesis(attention: Matrix | None) -> Hypothesis:
    return Hypothesis(TARGET, attention, (Link(0, 0, 0.987654),), -0.31, "stop")


def test_a_translation() -> None:
    sentence = TranslatedSentence(SOURCE, hypothesis(MATRIX), (hypothesis(None),))
    answer = translated(Translation(" Salut", -0.310049, (sentence,)))
    TranslateAnswer.model_validate(answer)
    assert answer["model"] == {"name": "en-fr", "version": "1.2.3"}
    (text,) = answer["translations"]
    assert (text["text"], text["score"]) == (" Salut", -0.31)
    (found,) = text["sentences"]
    assert found["source"]["tokens"] == [
        {"text": "Hi", "span": [1, 3]},
        {"text": "", "span": [3, 3], "special": "</s>"},
    ]
    assert found["target"]["tokens"] == [
        {"text": "Salut", "span": [0, 5], "score": -0.1235},
        {"text": "", "span": [5, 5], "special": "</s>", "score": 0.0},
    ]
    assert found["target"]["words"] == [{"text": "Salut", "span": [0, 5]}]
    assert found["attention"] == [[0.9312, 0.0688], [0.0, 1.0]]
    assert found["alignment"] == [{"source": 0, "target": 0, "score": 0.9877}]
    assert [other["attention"] for other in found["alternatives"]] == [None]


def test_times_are_in_milliseconds() -> None:
    told = wire.timing(Timing(0.000123456, 0.01, 1.5, 0.1, 2.25, 3, 4, 5))
    assert told == {
        "queue": 0.12,
        "encode": 10.0,
        "decode": 1500.0,
        "total": 2250.0,
        "steps": 3,
        "source_tokens": 4,
        "target_tokens": 5,
    }
    TimingAnswer.model_validate(told)


def test_an_alignment() -> None:
    alignment = Alignment(SOURCE, TARGET, None, (Link(0, 0, 1.0),), "0-0", -0.5)
    answer = aligned(alignment)
    AlignAnswer.model_validate(answer)
    (found,) = answer["alignments"]
    assert (found["attention"], found["pharaoh"], found["score"]) == (None, "0-0", -0.5)


def test_the_model_of_the_other_direction_is_named_where_there_is_one() -> None:
    alignment = Alignment(SOURCE, TARGET, None, (), "", -0.5)
    other = cast(Manifest, SimpleNamespace(name="fr-en", version="2"))
    answer = aligned(alignment, other)
    AlignAnswer.model_validate(answer)
    assert answer["reverse_model"] == {"name": "fr-en", "version": "2"}
    assert "reverse_model" not in aligned(alignment)


def test_heads_are_written_where_they_were_asked_for() -> None:
    matrix: Matrix = np.array([[0.25, 0.75]], np.float32)
    alignment = Alignment(SOURCE, TARGET, matrix, (), "", -0.5, heads=(matrix, 1 - matrix))
    answer = aligned(alignment)
    AlignAnswer.model_validate(answer)
    assert answer["alignments"][0]["heads"] == [[[0.25, 0.75]], [[0.75, 0.25]]]
    chosen = TokenChosen(0, 0, 0, "a", None, -0.5, {"cross": matrix[0]}, {"cross": matrix})
    written_rows = written(wire.token_chosen(chosen, "integers"))
    assert written_rows["heads"] == {"cross": {"scale": 10000, "weights": [[2500, 7500]]}}


def told(source: str, target: str, links: tuple[Link, ...]) -> Diagnostics:
    matrix: Matrix = np.array([[0.02, 0.98], [0.0, 1.0]], np.float32)
    return diagnose(Seen((source,), (target,), {"cross": matrix}, "cross", links, BOUNDS))


def test_diagnostics_name_words_and_spans_of_the_right_side() -> None:
    found = told("Hello", "Salut", ())
    source = Side("Hello", Span(1, 6), (), (Word("Hello", Span(1, 6)),))
    alignment = Alignment(source, TARGET, None, (), "", -0.5, found)
    answer = aligned(alignment)
    AlignAnswer.model_validate(answer)
    (made,) = answer["alignments"]
    assert made["diagnostics"] == {
        "attention": "cross",
        "entropy": {"cross": {"words": [0.098], "mean": 0.098}},
        "end_mass": {"cross": [0.98]},
        "coverage": [{"received": 0.02, "strongest": 0.02, "linked": False}],
        "unattended": [0],
        "unsourced": [0],
        "repeated_focus": [],
        "evidence": {"omission": 0.7178, "hallucination": 0.8972},
        "warnings": [
            {
                "code": "possible_omission",
                "message": 'Nothing in the target seems to translate "Hello".',
                "words": [0],
                "spans": [[1, 6]],
            },
            {
                "code": "possible_hallucination",
                "message": 'Nothing in the source seems to say "Salut".',
                "words": [0],
                "spans": [[0, 5]],
            },
        ],
    }
    sentence = TranslatedSentence(SOURCE, hypothesis(None), (), told("Hi", "Salut", (LINK,)))
    translation = Translation("Salut", -0.3, (sentence,))
    whole = translated(translation)
    TranslateAnswer.model_validate(whole)
    (shown,) = whole["translations"][0]["sentences"]
    assert shown["diagnostics"]["coverage"][0]["linked"]


def test_a_language() -> None:
    found = wire.language(Language("en", "English", ("de", "fr")))
    assert found == {"code": "en", "name": "English", "targets": ["de", "fr"]}


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=60).filter(any))
def test_weights_have_four_decimals_and_rows_still_sum_to_one(parts: list[int]) -> None:
    row = np.array([parts], np.float32)
    (rounded,) = written(wire.matrix(row / row.sum(), "decimals"))
    assert all(len(repr(weight)) <= len("0.1234") for weight in rounded if weight >= 1e-3)
    assert all(weight == round(weight, 4) for weight in rounded)
    assert sum(rounded) == pytest.approx(1.0, abs=1e-4 * len(rounded))


def test_certainty_is_not_a_negative_zero() -> None:
    token = Token("", Span(0, 0), "</s>", -0.0)
    side = Side("", Span(0, 0), (token,), ())
    alignment = Alignment(side, side, MATRIX * -1e-9, (), "", -0.0)
    content = asyncio.run(wire.aligned(MANIFEST, [alignment], "decimals"))
    assert b"-" not in to_json(content["alignments"])


def test_a_matrix_that_lies_in_columns_is_written_in_rows() -> None:
    assert written(wire.matrix(np.asfortranarray(MATRIX), "decimals")) == [
        [0.9312, 0.0688],
        [0.0, 1.0],
    ]


def test_a_matrix_of_integers_says_the_same() -> None:
    found = written(wire.matrix(MATRIX, "integers"))
    assert found == {"scale": 10_000, "weights": [[9312, 688], [0, 10_000]]}
    decimals = written(wire.matrix(MATRIX, "decimals"))
    assert [[weight / found["scale"] for weight in row] for row in found["weights"]] == decimals


def test_a_token_tells_its_own_row_and_the_row_before() -> None:
    rows = {"cross": MATRIX[0], "alignment": MATRIX[1]}
    chosen = TokenChosen(0, 2, 5, " jour", None, -0.25, rows)
    assert written(wire.token_chosen(chosen, "decimals")) == {
        "text": 0,
        "sentence": 2,
        "step": 5,
        "delta": " jour",
        "score": -0.25,
        "cross": [0.9312, 0.0688],
        "alignment": [0.0, 1.0],
    }
    last = TokenChosen(1, 0, 6, "", "</s>", -0.5, {})
    assert written(wire.token_chosen(last, "integers")) == {
        "text": 1,
        "sentence": 0,
        "step": 6,
        "delta": "",
        "score": -0.5,
        "special": "</s>",
    }
