"""What a model reads of a text, and that every span of it finds its way back."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.legible import day_first, in_words, loud, read, unknown
from service.segmentation import Span

KNOWN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZéÉ0123456789 .,!?'-“”")


def knows(character: str) -> bool:
    return character in KNOWN


def contents(text: str) -> list[str]:
    return [span.of(text) for span in unknown(text, knows)]


@pytest.mark.parametrize(
    ("text", "legible"),
    [
        ("Plain.", "Plain."),
        ("cafe\u0301", "café"),
        ("\ufeffHi\u200b, im\u00adportant\u2060.", "Hi, important."),
        ("ﬁne, Ｈｉ！ 𝐛𝐨𝐥𝐝", "fine, Hi! bold"),
        ("rendez\u2011vous \u2212 5", "rendez-vous - 5"),
        ("«Hi»", "“Hi”"),
        ("naïve", "naive"),
        ("m², ½, ×, Ł, 犇", "m², ½, ×, Ł, 犇"),
        ("\u200b", "\u200b"),
        ("a\u0332", "a\u0332"),
        ("\u0301a", "\u0301a"),
        ("", ""),
    ],
)
def test_only_what_is_not_known_is_read_as_something_else(text: str, legible: str) -> None:
    assert read(text, knows, "en").text == legible


def test_spans_lie_where_they_were_given() -> None:
    text = "\ufeffcafe\u0301 ﬁn\u00ade"
    legible = read(text, knows, "fr")
    assert legible.text == "café fine"
    spans = [Span(0, 4), Span(5, 6), Span(6, 7), Span(7, 9), Span(4, 4), Span(9, 9)]
    found = legible.in_given(spans)
    assert [span.of(text) for span in found] == ["cafe\u0301", "", "ﬁ", "n\u00ade", "", ""]
    assert found[4] == Span(6, 6)
    assert found[5] == Span(len(text), len(text))
    assert read("cafe", knows, "fr").in_given(spans[:1]) == (Span(0, 4),)


@pytest.mark.parametrize(
    ("text", "read_as", "lies"),
    [
        ("It is May 17.", "It is the 17 May.", "It|is||17|May"),
        ("On May 3rd, 1987, we", "On 3 May 1987, we", "On|3rd|May|1987|we"),
        ("on the 3rd of May", "on 3 May", "on the|3rd of|May"),
        ("&amp; 12 May", "&amp; the 12 May", "amp||12|May"),
        ("no &eacute; on May 12", "no é on 12 May", "no|&eacute;|on|12|May"),
        ("in May, at 12", "in May, at 12", "in|May|at|12"),
    ],
)
def test_days_are_read_before_their_months(text: str, read_as: str, lies: str) -> None:
    legible = day_first(read(text, knows, "en"))
    assert legible.text == read_as
    spans = [Span(*match.span()) for match in re.finditer(r"\w+", read_as)]
    assert "|".join(span.of(text) for span in legible.in_given(spans)) == lies
    end = Span(len(read_as), len(read_as))
    assert legible.in_given([end]) == (Span(len(text), len(text)),)


def test_an_ordinal_in_words_is_read_off_its_figures() -> None:
    text = "On the 12th or 3rd floor"
    legible = in_words(read(text, knows, "en"), "en")
    assert legible.text == "On the 12th or third floor"
    third = legible.text.index("third")
    assert legible.in_given([Span(third, third + 5), Span(third + 6, third + 11)]) == (
        Span(15, 18),
        Span(19, 24),
    )
    pieces = legible.in_given([Span(third, third + 2), Span(third + 2, third + 5)])
    assert pieces == (Span(15, 16), Span(16, 18))
    shouted = in_words(read("THE 2ND FLOOR", knows, "en"), "en")
    assert (shouted.text, shouted.shouted) == ("The second floor", True)
    assert in_words(read("Two floors", knows, "en"), "en") == read("Two floors", knows, "en")


def test_a_shout_is_one_whose_days_are_read_first() -> None:
    legible = day_first(read("MAY 3 IS THE DAY", knows, "en"))
    assert (legible.text, legible.shouted) == ("The 3 May is the day", True)


@given(st.text(st.sampled_from("aeI \u0301\u0327\u00ad\u200bﬁﷺé½«犇İ"), max_size=12))
def test_spans_are_in_order_and_within_the_text(text: str) -> None:
    legible = read(text, knows, "en")
    singles = legible.in_given([Span(at, at + 1) for at in range(len(legible.text))])
    edges = [edge for span in singles for edge in (span.start, span.end)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= len(text) for edge in edges)
    if text.isascii():
        assert [span.of(text) for span in singles] == list(text)


@pytest.mark.parametrize(
    ("text", "calm", "language"),
    [
        ("I LOVE YOU.", "I love you.", "en"),
        ("¿AND I'M HERE", "¿And I'm here", "en-GB"),
        ("JE T'AIME, I.", "Je t'aime, i.", "fr"),
        ("À BIENTÔT !", "À bientôt !", "fr"),
        ("WARNING", "Warning", "en"),
    ],
)
def test_what_is_shouted_is_read_calmly(text: str, calm: str, language: str) -> None:
    legible = read(text, lambda _: True, language)
    assert (legible.text, legible.shouted) == (calm, True)


@pytest.mark.parametrize("text", ["NATO.", "OK", "I, A, B", "IBM said", "我喜欢HELLO", "1234567"])
def test_what_is_short_or_not_all_in_capitals_is_no_shout(text: str) -> None:
    legible = read(text, lambda _: True, "en")
    assert (legible.text, legible.shouted) == (text, False)


def test_an_answer_in_capitals_keeps_its_length() -> None:
    assert loud("Où es-tu, Straße ﬁ \x01 ?") == "OÙ ES-TU, STRAßE ﬁ \x01 ?"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I met Łukasz and Dvořák at 20 m².", ["Łukasz", "Dvořák", "m²"]),
        ("a → b ✓✓ ½", ["→", "✓", "✓", "½"]),
        (unicodedata.normalize("NFD", "Dvořák"), [unicodedata.normalize("NFD", "Dvořák")]),
        ("cafe\u0301 naïve ﬁne «quoted» \ufeffHi\u00ad!", []),
        ("犇 is rare", []),
        ("a [b] *c* ~ |", ["~", "|"]),
    ],
)
def test_names_and_signs_that_are_not_known_are_found(text: str, found: list[str]) -> None:
    assert contents(text) == found
