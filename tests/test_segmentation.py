"""Sentences and gaps: law 1 on any Unicode, and where sentences end on tables."""

import itertools
import re
import time

import pytest
import sentencex
from hypothesis import given
from hypothesis import strategies as st

from service.segmentation import Segmented, Span, join_gap, segment

ODD = [
    *"aB1.?!\"'”’“«»()[]「」・…:;,-\n\r\t \0▁é。？中ש",
    *("\u200b", "\u200d", "\u0301", "\u00a0", "\u202f", "\u3000", "\u0085", "\u2028", "\x1c"),
    *("😀", "🇫🇷", "M. ", "Mr. ", "e.g. ", "1. ", "http://a.b ", "a@b.c ", "[1]", "A\u00a0. "),
]
SIGNS = "<;>;|;`;```;~~~;{;};\\;# ;- ;> ;* ;[ ] ;<b>;</b>;<p>;</p>;<br>;<pre>;</pre>;<!--;-->;One. "
"""What markup is made of, of one kind or another."""

TEXTS = (
    st.text(st.characters(exclude_categories=["Cs"]))
    | st.lists(st.sampled_from(ODD)).map("".join)
    | st.lists(st.sampled_from([*ODD, *SIGNS.split(";"), "<a\nb='>'>", "\n```\n"])).map("".join)
)
LANGUAGES = st.sampled_from(["en", "fr", "zh", "de", "ar", "xx", ""])


def cut(text: str, language: str) -> list[str]:
    return [sentence.text for sentence in segment(text, language, split=True).sentences]


def rejoined(parts: Segmented) -> str:
    texts = [sentence.text for sentence in parts.sentences]
    return "".join(itertools.chain(*itertools.zip_longest(parts.gaps, texts, fillvalue="")))


@given(text=TEXTS, language=LANGUAGES, split=st.booleans())
def test_sentences_and_gaps_are_the_text(text: str, language: str, split: bool) -> None:
    parts = segment(text, language, split)
    assert parts.text == text
    assert len(parts.gaps) == len(parts.sentences) + 1
    assert rejoined(parts) == text
    assert split or not "".join(parts.gaps).strip()
    for sentence in parts.sentences:
        assert sentence.text
        assert sentence.text == sentence.text.strip()
        assert sentence.span.of(text) == sentence.text
        breaks = set("\n\r\v\f\x85\u2028\u2029") & set(sentence.text)
        assert not split or "<" in sentence.text or not breaks


PLAIN = TEXTS.filter(lambda text: not re.search(r"[<|`~*+•–—#>)-]|(?<!\d)\d{1,3}\.\s", text))


@given(text=PLAIN, language=LANGUAGES)
def test_gaps_of_plain_text_are_whitespace(text: str, language: str) -> None:
    assert not "".join(segment(text, language, split=True).gaps).strip()


@pytest.mark.parametrize("text", ["", " ", "\n", " \t\r\n\u2028"])
@pytest.mark.parametrize("split", [True, False])
def test_only_whitespace_is_one_gap(text: str, split: bool) -> None:
    assert segment(text, "en", split) == Segmented(text, (), (text,))


def test_an_unsplit_text_keeps_its_inner_line_breaks() -> None:
    parts = segment(" One. Two.\n\nThree.\n", "en", split=False)
    assert [sentence.text for sentence in parts.sentences] == ["One. Two.\n\nThree."]
    assert parts.gaps == (" ", "\n")


def test_the_worked_example() -> None:
    parts = segment("Hi!  Bye.\n", "en", split=True)
    assert [sentence.span for sentence in parts.sentences] == [Span(0, 3), Span(5, 9)]
    assert parts.gaps == ("", "  ", "\n")


@pytest.mark.parametrize("brk", ["\n", "\r\n", "\r", "\u2028", "\u2029", "\v", "\f", "\x85"])
def test_a_line_break_always_ends_a_sentence(brk: str) -> None:
    parts = segment(f"Mr.{brk}Smith and{brk}{brk}so on", "en", split=True)
    assert [sentence.text for sentence in parts.sentences] == ["Mr.", "Smith and", "so on"]
    assert parts.gaps == ("", brk, brk * 2, "")


