"""What stands around words is found in pairs, and quotes become those of the target's language."""

import pytest

from service.marks import HINT, find
from service.untranslatable import find as find_kept


def found(text: str, target: str = "fr") -> list[str]:
    """Each mark and what it becomes, where that differs; halves of a pair under one number."""
    marks = find(text, find_kept(text, "en" if text.isascii() or "R" in text else "zh"), target)
    names = list(dict.fromkeys(mark.name for mark in marks))
    told = []
    for mark in marks:
        shown = mark.span.of(text)
        shown += f" -> {mark.becomes}" if mark.becomes != shown else ""
        told.append(f"{names.index(mark.name)} {mark.role} {shown}")
    return told


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("A <b>red</b> car<br/>", ["0 opens <b>", "0 closes </b>", "1 single <br/>"]),
        ('A "red" car', ['0 opens " -> « ', '0 closes " ->  »']),
        ("« Red » “it” is", ["0 opens « ", "0 closes  »", "1 opens “ -> « ", "1 closes ” ->  »"]),
        (
            '"A “red” car"',
            ['0 opens " -> « ', "1 opens “", "1 closes ”", '0 closes " ->  »'],
        ),
        ("Don't say 'yes' to it", ["0 opens ' -> « ", "0 closes ' ->  »"]),
        ("**Red** *cars* _go_", [*["0 opens **", "0 closes **"], *["1 opens *", "1 closes *"],
         "2 opens _", "2 closes _"]),
        ("[Red](http://x.com/a_(b))", ["0 opens [", "0 closes ](http://x.com/a_(b))"]),
        ("![Red](a.png) [car][1]", ["0 opens ![", "0 closes ](a.png)",
         "1 opens [", "1 closes ][1]"]),
        ("Red [1] and [^2]", ["0 single [1]", "0 single [^2]"]),
        ("(See below.)", ["0 opens (", "0 closes )"]),
        ("「红」和《蓝》", ["0 opens 「 -> « ", "0 closes 」 ->  »", "1 opens 《 -> « ",
         "1 closes 》 ->  »"]),
        ('说"红"吗', ['0 opens " -> « ', '0 closes " ->  »']),
    ],
)  # fmt: skip
def test_marks_are_found(text: str, marks: list[str]) -> None:
    assert HINT.search(text)
    assert found(text) == marks


@pytest.mark.parametrize(
    "text",
    [
        "A car (red) is here.",
        "2 * 3 * 4 and 5*6*7",
        "* one * two",
        'a 5" and a 6" screen',
        "`*red*` and https://x.com/[a]_b_ and __init__",
        "Don't: the students' cars aren't",
        'A "" car []',
        "snake_case_name",
        "A [red car",
        'red] car"',
        "word[s]",
    ],
)
def test_other_signs_stay_in_the_text(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("target", "quotes"),
    [
        ("en", ['"', "'", "'", '"']),
        ("fr-CA", ["« ", "“", "”", " »"]),
        ("zh-Hant", ["“", "‘", "’", "”"]),
        ("de", ["«", "“", "”", "»"]),
    ],
)
def test_quotes_are_written_as_the_target_writes_them(target: str, quotes: list[str]) -> None:
    marks = find("«A “red” car»", [], target)
    assert [mark.becomes for mark in marks] == quotes
    assert not any(mark.lasting for mark in marks)


def test_brackets_of_a_whole_sentence_are_those_of_the_target() -> None:
    assert found("(See below)", "zh") == ["0 opens ( -> （", "0 closes ) -> ）"]


def test_long_rows_of_signs_take_no_long_time() -> None:
    for sign in ('"', "[", "*a", "「", "(", "](", "« "):
        assert len(find(sign * 20_000, [], "fr")) <= 20_000
