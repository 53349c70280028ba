"""What is kept, and that swapping it for stand-ins and back loses nothing."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.keeping import (
    FOR_NUMBERS,
    STAND_INS,
    StandIns,
    Swapped,
    occurrences,
    restore,
    swap,
    swap_in,
    swap_pair,
)
from service.segmentation import Span
from service.spelling import speller
from service.untranslatable import find

CONTENTS = st.lists(
    st.sampled_from(
        ["see", "https://a.fr/x?y=1", "a.b@c.org", "{n}", "12345", "😀", "мир", "é", "\x03"]
    ),
    max_size=12,
)


def test_like_contents_share_a_stand_in() -> None:
    swapped = swap("a@b.fr, c@d.fr, a@b.fr", find("a@b.fr, c@d.fr, a@b.fr", "en"))
    assert swapped.text == "\x01, \x02, \x01"
    spans = Span(3, 4), Span(1, 3), Span(0, 7)
    assert swapped.in_whole(spans) == (Span(8, 14), Span(6, 8), Span(0, 22))


def test_what_no_stand_in_is_left_for_stays() -> None:
    text = " ".join(f"{{{n}}}" for n in range(len(STAND_INS) + 2))
    swapped = swap(text, find(text, "en"))
    assert swapped.text == " ".join([*STAND_INS, "{8}", "{9}"])


@given(CONTENTS)
def test_what_was_swapped_is_restored(parts: list[str]) -> None:
    text = " ".join(parts)
    swapped = swap(text, find(text, "en"))
    carried = {one.stand_in: one.span.of(text) for one in swapped.kept}
    back = restore(swapped.text, carried)
    assert back == swapped
    spans = swapped.in_whole([Span(at, at + 1) for at in range(len(swapped.text))])
    for character, span in zip(swapped.text, spans, strict=True):
        assert span.of(text) == carried.get(character, character)


@given(st.text())
def test_any_text_is_restored(text: str) -> None:
    spans = find(text, "en")
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert all(span.start < span.end for span in spans)
    swapped = swap(text, spans)
    carried = {one.stand_in: one.span.of(text) for one in swapped.kept}
    assert restore(swapped.text, carried).whole == text


def test_a_pair_keeps_what_both_sides_have_as_many_times() -> None:
    source, target = "Tom: a@b.fr, x@y.fr, x@y.fr", "x@y.fr : a@b.fr de Tom"
    near, far = swap_pair(source, target, find(source, "en"))
    assert (near.text, far.text) == ("Tom: \x01, x@y.fr, x@y.fr", "x@y.fr : \x01 de Tom")
    assert [span.of(target) for span in far.in_whole([Span(9, 10)])] == ["a@b.fr"]


def test_a_pair_whose_contents_overlap_keeps_nothing() -> None:
    source, target = "{a} `{a}`", "`{a}` x"
    pair = swap_pair(source, target, [Span(0, 3), Span(4, 9)])
    assert [one.text for one in pair] == [source, target]


def test_longer_contents_are_looked_for_first() -> None:
    found = swap_in("see /a/b and /a", {"\x01": "/a", "\x02": "/a/b"})
    assert found.text == "see \x02 and \x01"


def test_an_occurrence_is_not_part_of_a_longer_word() -> None:
    assert occurrences("Tom, Tommy; (Tom)", "Tom") == [Span(0, 3), Span(13, 16)]
    assert occurrences("我叫Tom呢", "Tom") == [Span(2, 5)]
    assert occurrences("Tom", "Tim") == []


def test_a_text_without_stand_ins_is_itself() -> None:
    assert restore("abc", {"\x01": "x"}) == Swapped("abc", "abc", ())


def test_a_stand_in_of_the_text_itself_means_nothing() -> None:
    text = " ".join([*(f"{{{n}}}" for n in range(8)), STAND_INS[0]])
    swapped = swap(text, find(text, "en"))
    assert swapped.text.count(STAND_INS[0]) == 1
    assert len(swapped.text) == 17
    assert swapped.whole == text


def test_no_more_stand_ins_than_a_model_knows() -> None:
    swapped = swap("{a} {b} {c}", find("{a} {b} {c}", "en"), StandIns(STAND_INS[:2]))
    assert swapped.text == "\x01 \x02 {c}"


def test_long_texts_take_no_longer_than_they_are() -> None:
    text = "{a} " * 20_000
    swapped = swap(text, find(text, "en"))
    spans = swapped.in_whole([Span(n, n + 1) for n in range(len(swapped.text))])
    assert spans[-2].of(text) == "{a}"
    assert len(swap_in(text, {"\x01": "{a}"}).kept) == 20_000


def test_numbers_have_stand_ins_of_their_own_while_there_are_any() -> None:
    knows = StandIns(STAND_INS, FOR_NUMBERS)
    assert knows.given(["25", "{a}", "12.6", "$5", "25"]) == {
        "25": FOR_NUMBERS[0],
        "{a}": STAND_INS[0],
        "12.6": FOR_NUMBERS[1],
        "$5": STAND_INS[1],
    }
    numbers = [str(n) for n in range(20, 28)]
    assert sorted(knows.given(numbers).values()) == list(STAND_INS), "then they take any"
    names = [f"{{{n}}}" for n in range(9)]
    assert sorted(knows.given(names).values()) == list(STAND_INS), "and so does what is none"
    assert StandIns().given(["25", "{a}"]) == {"25": STAND_INS[0], "{a}": STAND_INS[1]}


@pytest.mark.parametrize("written", ["3,50\u00a0$", "3,50 $", "$3.50"])
def test_a_pair_has_an_amount_as_it_is_written_or_as_it_stands(written: str) -> None:
    spell = speller("en", "fr")
    target = f"Il coûte {written}."
    near, far = swap_pair("It costs $3.50.", target, [Span(9, 14)], spell=spell)
    assert (near.text, far.text) == ("It costs \x01.", "Il coûte \x01.")
    assert far.kept[0].span.of(target) == written