@pytest.mark.parametrize(
    "text",
    [
        "Mr. Smith met Dr. Jones at 3.14 p.m. in the U.S. Senate.|It was e.g. fun.",
        '"Hello!" he said.|"How are you?"|She smiled.',
        "See https://example.com/a.b?c=d.|It works.",
        "Wait... what?|Yes!!|No?!|OK.",
        "Hello world.)”|Next.",
        "Is it?|😀 Yes.",
        "J. K. Rowling wrote Node.JS by hand.",
        "...",
        ":-)",
    ],
)
def test_english(text: str) -> None:
    assert cut(text.replace("|", " "), "en") == text.split("|")


@pytest.mark.parametrize(
    "text",
    [
        "M. Dupont est là.|Mme Durand aussi.",
        "Voici M. Dupont.|« Bonjour ! » dit-il.|Il paie 3,14 euros.",
        "« Bonjour. »|Il partit.|Qu'est-ce que c'est ?|C'est M. Martin, p. ex. un ami.",
        "Hier, Mlle. Petit vit le Dr. Grand.|Bien\u202f!",
        "Né en 3 av. J.-C.|Mort jeune.|L'an 3 Av. J.-C. et l'an 5 apr. J.-C. à Rome.|Bien.",
    ],
)
def test_french(text: str) -> None:
    assert cut(text.replace("|", " "), "fr") == text.split("|")


@pytest.mark.parametrize(
    "text",
    [
        "你好。|今天天气很好！|你呢？|“我很好。”|他说。|价格是3.14元。",
        "好。」|他说。",
        "他来（昨天）。|真的！？|是……",
    ],
)
def test_chinese(text: str) -> None:
    assert cut(text.replace("|", ""), "zh") == text.split("|")
    assert segment(text.replace("|", ""), "zh", split=True).gaps[1] == ""


def test_closing_punctuation_is_no_sentence() -> None:
    assert cut("One! ) Two", "en") == ["One! )", "Two"]
    assert cut('He left. "', "en") == ['He left. "']
    assert cut("Yes!\n)", "en") == ["Yes!", ")"]  # a line of its own stays one


UNITS = ["M. ", "1. ", "a.B", "! )", '. "', "Mr. A. ", "\n", "(a. ", "p. 1 ", "J.-C. "]
SIGN_UNITS = """|;|a|;a | ;\\|;{;{ {a} ;{a} |;`;``a;```;```↵;~~~`↵;a↵```↵;> ;- ;- [ ] ;#;1) ;—a↵;\
<;<a ;<a x=";<a x='";<a =;<a b=c ;<br>;<p>a;<i><p>;</b> ;>;<!-- ;<!---->;<pre>;</pre >;<script>"""


@pytest.mark.parametrize("unit", [*UNITS, *SIGN_UNITS.replace("↵", "\n").split(";")])
def test_time_grows_with_the_text_alone(unit: str) -> None:
    begin = time.process_time()
    segment(unit * 20_000, "fr", split=True)
    assert time.process_time() - begin < 5.0


def test_a_tag_is_not_sought_for_long() -> None:
    begin = time.process_time()
    segment(("<a" + "b" * 1990) * 200, "en", split=True)
    assert time.process_time() - begin < 1.0


@pytest.mark.parametrize("language", ["xx", "", "tlh"])
def test_an_unknown_language_gets_general_rules(language: str) -> None:
    assert cut("Hello there. Good. 你好。再见。", language)[:2] == ["Hello there.", "Good."]


class PanicException(BaseException):
    """Named as the library's own, which cannot be imported."""


def test_a_panic_in_the_library_leaves_the_line_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(language: str, text: str) -> list[str]:
        raise PanicException(language, text)

    monkeypatch.setattr(sentencex, "segment", panic)
    assert cut("One. Two.\nThree.", "en") == ["One. Two.", "Three."]


def test_a_lossy_library_leaves_the_line_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentencex, "segment", lambda language, text: text.split())
    assert cut("One. Two.\nThree.", "en") == ["One. Two.", "Three."]


