"""A text becomes words with their spans, by the rule that a bundle's manifest names.

    "uax29"          L'homme n'a pas ri.    ->  L'homme | n'a | pas | ri | .
    "uax29-elision"  L'homme n'a pas ri.    ->  L' | homme | n' | a | pas | ri | .
    "jieba"          我们看3.14。            ->  我们 | 看 | 3.14 | 。

Words never hold whitespace, but for stretches that are given as whole. Punctuation, symbols and
emoji are words of their own; a mark or an invisible character belongs to the character before
it, as UAX #29 says.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby, islice
from types import MappingProxyType

import regex

from service.errors import BundleError
from service.segmentation import Span

Rule = Callable[[str], list[str]]
"""Cuts a run without whitespace into pieces that join to that run again."""

REMEMBERED_LENGTH = 24
"""Longest run, in characters, whose pieces are remembered."""

_RUN = re.compile(r"\S+")
_ELIDED = re.compile(r"(?:[ldjmtsnc]|(?:jus|lors|puis|quoi)?qu)['’]", re.IGNORECASE)
_HAN = regex.compile(r"\p{Han}")
"""Like every pattern of `regex` that meets one word or sentence, asked with `concurrent=False`: a
match takes less time than to let go of the interpreter and get it back from the workers."""


def words(text: str, rule: str, whole: Sequence[Span] = ()) -> tuple[Span, ...]:
    """The words of a text in order: spans in code points, never overlapping, never whitespace.

    Each stretch in `whole` is a word of its own, whatever the rule. A rule that is not one of
    `RULES` raises `BundleError`.
    """
    pieces = _rule(rule)
    spans: list[Span] = []
    at = 0
    for stretch in whole:
        spans += _words(text, at, stretch.start, pieces)
        spans.append(stretch)
        at = stretch.end
    return (*spans, *_words(text, at, len(text), pieces))


def _words(text: str, start: int, end: int, pieces: Rule) -> list[Span]:
    """The words between two places."""
    spans: list[Span] = []
    for run in _RUN.finditer(text, start, end):
        characters, start = run.group(), run.start()
        known = len(characters) <= REMEMBERED_LENGTH
        for piece in _remembered(pieces, characters) if known else pieces(characters):
            spans.append(Span(start, start := start + len(piece)))
    return spans


def uax29(run: str) -> list[str]:
    """Default word boundaries, Unicode Standard Annex #29, section 4.1."""
    pieces: list[str] = _UAX29.findall(run, concurrent=False)
    return pieces


def uax29_elision(run: str) -> list[str]:
    """As `uax29`, with a break after an elided French word before a vowel or an h.

    The tailoring that section 4.1.1 proposes, with a closed list of what is elided, so that
    "aujourd'hui" and "quelqu'un" stay whole.
    """
    return [part for piece in uax29(run) for part in _unelided(piece)]


def jieba(run: str) -> list[str]:
    """Chinese words by jieba's dictionary and its model of unseen words; the rest by `uax29`."""
    pieces: list[str] = []
    for is_han, group in groupby(uax29(run), _begins_han):
        characters = list(group)
        pieces.extend(_chinese_words(characters) if is_han else characters)
    return pieces


RULES: Mapping[str, Rule] = MappingProxyType(
    {"uax29": uax29, "uax29-elision": uax29_elision, "jieba": jieba}
)


def _rule(name: str) -> Rule:
    try:
        return RULES[name]
    except KeyError:
        known = ", ".join(RULES)
        raise BundleError(f"unknown word rule {name!r}; known rules: {known}") from None


@lru_cache(maxsize=16_384)
def _remembered(pieces: Rule, run: str) -> list[str]:
    """Cut a run, or remember how it was cut: the same words come again and again."""
    return pieces(run)


def _unelided(piece: str) -> list[str]:
    """One word as its elided word and the rest: "qu'un" -> "qu'", "un"."""
    found = _ELIDED.match(piece)
    if found is None or not _begins_vowel(piece[found.end() :]):
        return [piece]
    return [found.group(), piece[found.end() :]]


def _begins_vowel(word: str) -> bool:
    return unicodedata.normalize("NFD", word[:1])[:1].lower() in set("aeiouyhœæ")


def _begins_han(piece: str) -> bool:
    return _HAN.match(piece, concurrent=False) is not None


def _chinese_words(characters: list[str]) -> list[str]:
    """Ideographs as words; each keeps its marks, which the dictionary does not know."""
    import rjieba  # loads a dictionary, which only servers of Chinese need

    bare = "".join(character[0] for character in characters)
    rest = iter(characters)
    return ["".join(islice(rest, len(word))) for word in rjieba.cut(bare)]


def _uax29_pattern() -> str:
    """Section 4.1.1's rules as one pattern, whose matches are the pieces of a run.

    A run holds no whitespace, so the rules about lines and spaces (WB3, WB3a, WB3b, WB3d) have
    nothing to do. It is written out because `\\b` under the library's WORD flag joins a lone
    regional indicator, or a mark that begins the text, to what follows, and takes quadratic
    time on a row of flags. Possessive quantifiers keep this one linear.
    """
    mark = r"[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]"

    def one_of(*classes: str) -> str:
        return "[" + "".join(rf"\p{{WB={name}}}" for name in classes) + "]"

    def unit(*classes: str) -> str:  # WB4: what follows is attached
        return f"(?:{one_of(*classes)}{mark}*+)"

    letter, digit = unit("ALetter", "Hebrew_Letter"), unit("Numeric")
    kana, bar, flag = unit("Katakana"), unit("ExtendNumLet"), unit("Regional_Indicator")
    in_word = unit("MidLetter", "MidNumLet", "Single_Quote")
    in_number = unit("MidNum", "MidNumLet", "Single_Quote")
    after_hebrew = rf"(?<=\p{{WB=Hebrew_Letter}}{mark}*)"
    gershayim = f"{after_hebrew}{unit('Double_Quote')}(?={one_of('Hebrew_Letter')})"
    geresh = f"(?={one_of('Single_Quote')}){after_hebrew}{unit('Single_Quote')}"

    letters = f"{letter}++(?:(?:{in_word}|{gershayim}){letter}++)*+"  # WB5-7, WB7b, WB7c
    digits = f"{digit}++(?:{in_number}{digit}++)*+"  # WB8, WB11, WB12
    solid = f"(?:(?:{letters}|{digits})++|{kana}++)"  # WB9, WB10, WB13
    begins = one_of("ALetter", "Hebrew_Letter", "Numeric", "Katakana", "ExtendNumLet")
    barred = f"{bar}*+(?:{solid}{bar}++)*+{solid}?+"  # WB13a, WB13b
    word = f"(?={begins}){barred}(?:{geresh})?+"  # WB7a
    piece = f"(?:{word}|{flag}{flag}|.{mark}*+)"  # WB15, WB16, WB999
    return rf"{piece}(?:(?<=\p{{WB=ZWJ}})(?=\p{{Extended_Pictographic}}){piece})*+"  # WB3c


_UAX29 = regex.compile(_uax29_pattern(), regex.DOTALL)
