"""Texts made ready: by the bundle's own rules, and taken over from another bundle."""

import dataclasses

import pytest

from service.bundle import Bundle
from service.errors import BundleError, EmptyWord, RequestError, SentenceTooLong
from service.segmentation import Span
from service.units import Units, check_length, source_side


@pytest.fixture
def units(toy_bundle: Bundle) -> Units:
    return Units(toy_bundle)


def test_a_text_is_cut_by_the_rule_of_its_language(units: Units) -> None:
    source, target = units.text("L'arbre.", 5, "source"), units.text("L'arbre.", 0, "target")
    assert [span.of(source.text) for span in source.words] == ["L'arbre", "."]
    assert [span.of(target.text) for span in target.words] == ["L'", "arbre", "."]
    assert source.encoded == units.tokenizers["source"].encode("L'arbre.")
    side = source_side(source)
    assert (side.span, side.words[1].span) == (Span(5, 13), Span(12, 13))
    assert (side.tokens[-1].special, side.tokens[-1].span) == ("</s>", Span(13, 13))


def test_given_words_are_joined_and_keep_their_places(units: Units) -> None:
    unit = units.given(("black cat", "sees"), "source")
    assert unit.text == "black cat sees"
    assert [span.of(unit.text) for span in unit.words] == ["black cat", "sees"]


def test_a_unit_is_taken_over_with_its_words(units: Units) -> None:
    unit = units.given(("L'arbre", "est", "vieux."), "target")
    taken = units.taken_over(unit, "source")
    assert (taken.text, taken.start, taken.words) == (unit.text, unit.start, unit.words)
    assert taken.encoded == units.tokenizers["source"].encode(unit.text)
    assert taken.encoded != unit.encoded


def test_what_is_empty_or_too_long_is_refused(units: Units) -> None:
    with pytest.raises(RequestError, match="target text of a pair is empty"):
        units.given(" ", "target")
    with pytest.raises(EmptyWord, match="source word 1"):
        units.given(("a", ""), "source")
    unit = units.text("the cat", 0, "source")
    count = len(unit.encoded.ids)
    check_length(unit, count, 0, 0, "source")
    with pytest.raises(SentenceTooLong) as refusal:
        check_length(unit, count - 1, 4, 2, "target")
    assert refusal.value.detail == {
        "side": "target",
        "index": 4,
        "text": 2,
        "count": count,
        "limit": count - 1,
    }


def test_an_unknown_word_rule_stops_the_start(toy_bundle: Bundle) -> None:
    manifest = toy_bundle.manifest
    target = dataclasses.replace(manifest.target, words="guess")
    wrong = dataclasses.replace(manifest, target=target)
    with pytest.raises(BundleError, match="guess"):
        Units(dataclasses.replace(toy_bundle, manifest=wrong))
