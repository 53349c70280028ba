"""Numbers in words, written in digits where both sides of a pair have them.

    He'll be here around four.  他会在四点左右到。  ->  He'll be here around 4.  他会在4点左右到。

What stands around a number does not hang on how it is written, but everyday language has most of
them in words. English and Chinese; one is left alone, since "one" and 一 are more than a number.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import regex

from service import scripts
from service.segmentation import Span

_UNITS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_FIGURES = "一二三四五六七八九"


def _english() -> Iterator[tuple[str, int]]:
    yield from zip(_UNITS + _TEENS, range(1, 20), strict=True)
    for ten, word in enumerate(_TENS, 2):
        yield word, 10 * ten
        yield from ((f"{word} {unit}", 10 * ten + i) for i, unit in enumerate(_UNITS, 1))
    for word, value in (("hundred", 100), ("thousand", 1000)):
        yield f"a {word}", value
        yield from ((f"{unit} {word}", i * value) for i, unit in enumerate(_UNITS, 1))


def _chinese() -> Iterator[tuple[str, int]]:
    yield from zip(_FIGURES, range(1, 10), strict=True)
    for ten, unit in product(range(1, 10), range(10)):
        figures = (_FIGURES[ten - 1] if ten > 1 else "") + "十" + " ".join(_FIGURES[:unit])[-1:]
        yield figures, 10 * ten + unit
    for word, value in (("百", 100), ("千", 1000)):
        yield from ((figure + word, i * value) for i, figure in enumerate(_FIGURES, 1))
        yield "两" + word, 2 * value
    yield "两", 2


_VALUES: Mapping[str, Mapping[str, int]] = {"en": dict(_english()), "zh": dict(_chinese())}

_ENGLISH = "|".join([*_UNITS, *_TEENS, *_TENS, "hundred", "thousand", "million", "billion"])
_CHINESE = "[零〇一二两三四五六七八九十百千万亿]"

_RUNS = {
    "en": regex.compile(
        rf"(?<![\w.,:/-])(?:(?:a )?(?:{_ENGLISH})"
        rf"(?:(?:[ -]|(?<=hundred|thousand) and )(?:{_ENGLISH}))*+|\d++)"
        r"(?![\w:/-]|[.,]\d)",
        regex.IGNORECASE,
    ),
    "zh": regex.compile(
        rf"(?<![A-Za-z\d.,:/第点-]|{_CHINESE})(?:{_CHINESE}++|\d++)"
        rf"(?!{_CHINESE}|[\d:/-]|[.,]\d|年代|世纪)"
    ),
}
"""What may be a number, as far as it goes: of "two hundred and five", all of it."""


def in_digits(source: str, target: str, codes: tuple[str, str]) -> tuple[str, str, list[Span]]:
    """Return both sides with such numbers in digits, and where the source has these, in order."""
    languages = [scripts.base(code) for code in codes]
    if not set(languages) <= _RUNS.keys():
        return source, target, []
    near, far = (
        _found(text, language) for text, language in zip((source, target), languages, strict=True)
    )
    often = [Counter(value for _, value, _ in some) for some in (near, far)]
    in_words = {value for _, value, is_digits in near + far if not is_digits and value > 1}
    shared = {value for value in in_words if often[0][value] == often[1][value] == 1}
    (source, spans), (target, _) = (
        _written(text, [(span, value) for span, value, _ in some if value in shared])
        for text, some in ((source, near), (target, far))
    )
    return source, target, spans


def _found(text: str, language: str) -> list[tuple[Span, int, bool]]:
    """Return the numbers of a text, in order: where, which, and whether it is in digits."""
    found = []
    for match in _RUNS[language].finditer(text, concurrent=False):
        word = match.group()
        value = int(word) if word.isdecimal() else _value(word, language)
        if value is not None:
            found.append((Span(*match.span()), value, word.isdecimal()))
    return found


def _value(word: str, language: str) -> int | None:
    return _VALUES[language].get(word.lower().replace("-", " "))


def _written(text: str, numbers: Sequence[tuple[Span, int]]) -> tuple[str, list[Span]]:
    """Write these numbers, in order, in digits; return where they are then."""
    made, spans, at = "", [], 0
    for span, value in numbers:
        made += text[at : span.start]
        spans.append(Span(len(made), len(made) + len(str(value))))
        made, at = made + str(value), span.end
    return made + text[at:], spans
