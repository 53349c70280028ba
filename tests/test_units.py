"""Texts made ready: by the bundle's own rules, and taken over from another bundle."""

import dataclasses

import numpy as np
import pytest

from service.bundle import Bundle
from service.errors import BundleError, DamagedBundle, EmptyWord, RequestError, SentenceTooLong
from service.hypotheses import Path, Source
from service.keeping import STAND_INS
from service.segmentation import Span
from service.units import FINAL, UnitPair, Units, check_length, source_side


@pytest.fixture
def units(toy_bundle: Bundle) -> Units:
    return Units(toy_bundle)


@pytest.fixture
def keeping(toy_bundle: Bundle) -> Units:
    manifest = dataclasses.replace(toy_bundle.manifest, stand_ins=STAND_INS)
    return Units(dataclasses.replace(toy_bundle, manifest=manifest))


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
    taken = units.turned(UnitPair(unit, unit)).source
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


def test_what_is_kept_is_one_token_and_one_word(keeping: Units) -> None:
    unit = keeping.text("the x@y.fr sees a@b.fr", 3, "source")
    mail = unit.encoded.spans.index(Span(4, 10))
    assert [span.of(unit.text) for span in unit.words] == ["the", "x@y.fr", "sees", "a@b.fr"]
    assert unit.carried == {"\x01": "x@y.fr", "\x02": "a@b.fr"}
    target = keeping.tokenizers["target"]
    about = keeping.owing(Source(3, 0, 1, {}), unit)
    assert about.owed == tuple(target.byte_id(n) for n in (1, 2))
    assert (about.in_turn, about.closing) == (frozenset(), frozenset())
    assert (about.gap, about.spaces) == (target.space, True)
    assert unit.encoded.ids[mail] == keeping.tokenizers["source"].byte_id(1)
    assert source_side(unit).tokens[mail].text == "x@y.fr"


def test_a_pair_keeps_what_both_sides_have(keeping: Units) -> None:
    pair = keeping.pair("the cat {n} {m}", ("le", "chat", "{n}"))
    assert (pair.source.carried, pair.target.carried) == ({"\x01": "{n}"}, {"\x01": "{n}"})
    assert [span.of(pair.target.text) for span in pair.target.words] == ["le", "chat", "{n}"]
    turned = keeping.turned(pair)
    assert (turned.source.carried, turned.target.carried) == ({"\x01": "{n}"}, {"\x01": "{n}"})


def test_what_lies_across_given_words_is_not_kept(keeping: Units) -> None:
    unit = keeping.given(("{the", "cat}", "{n}"), "source")
    assert unit.carried == {"\x01": "{n}"}


def test_numbers_can_only_have_stand_ins_that_the_bundle_has(toy_bundle: Bundle) -> None:
    manifest = dataclasses.replace(
        toy_bundle.manifest, stand_ins=STAND_INS[:2], number_stand_ins=STAND_INS[1:3]
    )
    with pytest.raises(DamagedBundle, match="number_stand_ins must be among stand_ins"):
        Units(dataclasses.replace(toy_bundle, manifest=manifest))


def test_a_bundle_without_stand_ins_keeps_nothing(units: Units) -> None:
    unit = units.text("the x@y.fr", 0, "source")
    about = Source(3, 0, 1, {})
    assert (unit.kept, units.owing(about, unit), units.stand_ins) == ((), about, frozenset())


@pytest.mark.parametrize(
    ("text", "closed", "in_turn"),
    [
        ("the cat sees {n}.", True, 0),
        ("“the {n} sees!”", True, 0),
        ("the cat sees {n}", False, 0),
        ("the {n}. the cat.", False, 0),
        ("{n} of %s and %d%%?", True, 2),
        ("%1$s of %(n)s and %%", False, 0),
    ],
)
def test_what_is_known_of_what_is_kept(
    keeping: Units, text: str, closed: bool, in_turn: int
) -> None:
    about = keeping.owing(Source(3, 0, 1, {}), keeping.text(text, 0, "source"))
    assert bool(about.closing) == closed
    assert len(about.in_turn) == in_turn


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("the cat.", ".。"), ("the cat!", "!！"), ("the cat {n}?", "?？"), ("the. cat!", ".!?。！？")],
)
def test_final_marks_of_other_kinds_are_banned(keeping: Units, text: str, allowed: str) -> None:
    about = keeping.owing(Source(3, 0, 1, {}), keeping.text(text, 0, "source"))
    spelled = keeping.tokenizers["target"].spelled
    assert about.banned == (frozenset() if len(allowed) > 2 else spelled(FINAL) - spelled(allowed))


@pytest.mark.parametrize(
    ("text", "is_label"),
    [
        ("The cat", True),
        ("THE CAT:", True),
        ("{n} The cat", True),
        ("\u732b", True),
        ("the cat", False),
        ("\u201cthe cat", False),
        ("The cat.", False),
        ("The. cat", False),
        ("The cat? No", False),
    ],
)
def test_labels_get_no_full_stop(keeping: Units, text: str, is_label: bool) -> None:
    unit = keeping.text(text, 0, "source")
    assert unit.is_label == is_label
    about = keeping.owing(Source(3, 0, 1, {}), unit)
    spelled = keeping.tokenizers["target"].spelled
    assert (spelled((".", "!")) <= about.ending) == is_label
    assert not about.ending & spelled(("?", "？"))
    assert (about.asking == spelled(("?", "？"))) == is_label
    assert not (is_label and about.banned)


def test_a_text_without_words_is_kept_as_it_is(keeping: Units) -> None:
    for text in ("1,000", "{a} {b}", "?!", "— 12 —"):
        unit = keeping.text(text, 0, "source")
        assert unit.is_kept
        assert unit.spelled() == (text,)
    assert not keeping.text("the 1,000", 0, "source").is_kept


def test_turned_pairs_keep_what_they_kept(keeping: Units) -> None:
    pair = keeping.pair("Call 12345 or 12345.50 now", "Appelez le 12345")
    turned = keeping.turned(pair)
    assert (len(turned.source.kept), len(turned.target.kept)) == (1, 1)


def test_unknown_stand_ins_damage_a_bundle(toy_bundle: Bundle) -> None:
    manifest = dataclasses.replace(toy_bundle.manifest, stand_ins="x")
    with pytest.raises(DamagedBundle, match="stand_ins"):
        Units(dataclasses.replace(toy_bundle, manifest=manifest))


def test_what_cannot_be_read_is_kept_and_what_can_is_read(keeping: Units) -> None:
    text = "th\u00ade cafe\u0301 → Łukasz x@y.fr"
    unit = keeping.text(text, 0, "source")
    assert list(unit.carried.values()) == ["→", "Łukasz", "x@y.fr"]
    read = keeping.tokenizers["source"].encode("the café \x01 \x02 \x03")
    assert unit.encoded.ids == read.ids
    assert all(span.of(text) for span in unit.encoded.spans)
    assert [span.of(text) for span in unit.words] == text.split()


def test_what_was_shouted_is_answered_in_capitals(keeping: Units) -> None:
    source = keeping.text("THE CAT SEES {NAME}", 0, "source")
    assert source.shouted
    assert source.encoded.ids == keeping.tokenizers["source"].encode("The cat sees \x01").ids
    ids = keeping.tokenizers["target"].encode("le chat voit \x01").ids
    path = Path(ids, np.zeros(len(ids), np.float32), {}, False)
    assert keeping.written(path, 0, source, None).text == "LE CHAT VOIT {NAME}"
