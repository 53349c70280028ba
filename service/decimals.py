"""How languages write numbers: 1,200.5 in English and Chinese, 1 200,5 in French."""

import regex

from service import scripts

SPACE = "[ \u00a0\u202f]"
POINT = r"(?P<whole>\d{1,3}+(?:,\d{3})++|\d++)(?:\.(?P<part>\d++))?"
COMMA = rf"(?P<whole>\d{{1,3}}+(?:{SPACE}\d{{3}})++|\d++)(?:,(?P<part>\d++))?"
"""A number as the languages with a point write it, and as those with a comma do."""


def has_comma(language: str) -> bool:
    """Whether a language writes decimals with a comma."""
    return scripts.base(language) == "fr"


def with_comma(number: "regex.Match[str]") -> str:
    """Return a number that `POINT` or `COMMA` matched as it is written with a comma."""
    return _written(number, "\u202f", ",")


def with_point(number: "regex.Match[str]") -> str:
    """Return a number that `POINT` or `COMMA` matched as it is written with a point."""
    return _written(number, ",", ".")


def _written(number: "regex.Match[str]", thousands: str, point: str) -> str:
    whole, part = number.group("whole", "part")
    figures = regex.sub(r"\D", thousands, whole)
    return f"{figures}{point}{part}" if part else f"{figures}"
