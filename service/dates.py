"""Finds dates, such as May 12, 1990, and writes them in the other of English and Chinese.

A day of a month, with its year or without, or a month of a year; not a year or a month alone.

    May 12, 1990 / 12 May 1990  <->  1990年5月12日
    May 1990                    <->  1990年5月
"""

from collections.abc import Callable

import regex

from service import scripts

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_MONTH = rf"(?P<month>{'|'.join(MONTHS)})"
_DAY = r"(?P<day>3[01]|[12]\d|0?[1-9])"
_YEAR = r"(?P<year>[12]\d{3})"
_TH = "(?:st|nd|rd|th)?"
_ENGLISH = regex.compile(
    rf"(?<![\w.,/-]|\d )(?:{_MONTH} {_DAY}{_TH}(?:,? {_YEAR})?"
    rf"|{_DAY}{_TH} (?:of )?{_MONTH}(?:,? {_YEAR})?|{_MONTH},? {_YEAR})(?![\w/-]|[.,:]\d)"
)
_YEAR_AND_MONTH = rf"{_YEAR} ?年 ?(?P<month>1[0-2]|0?[1-9]) ?月"
_CHINESE = regex.compile(
    rf"(?<![\d.,/-])(?:{_YEAR_AND_MONTH}(?: ?{_DAY} ?[日号])?"
    rf"|(?P<month>1[0-2]|0?[1-9]) ?月 ?{_DAY} ?[日号])(?![份底初中末旬]| ?\d)"
)


def find(text: str, language: str) -> list[tuple[int, int]]:
    """Return where dates begin and end in a text in English or Chinese, in order."""
    pattern = _CHINESE if scripts.is_chinese(language) else _ENGLISH
    return [match.span() for match in pattern.finditer(text, concurrent=False)]


def are_between(source: str, target: str) -> bool:
    """Whether dates of a source can be written in a target."""
    return speller(source, target) is not str


def speller(source: str, target: str) -> Callable[[str], str]:
    """Return how a target writes what is a date of a source; anything else stays as it is."""
    if scripts.is_chinese(source) and scripts.base(target) == "en":
        return _in_english
    return _in_chinese if scripts.base(source) == "en" and scripts.is_chinese(target) else str


def _in_english(date: str) -> str:
    found = _CHINESE.fullmatch(date, concurrent=False)
    if found is None:
        return date
    year, month, day = found.group("year", "month", "day")
    name = MONTHS[int(month) - 1]
    if not day:
        return f"{name} {year}"
    return f"{name} {int(day)}" + (f", {year}" if year else "")


def _in_chinese(date: str) -> str:
    found = _ENGLISH.fullmatch(date, concurrent=False)
    if found is None:
        return date
    year, month, day = found.group("year", "month", "day")
    number = MONTHS.index(month) + 1
    return (f"{year}年" if year else "") + f"{number}月" + (f"{int(day)}日" if day else "")
