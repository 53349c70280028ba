"""Finds numbers that a translation writes as they are: of two digits and more, decimals, times.

Beside one of these, one digit is too: where a text has 73 tables, 7 chairs are not seven.
Not ordinals, ranges and fractions, nor what another language counts otherwise: 25 million is
2500万, 12月 is December, 第25届 is the 25th, 20世纪 the 20th century.
"""

from collections.abc import Mapping
from functools import cache

import regex

from service import scripts

_NUMBER = r"(?:\d{2,}+|\d++(?:[.,:]\d++)++)"
_ANY = r"\d++(?:[.,:]\d++)*+"
_WHOLE = regex.compile(_ANY, regex.ASCII)
_APART = r"(?<![\w.+-])(?<!\d[,:/])"
_ALONE = r"(?!\w|[.,:/-]\d)"
"""What stands before and behind a number that is no part of a longer one, or of a word."""

_AROUND: Mapping[str, tuple[str, str]] = {
    "en": ("", r"(?![ -](?:hundred|thousand|million|billion|trillion)s?\b)"),
    "fr": ("", r"(?![ \u00a0\u202f](?:mille|(?:mill|bill)(?:ions?|iards?))\b)"),
    "zh": (
        r"(?<![点时])(?:(?<!第)|(?=[\d.,:]++[页章节课条号]))",
        r"(?! ?(?:[十百千万亿月届]|世纪|年代))",
    ),
}
"""What stands before and behind such numbers in a language, or must not."""


def find(text: str, language: str) -> list[tuple[int, int]]:
    """Return where such numbers begin and end, in order; with those of one digit beside them."""
    base = scripts.base(language)
    if not _pattern(base, _NUMBER).search(text, concurrent=False):
        return []
    found = _pattern(base, _ANY).finditer(text, concurrent=False)
    return [match.span() for match in found]


def is_numeral(text: str) -> bool:
    """Whether a text is one number and nothing else."""
    return _WHOLE.fullmatch(text, concurrent=False) is not None


@cache
def _pattern(language: str, number: str) -> "regex.Pattern[str]":
    before, behind = _AROUND.get(language, ("", ""))
    return regex.compile(f"{_APART}{before}{number}{_ALONE}{behind}", regex.ASCII)
