"""Finds dates, such as May 12, 1990, and writes them in the other of English and Chinese.

A day of a month, with its year or without, or a month of a year; not a year or a month alone.

    May 12, 1990 / 12 May 1990  <->  1990年5月12日
    May 1990                    <->  1990年5月

And it says how days are read that are not kept: with the day first, as French has it.

    on May 12, 1990  ->  on 12 May 1990
    since May 1      ->  since the 1st May
"""

from collections.abc import Callable, Iterator

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
_WEEKDAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_NTH = rf"(?P<nth>{_DAY}{_TH})"
_OF_MONTH = regex.compile(
    r"(?<![\w.,/-]|\d )"
    rf"(?P<before>(?P<behind>(?i:on|until|till)|{_WEEKDAY}),? )?(?:(?P<the>[Tt]he) )?"
    rf"(?:{_MONTH} {_NTH}|{_NTH} (?:of )?{_MONTH})(?:,? {_YEAR})?(?![\w/-]|[.,:]\d)"
)

Part = tuple[str, int, int]
"""Some characters, and from where to where of a text they are read off."""


def find(text: str, language: str) -> list[tuple[int, int]]:
    """Return where dates begin and end in a text in English or Chinese, in order."""
    pattern = _CHINESE if scripts.is_chinese(language) else _ENGLISH
    return [match.span() for match in pattern.finditer(text, concurrent=False)]


def are_between(source: str, target: str) -> bool:
    """Whether dates of a source can be written in a target."""
    return speller(source, target) is not str


def want_order(source: str, target: str) -> bool:
    """Whether the days of a source are read before their months, as a target has them."""
    return scripts.base(source) == "en" and scripts.base(target) == "fr"


def speller(source: str, target: str) -> Callable[[str], str]:
    """Return how a target writes what is a date of a source; anything else stays as it is."""
    if scripts.is_chinese(source) and scripts.base(target) == "en":
        return _in_english
    return _in_chinese if scripts.base(source) == "en" and scripts.is_chinese(target) else str


def day_first(text: str) -> Iterator[tuple[int, int, list[Part]]]:
    """Yield where the days of months of an English text are, and how to read them, day first.

    Behind "on", "until" and days of the week without an article, elsewhere with one.
    """
    for match in _OF_MONTH.finditer(text, concurrent=False):
        start, end = match.span()
        place = match.start("nth")
        opening: Part = ("the" if any(map(str.isalnum, text[:start])) else "The", place, place)
        if match["behind"]:
            opening = (match["behind"], start, max(match.end("before") - 1, match.end("the")))
        elif match["the"]:
            opening = _part(match, "the")
        day, month = match["day"].lstrip("0"), _part(match, "month")
        began, ended = match.span("nth")
        if began < month[1]:
            ended = month[1] - 1  # with "of"
        nth: Part = ("1st" if day == "1" and opening[0] == "the" else day, began, ended)
        yield start, end, [opening, nth, month, *([_part(match, "year")] if match["year"] else [])]


def _part(match: "regex.Match[str]", group: str) -> Part:
    return (match[group], *match.span(group))


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
