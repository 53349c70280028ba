"""Numbers in words are written in digits where both sides of a pair have them."""

import pytest

from model_export.counting import in_digits

PAIRS = [
    ("He'll be here around four.", "他会在四点左右到。", "around 4.", "在4点", ["4"]),
    ("Two cats", "两只猫", "2 cats", "2只猫", ["2"]),
    ("twelve and Twenty-four and ninety nine", "十二、二十四和九十九", "12 and 24 and 99",
     "12、24和99", ["12", "24", "99"]),
    ("a hundred, two thousand, ten", "一百，两千，十", "100, 2000, 10",
     "100，2000，10", ["100", "2000", "10"]),
    ("At 7, or at eight", "七点或8点", "At 7, or at 8", "7点或8点", ["7", "8"]),
]  # fmt: skip

ALONE = [
    ("one cat and a dog", "一只猫和一只狗"),
    ("two cats", "三只猫"),
    ("two cats and two dogs", "两只猫和两只狗"),
    ("2 cats", "2只猫"),
    ("two hundred and five", "两百零五和二和五"),
    ("the second of five-year-olds", "第二个五岁的"),
    ("seven thirty", "七点三十分"),
    ("version 3.5, three", "3.5版，五.三"),
    ("twenty centuries, the fifth of seventy", "二十世纪七十年代"),
    ("3 and 10/3", "三和10/3、三"),
    ("", ""),
]


@pytest.mark.parametrize(("source", "target", "near", "far", "numbers"), PAIRS)
def test_what_both_sides_have_is_written_in_digits(
    source: str, target: str, near: str, far: str, numbers: list[str]
) -> None:
    made, other, spans = in_digits(source, target, ("en", "zh-Hans"))
    assert near in made
    assert far in other
    assert [span.of(made) for span in spans] == numbers
    turned, back, spans = in_digits(target, source, ("zh", "en"))
    assert (turned, back) == (other, made)
    assert sorted(span.of(turned) for span in spans) == sorted(numbers)


@pytest.mark.parametrize(("source", "target"), ALONE)
def test_everything_else_stays(source: str, target: str) -> None:
    assert in_digits(source, target, ("en", "zh")) == (source, target, [])


def test_other_languages_stay() -> None:
    assert in_digits("two cats", "deux chats", ("en", "fr")) == ("two cats", "deux chats", [])