def test_an_interrupt_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(language: str, text: str) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(sentencex, "segment", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cut("One.", "en")


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        segment("a\ud800", "en", split=True)


@pytest.mark.parametrize(
    ("gap", "language", "expected"),
    [
        ("\n- ", "zh", "\n- "),
        (" | ", "zh", " | "),
        ("<hr>", "en", "<hr>"),
        (" ", "zh", ""),
        ("\t\u00a0", "ja", ""),
        ("", "zh", ""),
        (" \n ", "zh", " \n "),
        ("", "en", " "),
        ("  ", "fr", "  "),
        ("\n\n", "en", "\n\n"),
        ("", "xx", " "),
    ],
)
def test_inner_gaps_suit_the_target(gap: str, language: str, expected: str) -> None:
    assert join_gap(gap, language) == expected


@pytest.mark.parametrize(
    ("text", "language", "sentences"),
    [
        (
            "1.打开电脑。2.输入密码。3.点击确定。",
            "zh",
            ["1.打开电脑。", "2.输入密码。", "3.点击确定。"],
        ),
        ("（见上文。）下一句。", "zh", ["（见上文。）", "下一句。"]),
        ("“好。”他说。真的？！是。", "zh", ["“好。”", "他说。", "真的？！", "是。"]),
        ("(See above.) Next.", "en", ["(See above.)", "Next."]),
        ("He left (at last.) Then he (Inc.) Came.", "en", None),
    ],
)
def test_ends_that_are_easily_missed(text: str, language: str, sentences: list[str] | None) -> None:
    found = segment(text, language, split=True)
    assert [one.text for one in found.sentences] == (sentences or [text])


def test_a_gap_beside_a_tag_stays() -> None:
    assert join_gap("", "en", "Hello.</p>") == ""
    assert join_gap(" ", "en", "Hello.</p>") == " "
    assert join_gap(" ", "zh", "Hello.</p>") == ""
    assert join_gap("\n", "zh", "Hello.</p>") == "\n"
    assert join_gap("", "en", "Hello", "<p>Bye") == ""


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("<p>Hi.</p><p>Bye.</p>", ["<p>Hi.</p>", "<p>Bye.</p>"]),
        ("<ul><li>A</li> <li>B</li></ul>\nC", ["<ul><li>A</li>", "<li>B</li></ul>", "C"]),
        ("See <b>this.</b> And that.", ["See <b>this.</b>", "And that."]),
        ("<p>请点击<a>这里</a>。</p>", ["<p>请点击<a>这里</a>。</p>"]),
        ("<b>One</b> line<br/>of two", ["<b>One</b> line<br/>", "of two"]),
    ],
)
def test_blocks_end_sentences_and_closing_tags_stay_with_them(
    text: str, sentences: list[str]
) -> None:
    found = segment(text, "zh" if "请" in text else "en", split=True)
    assert [one.text for one in found.sentences] == sentences


def test_spans() -> None:
    span = Span(2, 5)
    assert (len(span), span.of("ab😀def"), span.shift(-2)) == (3, "😀de", Span(0, 3))


def test_a_line_of_quotes_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def note(language: str, text: str) -> list[str]:
        read.append(len(text))
        pieces: list[str] = asked(language, text)
        return pieces

    asked = sentencex.segment
    monkeypatch.setattr(sentencex, "segment", note)
    for text in ("«" * 100_000, "“a ” " * 20_000):
        read.clear()
        assert rejoined(segment(text, "en", split=True)) == text
        assert max(read) <= 4000
        assert sum(read) == len(text)
    book = "“It is late,” she said. " * 4000
    read.clear()
    assert len(cut(book, "en")) == 4000
    assert max(read) <= 4000
    plain = "It is late, she said. " * 400
    read.clear()
    assert len(cut(plain, "en")) == 400
    assert read == [len(plain)]


def test_many_ends_are_read_in_pieces() -> None:
    chinese = "他今天去了北京。" * 9000
    assert cut(chinese, "zh") == ["他今天去了北京。"] * 9000
