"""Finds small ordinals in figures, and says how they are read: in words, which models know better.

    the 2nd floor  ->  the second floor     la 3e fois  ->  la troisième fois
    第3次          ->  第三次               2楼         ->  二楼

Up to the ninth, before a word; not days (May 3rd, le 1er mai), nor pages and the like in Chinese,
whose numbers are kept.
"""

from collections.abc import Iterator, Mapping

import regex

from service import scripts
from service.dates import MONTHS

_ENGLISH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_FRENCH = (
    *("premier", "deuxième", "troisième", "quatrième", "cinquième", "sixième", "septième"),
    *("huitième", "neuvième"),
)
_IRREGULAR = {"1re": "première", "1ère": "première", "2nd": "second", "2nde": "seconde"}
_CHINESE = "一二三四五六七八九"

_DAYS = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_MOIS = "janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre"
_APART = r"(?<![\w.,/-])"

_PATTERNS: Mapping[str, "regex.Pattern[str]"] = {
    "en": regex.compile(
        rf"{_APART}(?<!\b(?:{'|'.join(MONTHS)}|{_DAYS}),? )(?P<n>[1-9])(?:st|nd|rd|th)(?= \p{{L}})"
        rf"(?! (?:of )?(?:{'|'.join(MONTHS)})\b| (?:of|at|in|on|to|by|for|is|was|from|we|I)\b)"
    ),
    "fr": regex.compile(
        rf"{_APART}(?P<n>[1-9])(?:(?<=1)(?:er|re|ère)|(?<=2)nde?|(?<!1)(?:e|è|[eè]me))(?= \p{{L}})"
        rf"(?! (?:{_MOIS})\b)"
    ),
    "zh": regex.compile(
        r"(?<=第)(?P<n>[1-9])(?![\d.,:页章节课条号])|(?<![\d.,第-])(?P<n>[1-9])(?=楼)"
    ),
}


def find(text: str, language: str) -> Iterator[tuple[int, int, str]]:
    """Yield where ordinals of a language are in a text, in order, and each in words."""
    base = scripts.base(language)
    pattern = _PATTERNS.get(base)
    if pattern is None:
        return
    for match in pattern.finditer(text, concurrent=False):
        which = int(match["n"]) - 1
        if base == "zh":
            word = _CHINESE[which]
        elif base == "fr":
            word = _IRREGULAR.get(match.group(), _FRENCH[which])
        else:
            word = _ENGLISH[which]
        is_first = not any(map(str.isalnum, text[: match.start()]))
        yield *match.span(), word.capitalize() if is_first else word
