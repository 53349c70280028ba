"""Requests: what is taken, what is refused, and how a refusal names the field."""

from typing import Any

import pytest

from service import examples
from service.answers import (
    AlignAnswer,
    DiagnosticsAnswer,
    ErrorAnswer,
    LanguageAnswer,
    ModelAnswer,
    TranslateAnswer,
)
from service.deadline import Deadline
from service.errors import RequestError
from service.options import Options, Pair
from service.schemas import MOST_ERRORS, AlignQuery, AlignRequest, TranslateRequest, read


def errors(shape: type[TranslateRequest] | type[AlignRequest], value: object) -> Any:
    with pytest.raises(RequestError) as caught:
        read(shape, value)
    assert caught.value.code == "invalid_request"
    assert caught.value.detail is not None
    return caught.value.detail["errors"]


def test_a_text_alone_has_every_default() -> None:
    request = read(TranslateRequest, {"text": "Hi"})
    assert request.texts() == ["Hi"]
    assert request.options(600, 0.0) == Options(deadline=Deadline(600))
    assert (request.source, request.target) == (None, None)


def test_every_option_is_read() -> None:
    value = {
        "text": ["Hi", ""],
        "source": "en-GB",
        "target": "fr",
        "beam_size": 5,
        "n_best": 2,
        "attention": "none",
        "unit": "word",
        "split_sentences": False,
        "max_length": 9,
        "length_penalty": 0.5,
        "timeout": 2.5,
        "matrix": "integers",
        "diagnostics": True,
        "heads": True,
        "timing": True,
    }
    request = read(TranslateRequest, value)
    assert request.texts() == ["Hi", ""]
    wanted = Options(5, 2, "none", "word", False, 9, 0.5, Deadline(2.5), True, True)
    assert request.options(600, 0.0) == wanted
    within = request.options(1.5, 7.0).deadline
    assert within is not None
    assert (within.seconds, within.since) == (1.5, 7.0)
    assert request.model_dump() == value


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({}, "text", "is required"),
        ({"text": None}, "text", "should be a string or a list of strings"),
        ({"text": 5}, "text", "should be a string or a list of strings"),
        ({"text": {"a": 1}}, "text", "should be a string or a list of strings"),
        ({"text": []}, "text", "should not be empty"),
        ({"text": ["a", 5]}, "text[1]", "should be a valid string"),
        ({"text": ["a", ["b"]]}, "text[1]", "should be a valid string"),
        ({"text": "a", "beam_size": "1"}, "beam_size", "should be a valid integer"),
        ({"text": "a", "beam_size": True}, "beam_size", "should be a valid integer"),
        ({"text": "a", "beam_size": 1.0}, "beam_size", "should be a valid integer"),
        ({"text": "a", "beam_size": None}, "beam_size", "should be a valid integer"),
        ({"text": "a", "split_sentences": 1}, "split_sentences", "should be a valid boolean"),
        ({"text": "a", "max_length": 0}, "max_length", "should be greater than or equal to 1"),
        ({"text": "a", "source": 5}, "source", "should be a valid string"),
        ({"text": "a", "unit": "line"}, "unit", "should be 'token' or 'word'"),
        ({"text": "a", "texts": "b"}, "texts", "unknown field"),
        ([], "", "should be a JSON object"),
        (None, "", "should be a JSON object"),
    ],
)
def test_what_is_wrong_is_named(value: object, field: str, message: str) -> None:
    assert errors(TranslateRequest, value) == [{"field": field, "message": message}]


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        ([], "pairs"),
        ("a", "pairs"),
        (["a"], "pairs[0]"),
        ([{"source_text": "a"}, {}], "pairs[1].source_text"),
        ([{"source_text": None}], "pairs[0].source_text"),
        ([{"source_text": ["a", 1]}], "pairs[0].source_text[1]"),
        ([{"source_text": "a", "target_text": 1}], "pairs[0].target_text"),
        ([{"source_text": "a", "text": "b"}], "pairs[0].text"),
    ],
)
def test_what_is_wrong_in_a_pair_is_named(pairs: object, field: str) -> None:
    assert [error["field"] for error in errors(AlignRequest, {"pairs": pairs})] == [field]


def test_a_refusal_does_not_echo_what_was_sent() -> None:
    with pytest.raises(RequestError) as caught:
        read(TranslateRequest, {"text": 5, "k" * 5000: "v" * 5000, "unit": "u" * 5000})
    assert len(str(caught.value)) + len(str(caught.value.detail)) < 1000
    assert len(errors(TranslateRequest, {str(name): 0 for name in range(999)})) == MOST_ERRORS
    assert len(errors(TranslateRequest, {"text": [0] * 999})) == 1


def test_the_target_says_the_script() -> None:
    request = read(TranslateRequest, {"text": "Hi", "target": "zh-Hant-TW"})
    assert request.options(600, 0.0) == Options(deadline=Deadline(600), script="zh-TW")
    pairs = [{"source_text": "Hi"}]
    asked = read(AlignRequest, {"pairs": pairs, "target": "zh-Hant"})
    assert asked.options(600, 0.0) == Options(deadline=Deadline(600), script="zh-Hant")


def test_pairs_are_handed_on_as_they_are() -> None:
    request = read(AlignRequest, examples.ALIGN)
    assert request.options(600, 0.0) == Options(deadline=Deadline(600))
    assert request.translator_pairs() == [
        Pair("Thank you.", "Merci."),
        Pair(("Good", "morning", "!"), ("Bonjour", "!")),
        Pair("I am hungry.", None),
    ]


def test_a_merge_and_diagnostics_are_asked_for_by_name() -> None:
    request = read(AlignRequest, examples.ALIGN | {"symmetrize": "union", "diagnostics": True})
    assert request.symmetrize == "union"
    assert request.options(600, 0.0) == Options(deadline=Deadline(600), diagnostics=True)
    assert read(AlignRequest, examples.ALIGN | {"symmetrize": None}).symmetrize is None
    for name, wrong in (("symmetrize", "vote"), ("symmetrize", True), ("diagnostics", "yes")):
        (error,) = errors(AlignRequest, examples.ALIGN | {name: wrong})
        assert error["field"] == name


def test_a_query_spells_its_booleans() -> None:
    query = AlignQuery.model_validate({"source_text": "a", "diagnostics": "true", "timing": "true"})
    assert query.request().diagnostics
    assert query.request().timing
    query = AlignQuery.model_validate({"source_text": "a", "symmetrize": "grow-diag"})
    assert (query.request().symmetrize, query.request().diagnostics) == ("grow-diag", False)


def test_a_query_asks_what_a_body_would() -> None:
    query = AlignQuery.model_validate(examples.ALIGN_QUERY)
    body = {"pairs": [{"source_text": "Thank you.", "target_text": "Merci."}]}
    assert query.request() == read(AlignRequest, body | {"source": "en", "target": "fr"})


def test_examples_have_the_shape_that_they_illustrate() -> None:
    read(TranslateRequest, examples.TRANSLATE)
    TranslateAnswer.model_validate(examples.TRANSLATED)
    AlignAnswer.model_validate(examples.ALIGNED)
    ErrorAnswer.model_validate(examples.REFUSED)
    DiagnosticsAnswer.model_validate(examples.DIAGNOSTICS)
    for model in examples.MODELS:
        ModelAnswer.model_validate(model)
    for language in examples.LANGUAGES:
        LanguageAnswer.model_validate(language)
