"""Numbers that go over as they are, and those that another language counts otherwise."""

import pytest

from service import numerals


def found(text: str, language: str) -> list[str]:
    return [text[start:end] for start, end in numerals.find(text, language)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("There are 9461 people in 25 rooms.", ["9461", "25"]),
        ("I ran 12.6 kilometres by 10:30.", ["12.6", "10:30"]),
        ("It grew by 15% to 1,234 (of 2.5).", ["15", "1,234", "2.5"]),
        ("Room:25, No. 17!", ["25", "17"]),
        ("A 20-year-old man has 3 cats.", ["20", "3"]),
        ("On the 25th, at 10am, in the 1990s, he flew an A380.", []),
        ("He has 3 cats and 1 dog.", []),
        ("Chapter 5 begins on page 83, in 1 of 2.", ["5", "83", "1", "2"]),
        ("25 million people, 300 thousand dollars, 12 billion", []),
        ("24/7, 10-15, 3/4, -40, +33, x.25", []),
        ("v12 and x86", []),
        ("10:30-11:45", []),
    ],
)
def test_english_numbers(text: str, numbers: list[str]) -> None:
    assert found(text, "en") == numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("我有4568个苹果和12.6公斤米。", ["4568", "12.6"]),
        ("第12章从第534页开始。", ["12", "534"]),
        ("2008年8月25日10:30", ["2008", "25", "10:30"]),
        ("12月、第25届、20世纪、80年代", []),
        ("25万、30亿、12 万、3点15分", []),
        ("价格上涨了15%。", ["15"]),
        ("我们需要7把椅子。", []),
        ("我们5月9日需要7把椅子和73张桌子，第5张", ["9", "7", "73"]),
    ],
)
def test_chinese_numbers(text: str, numbers: list[str]) -> None:
    assert found(text, "zh") == numbers
    assert found(text, "zh-Hant") == numbers


def test_french_numbers() -> None:
    assert found("Il y a 25 chats, 12,5 kg et 30 millions d'euros.", "fr") == ["25", "12,5"]


def test_what_a_numeral_is() -> None:
    for text in ("25", "12.6", "10:30", "1,234.5", "12345", "5"):
        assert numerals.is_numeral(text)
    for text in ("$25", "A380", "25 °C", "", "2 5", "٢٥"):
        assert not numerals.is_numeral(text)


def test_what_is_no_number_in_the_end_is_read_once() -> None:
    assert found("1," * 50_000 + "1x", "en") == []
    assert found("1" * 100_000 + "x", "en") == []
