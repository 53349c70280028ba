"""Dates are found in English and Chinese, and written in the other."""

import pytest

from service import dates


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("It is on May 12, 1990, or 3rd June.", "en", ["May 12, 1990", "3rd June"]),
        ("From August 2021 to 1 of March 2022.", "en", ["August 2021", "1 of March 2022"]),
        ("On February 4th I may 5 or March.", "en", ["February 4th"]),
        ("May 120, June 3/4, 3-4 July, May 12.5, Mayday 4", "en", []),
        ("In 1990, in May, at 12.", "en", []),
        ("会议在1990年5月12日，不是12月3号。", "zh", ["1990年5月12日", "12月3号"]),
        ("我们1994年8月结婚，1994年8月底，", "zh-Hant", ["1994年8月"]),
        ("12月、1990年、3日、13月5日、5月32日", "zh", []),
        ("2008 年 8 月 25 日", "zh", ["2008 年 8 月 25 日"]),
    ],
)
def test_dates_have_a_month_and_something_else(text: str, language: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in dates.find(text, language)] == found


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("May 12, 1990", "1990年5月12日"),
        ("December 1", "12月1日"),
        ("January 2021", "2021年1月"),
    ],
)
def test_a_date_is_written_as_the_target_does(english: str, chinese: str) -> None:
    assert dates.speller("en-GB", "zh-Hant")(english) == chinese
    assert dates.speller("zh", "en")(chinese) == english


def test_every_form_is_read() -> None:
    spell = dates.speller("en", "zh")
    for form in ("12 May 1990", "12th of May, 1990", "May 12 1990", "May 12th, 1990"):
        assert spell(form) == "1990年5月12日"
    assert dates.speller("zh", "en")("2008 年 08 月 05 号") == "August 5, 2008"
    for month, name in enumerate(dates.MONTHS, start=1):
        assert spell(f"{name} 7") == f"{month}月7日"


@pytest.mark.parametrize("other", ["May", "1990", "see May 12", "`May 12`", "", "5月", "2020年"])
def test_nothing_else_is_written_otherwise(other: str) -> None:
    assert dates.speller("en", "zh")(other) == other
    assert dates.speller("zh", "en")(other) == other


def test_only_english_and_chinese_have_dates_in_common() -> None:
    assert dates.are_between("en", "zh")
    assert dates.are_between("zh-TW", "en-US")
    for source, target in (("en", "fr"), ("fr", "zh"), ("zh", "fr"), ("zh", "zh-Hant")):
        assert not dates.are_between(source, target)
        assert dates.speller(source, target)("May 12") == "May 12"


@pytest.mark.parametrize("unit", ["1", "1 ", "May ", "May 1", "1 May ", "1年", "1990年1月", "1月1"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_hostile_texts_are_searched_in_linear_time(unit: str, language: str) -> None:
    text = unit * (30_000 // len(unit))
    assert all(0 <= start < end <= len(text) for start, end in dates.find(text, language))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("It is May 12, 1990, or 3rd June.", "the 12 May 1990|the 3 June"),
        ("May 12 and the 2nd of June 2021", "The 12 May|the 2 June 2021"),
        ("On May 1, until 7 June, on the 3rd of May", "On 1 May|until 7 June|on 3 May"),
        ("Friday, July 8, Friday the 8th of July", "Friday 8 July|Friday 8 July"),
        ("since January 1, the 1st of August, Aug 5", "the 1st January|the 1st August"),
        ("In May 1990, May 3-4, May 2010, may 5, June 5.5", ""),
    ],
)
def test_days_are_read_before_their_months(text: str, read: str) -> None:
    found = [" ".join(part for part, *_ in parts) for *_, parts in dates.day_first(text)]
    assert "|".join(found) == read
    for start, end, parts in dates.day_first(text):
        assert all(start <= first <= last <= end for _, first, last in parts)


def test_english_is_read_so_for_french_alone() -> None:
    assert dates.want_order("en-GB", "fr-CA")
    assert not any(dates.want_order(*pair) for pair in (("en", "zh"), ("fr", "en"), ("en", "de")))
