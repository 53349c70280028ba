"""Words: what UAX #29 and its two tailorings say, on tables and on any Unicode."""

import itertools
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BundleError
from service.words import RULES, words

ODD = [
    *"aB1.?!'’\":;,_- \t\n\r\0▁é。中々カー한אש",
    *("\u200b", "\u200d", "\u00ad", "\ufeff", "\u0301", "\ufe0f", "\u00a0", "\u202f", "\u2028"),
    *("😀", "👍🏽", "👨\u200d👩\u200d👧", "🇫", "🇷", "l'", "qu’", "U\u0308"),
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.lists(st.sampled_from(ODD)).map(
    "".join
)


def cut(text: str, rule: str) -> list[str]:
    return [span.of(text) for span in words(text, rule)]


@pytest.mark.parametrize("rule", RULES)
@given(text=TEXTS)
def test_words_are_the_text_without_its_whitespace(rule: str, text: str) -> None:
    spans = words(text, rule)
    assert "".join(span.of(text) for span in spans) == "".join(text.split())
    assert all(len(span) > 0 and not any(map(str.isspace, span.of(text))) for span in spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))


@given(text=TEXTS)
def test_tailorings_only_add_or_remove_breaks_where_they_say(text: str) -> None:
    plain = {span.end for span in words(text, "uax29")}
    assert plain <= {span.end for span in words(text, "uax29-elision")}
    assert {span.end for span in words(text, "jieba")} <= plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \r\n\u2028", []),
        ("I can't, e.g. pay $3.14!", ["I", "can't", ",", "e.g", ".", "pay", "$", "3.14", "!"]),
        ("1,000 a_b U.S. e-mail", ["1,000", "a_b", "U.S", ".", "e", "-", "mail"]),
        ("http://x.org/a?b", ["http", ":", "/", "/", "x.org", "/", "a", "?", "b"]),
        ("l'homme don’t", ["l'homme", "don’t"]),
        ("漢字かなカタカナ한국어", ["漢", "字", "か", "な", "カタカナ", "한국어"]),
        ("😀👍🏽👨\u200d👩\u200d👧", ["😀", "👍🏽", "👨\u200d👩\u200d👧"]),
        ("🇫🇷🇬🇧 🇫! 1️⃣", ["🇫🇷", "🇬🇧", "🇫", "!", "1️⃣"]),
        ("cafe\u0301 \u0301x", ["cafe\u0301", "\u0301", "x"]),
        ("a\u00adb \u200b a\u200dc", ["a\u00adb", "\u200b", "a\u200dc"]),
        ("▁a\0b", ["▁", "a", "\0", "b"]),
        ('שלום ב"ה ג\' a"b', ["שלום", 'ב"ה', "ג'", "a", '"', "b"]),
        ("10\u202f000\u00a0€", ["10", "000", "€"]),
    ],
)
def test_uax29(text: str, expected: list[str]) -> None:
    assert cut(text, "uax29") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L'homme qu'il a vu", "L'|homme|qu'|il|a|vu"),
        ("j’ai d’accord jusqu’à n'est s'il", "j’|ai|d’|accord|jusqu’|à|n'|est|s'|il"),
        ("lorsqu'on puisqu'elle quoiqu'il", "lorsqu'|on|puisqu'|elle|quoiqu'|il"),
        ("c'est l'œuvre j'y va-t'en", "c'|est|l'|œuvre|j'|y|va|-|t'|en"),
        ("d'aujourd'hui d'11", "d'|aujourd'hui|d|'|11"),
        ("l'e\u0301te\u0301 L’Été", "l'|e\u0301te\u0301|L’|Été"),
        ("aujourd'hui quelqu'un presqu'île", "aujourd'hui|quelqu'un|presqu'île"),
        ("prud'homme entr'ouvrir O'Brien m'sieur", "prud'homme|entr'ouvrir|O'Brien|m'sieur"),
        ("« l'ami », 3,14", "«|l'|ami|»|,|3,14"),
    ],
)
def test_elision(text: str, expected: str) -> None:
    assert cut(text, "uax29-elision") == expected.split("|")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我们今天去北京大学。", "我们|今天|去|北京大学|。"),
        ("看iPhone 15的价格，3.14元", "看|iPhone|15|的|价格|，|3.14|元"),
        ("我don't知道😀", "我|don't|知道|😀"),
        ("北京\ufe00大学", "北京\ufe00大学"),
        ("𠮷野家在中国", "𠮷|野家|在|中国"),
    ],
)
def test_jieba(text: str, expected: str) -> None:
    assert "".join(cut(text, "jieba")) == "".join(text.split())
    assert cut(text, "jieba") == expected.split("|")


def test_an_unknown_rule_is_the_bundles_fault() -> None:
    with pytest.raises(BundleError, match="uax29-elision"):
        words("a", "moses")


def test_chinese_is_loaded_only_when_it_is_asked_for() -> None:
    program = (
        "import sys; from service.words import words; words('中文', 'uax29');"
        "assert 'rjieba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("unit", ["🇫🇷", "\u0301", "👨\u200d", "a.", "1,", 'א"', "a_", "l'a"])
def test_time_grows_with_the_text_alone(unit: str) -> None:
    begin = time.process_time()
    words("א" + unit * 20_000, "uax29-elision")
    assert time.process_time() - begin < 1.0
