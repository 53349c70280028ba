"""Finds the names in a text that a model has not learnt, and would misspell.

A bundle may list the words of its source language that its model knows, and the names among them
that it translates (Londres) or has read often (Tom). Another word with a capital is taken for a
name, which goes over as it is, together with the names beside it: Bobby Fischer. In a title or in
capitals, a capital tells nothing; at the beginning of a text little, so that one which looks like
another form of a known word is none: Thirdly, Marchons. Chinese names of persons are told by their
surnames, and written in Latin script where the target is.
"""

from bisect import bisect_left
from collections.abc import Callable

import regex

from service import romanisation, scripts
from service.errors import DamagedBundle
from service.legible import is_shouted, is_title
from service.segmentation import Span

MOST_BYTES = 16 << 20
"""Bytes that a list of known words may have."""

SHORTEST_STEM = 5
LONGEST_ENDING = 3

Names = Callable[[str, bool], list[Span]]
"""Finds the unknown names of a text, in order; each word by itself if they are to stand apart."""

_PART = r"[\p{Lu}&&\p{Latin}][\p{Latin}\p{M}]*+"
_NAME = rf"(?<![\p{{L}}\p{{M}}\p{{N}}_-]){_PART}(?:-{_PART})*+(?![\p{{L}}\p{{M}}\p{{N}}_-])"
_NAMES = regex.compile(rf"{_NAME}(?: {_NAME})*+", regex.V1)
"""Words all of whose parts begin with a capital: Saint-Tropez, and not Dis-moi."""


def none(text: str, apart: bool) -> list[Span]:
    """Return no name: what a bundle without a list finds."""
    return []


def reader(content: bytes, file: str, source: str, target: str) -> Names:
    """Return what finds names in a source by a list of known words, one a line, in UTF-8.

    A word in small letters is known however it is written, one with a capital with that or more.
    A Chinese name has its title with it where the target is English, unless it is to stand apart.
    Raises `DamagedBundle`.
    """
    if len(content) > MOST_BYTES:
        raise DamagedBundle(f"{file} has {len(content)} bytes; at most {MOST_BYTES} are read")
    try:
        known = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DamagedBundle(f"{file} is no UTF-8: {error}") from error
    if scripts.is_chinese(source):
        return _chinese(frozenset(known), scripts.base(target) == "en")
    return _Known(known).names


def _chinese(known: frozenset[str], to_english: bool) -> Names:
    def names(text: str, apart: bool) -> list[Span]:
        plain = scripts.read(text, "zh")
        found = [span for span in romanisation.names(plain) if span.of(plain) not in known]
        if apart or not to_english:
            return found
        return [romanisation.titled(plain, span) for span in found]

    return names


class _Known:
    """The words that a model knows."""

    def __init__(self, words: list[str]) -> None:
        self._words = frozenset(words)
        self._sorted = sorted(words)

    def names(self, text: str, apart: bool) -> list[Span]:
        """Return the names of a text that are not known, with their neighbours."""
        found: list[Span] = []
        first = next((at for at, one in enumerate(text) if one.isalpha()), 0)
        for match in _NAMES.finditer(text, concurrent=False):
            words = [Span(at, at + len(word)) for at, word in _words(match)]
            while words and self._is_ordinary(words[0].of(text)):
                del words[0]
            while words and self._is_ordinary(words[-1].of(text)):
                del words[-1]
            if any(self._is_unknown(one.of(text), one.start == first) for one in words):
                found += words if apart else [Span(words[0].start, words[-1].end)]
        return [] if not found or is_shouted(text) or is_title(text) else found

    def _is_ordinary(self, name: str) -> bool:
        """Whether a word is known in small letters, or all its parts are."""
        return self._words.issuperset(name.lower().split("-"))

    def _is_unknown(self, name: str, is_first: bool) -> bool:
        """Whether a word is a name that is not known, or the first word of a text might be."""
        if len(name) < 2 or not self._words.isdisjoint((name, name.lower(), name.capitalize())):
            return False
        return not (is_first and self._is_like_a_known(name.lower()))

    def _is_like_a_known(self, word: str) -> bool:
        """Whether a word of some length has the stem of a known one."""
        stem = word[: max(SHORTEST_STEM, len(word) - LONGEST_ENDING)]
        at = bisect_left(self._sorted, stem)
        near = self._sorted[at : at + 1]
        return len(word) > SHORTEST_STEM and any(other.startswith(stem) for other in near)


def _words(match: "regex.Match[str]") -> list[tuple[int, str]]:
    """Return where the words of a match begin, and the words."""
    at, found = match.start(), []
    for word in match.group().split(" "):
        found.append((at, word))
        at += len(word) + 1
    return found
