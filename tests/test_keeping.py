"""What is kept, and that swapping it for stand-ins and back loses nothing."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.keeping import (
    STAND_INS,
    Swapped,
    find,
    occurrences,
    restore,
    swap,
    swap_in,
    swap_pair,
)
from service.segmentation import Span

CONTENTS = st.lists(
    st.sampled_from(
        ["see", "https://a.fr/x?y=1", "a.b@c.org", "{n}", "12345", "😀", "мир", "é", "\x03"]
    ),
    max_size=12,
)


def contents(text: str, language: str = "en") -> list[str]:
    return [span.of(text) for span in find(text, language)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Mail tom.x+y@example.co.uk today.", ["tom.x+y@example.co.uk"]),
        (
            "See https://example.com/a_(b)?x=1, or (www.foo.org).",
            ["https://example.com/a_(b)?x=1", "www.foo.org"],
        ),
        ("Run `pip install x`, then {name}.", ["`pip install x`", "{name}"]),
        ("%s of %(n)d, %1$s, %.2f", ["%s", "%(n)d", "%1$s", "%.2f"]),
        ("Set ${HOME}, $PATH and {{ user }}.", ["${HOME}", "$PATH", "{{ user }}"]),
        ("The <b>big</b> cat &amp; dog<br/>.", ["<b>", "</b>", "&amp;", "<br/>"]),
        ("Open README.md or src/main.py.", ["README.md", "src/main.py"]),
        ("It is in /usr/bin/env, ./x or C:\\Temp\\a.", ["/usr/bin/env", "./x", "C:\\Temp\\a"]),
        ("Call foo_bar() with --no-color.", ["foo_bar()", "--no-color"]),
        ("555-0192, +33 6 12 34 56 78", ["555-0192", "+33 6 12 34 56 78"]),
        ("12345 of A380 and COVID-19", ["12345", "A380", "COVID-19"]),
        ("v1.2.3 at 192.168.0.1", ["v1.2.3", "192.168.0.1"]),
        ("2024-01-02 is a date.", ["2024-01-02"]),
        ("He said Привет, мой мир to 東京.", ["Привет", "мой мир", "東京"]),
        ("I ❤️ 👩‍💻 it 🇫🇷!", ["❤️", "👩‍💻", "🇫🇷"]),
        ("Ask @bob_smith.", ["@bob_smith"]),
        ("Tab\x01", ["\x01"]),
    ],
)
def test_what_is_no_language_is_kept(text: str, kept: list[str]) -> None:
    assert contents(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "How was your day?",
        "100% sure, 50% of it; I paid $5 in total.",
        "He/she and/or 1/2.",
        "In 1984, 12,500 people paid 3.50 at 7PM.",
        "well-known -- e.g. in the U.S.A. - etc.",
        "Déjà vu, naïve façade, œuvre.",
        "“Quoted” – and ‘so’ on…",
    ],
)
def test_what_is_language_is_not(text: str) -> None:
    assert contents(text) == []


def test_latin_words_are_foreign_in_chinese() -> None:
    assert contents("我喜欢Python和iPhone 15，T恤。", "zh") == ["Python", "iPhone 15"]
    assert contents("访问example.com吧", "zh-Hant") == ["example.com"]


def test_in_a_language_that_is_not_known_nothing_is_foreign() -> None:
    assert contents("Привет a@b.org", "ru") == ["a@b.org"]


def test_like_contents_share_a_stand_in() -> None:
    swapped = swap("a@b.fr, c@d.fr, a@b.fr", find("a@b.fr, c@d.fr, a@b.fr", "en"))
    assert swapped.text == "\x01, \x02, \x01"
    assert swapped.in_whole(Span(3, 4)) == Span(8, 14)
    assert swapped.in_whole(Span(1, 3)) == Span(6, 8)
    assert swapped.in_whole(Span(0, 7)) == Span(0, 22)


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
    for at in range(len(swapped.text)):
        character = swapped.text[at]
        covered = swapped.in_whole(Span(at, at + 1)).of(text)
        assert covered == carried.get(character, character)


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
    assert far.in_whole(Span(9, 10)).of(target) == "a@b.fr"


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
