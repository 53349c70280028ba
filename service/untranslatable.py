"""Finds what no translation changes: what is no language, or not one of the text.

Addresses, hashtags, code, placeholders, tags, file names, amounts of money, long numbers, product
codes, emoji, and words in a foreign script. Everyday text must come out without a find, and any
text in linear time: a pattern begins at one place of a run only, and what it took it keeps.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

import regex

from service import measures, scripts
from service.placeholders import BEGINS, ENDS, PATTERNS, meant, merge, messages
from service.segmentation import Span

_LETTER = r"\w\u00c0-\u024f"
"""What goes into a name: ASCII, and Latin with accents."""

_OPENS = r"(?<![^\s(\[{\"'=:,;«“‘\u2e80-\uffff])"
"""Where a path may begin: "café/thé" and "5 €/kg" have none."""

_OF_ADDRESS = rf"(?:[{_LETTER}.~:/?#\[\]@!$&'()*+,;=%-]++|\{{\w*\}})"
_DOMAINS = (
    "com org net edu gov int info io dev app ai co me tv fr be ch lu ca cn hk tw de at es it pt nl "
    "uk ie us au nz jp kr in ru pl se eu ly gl gg"
)
_HOST = (
    rf"(?:localhost|[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)*\.(?i:{'|'.join(_DOMAINS.split())})"
    r"|\d{1,3}+(?:\.\d{1,3}+){3})"
)
_ADDRESSES = (
    rf"(?:{BEGINS}(?:https?|ftp)://|{BEGINS}www\.){_OF_ADDRESS}++",
    rf"(?<![{_LETTER}@./\\-]){_HOST}(?::\d{{2,5}}+(?!\d)(?:/{_OF_ADDRESS}*+)?+|/{_OF_ADDRESS}*+)",
    rf"(?<![{_LETTER}.+-])[{_LETTER}.+-]++@[{_LETTER}-]++(?:\.[{_LETTER}-]++)++",
    rf"(?<![{_LETTER}@])@[{_LETTER}]{{2,}}+(?:\.[{_LETTER}]++)*+",
    rf"(?<![{_LETTER}&#])#[{_LETTER}]++",
)
_ENDINGS = (
    "com org net edu gov io dev app fr cn uk eu "
    "py js ts rs cpp java rb sh md txt csv json xml yml yaml toml html css pdf doc docx "
    "xls xlsx ppt pptx png jpg jpeg gif svg mp3 mp4 wav zip tar gz exe dll iso log ini cfg"
)
_PART = rf"(?:[{_LETTER}-]++|\{{\w*\}})++"
_STEP = rf"/\.?+{_PART}(?:\.{_PART})*+"
_NAMES = (
    (
        rf"(?<![{_LETTER}./\\-])[{_LETTER}-]++(?:[./\\][{_LETTER}-]++)*"
        rf"\.(?i:{'|'.join(_ENDINGS.split())})(?![{_LETTER}'’-])"
    ),
    rf"{_OPENS}(?:(?:~|\.{{1,2}}+)(?:{_STEP})++|(?:{_STEP}){{2,}}+)/?+",
    rf"{BEGINS}[A-Za-z]:\\[{_LETTER}\\.-]*\w",
    r"(?<![\w-])--[a-z][a-z0-9]*+(?:(?:-[a-z0-9]++)++|(?==)|(?<=--help)|(?<=--version))(?!\w)",
    rf"{BEGINS}_*+[A-Za-z\u00c0-\u024f][{_LETTER}]*_[{_LETTER}]++(?:\(\))?+",
    rf"{BEGINS}(?<!\w\.)[A-Za-z]\w*+(?:\.\w++)*+\(\)",
)
_PLAIN_NUMBERS = "[AP]M|ST|ND|RD|TH|S|E|ER|ERE|EME|H(?:\\d\\d)?|J|MIN|[KMB]|K[MG]|[CM]M"
"""What follows digits in words that are translated: 10AM, 1ST, 20E, 10H30, 5M."""

_SIGN = "(?:(?:US|CA|AU|NZ|HK|[AC])?\\$|[€£¥￥₹₽₩₺₪฿])"
_AMOUNT = r"\d++(?:[.,\u00a0\u202f]\d++|[ ]\d{3}(?!\d))*+"
_MONEY = (
    rf"{BEGINS}-?{_SIGN}[ \u00a0\u202f]?{_AMOUNT}(?:[ \u00a0]?[kKMB]n?{ENDS})?+",
    rf"(?<![\w.,-]){_AMOUNT}[ \u00a0\u202f]?{_SIGN}(?![\w$])",
)
_NUMBERS = (
    r"(?<![\w.,-])\d{1,3}(?:[ \u00a0\u202f]\d{3}){2,}+(?![\w,.]\d)(?!\d)",
    r"(?<![\w.,-])-?\d++(?:[.,]\d++)?[ \u00a0\u202f]?°[CF]?(?!\w)",
    r"(?<![\w-])[01]\d{1,3}(?P<gap>[ -])\d{3,4}(?P=gap)\d{4}(?![\w-])",
    rf"{BEGINS}[A-Za-z]{{2,}}+\d{{1,4}}{ENDS}",
    r"(?<![\w-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)",
    rf"{BEGINS}(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{{7,}}+{ENDS}",
    r"(?<![\w-])\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?(?![\w-])",
    r"(?<![\w.])v?\d++(?:\.\d++){2,}+(?!\w|[.,]\w)",
    r"(?<!\w)\+\d(?:[ .()\u00a0\u202f-]{0,2}\d){6,14}+(?!\w)",
    r"(?<![\w-])(?:\(?\d{3}\)?[ -])?\d{3}-\d{4}(?![\w-])",
    r"(?<!\w)\d{2}(?:[ \u00a0\u202f]\d{2}){4}(?!\w)",
    r"(?<![\w-])(?:\d++(?:-\d++){3,}+|0\d{2,3}-\d{7,8})(?![\w-])",
    r"(?<![\w.,-])\d{5,}+(?!\w|[.,-]\d)",
    (
        r"(?<![\w\u00c0-\u1fff-])(?<!\d[.,])"
        rf"(?!\d++(?:{_PLAIN_NUMBERS})(?![\w-]))(?!\d++[AP]M-)"
        r"(?=[A-Z0-9-]*[A-Z])(?=[A-Z0-9-]*\d)[A-Z0-9]++(?:-[A-Z0-9]++|\.\d++)*+(?![\w\u00c0-\u1fff-])"
    ),
)
_CONTROLS = (r"[\x01-\x08]",)
_ALL = (*PATTERNS, *_ADDRESSES, *_NAMES, *_MONEY, *_NUMBERS, *_CONTROLS)
_PLAIN = regex.compile("|".join(f"(?:{one})" for one in _ALL), regex.ASCII)
"""Not by `re`: up to Python 3.11.2 its possessive groups take too much."""

_HINT = re.compile(
    rf"[\x01-\x08`@<>{{}}%$&_\\/\d]|\.\w|--\w|\(\)|\(\(|\[\[|#[#{_LETTER}]|:\w", re.ASCII
)
"""What a text has that `_PLAIN` may find something in; most have not, and are soon done with."""

_PICTURE = r"\p{Extended_Pictographic}(?:\p{EMod}|[\uFE0E\uFE0F\u20E3\U000E0020-\U000E007F])*+"
_KEYCAP = r"[0-9#*]\uFE0F?\u20E3"
_EMOJI = rf"(?:{_PICTURE}(?:\u200D{_PICTURE})*+|{_KEYCAP}|\p{{RI}}{{2}})++"

_NOT_LATIN = r"[^\P{L}\p{Latin}\p{Lm}][\p{L}\p{M}]*+"
_NO_LATIN = rf"{_NOT_LATIN}(?:[ '’-]{_NOT_LATIN})*+"
_LINK = r"(?:\.? |['’.&·-])"
_LATIN = (
    rf"(?<![\p{{Latin}}\d])(?=\p{{Latin}}(?:{_LINK}?\p{{Latin}}){{2}})"
    rf"\p{{Latin}}[\p{{Latin}}\p{{M}}\d]*+(?:{_LINK}[\p{{Latin}}\d][\p{{Latin}}\p{{M}}\d]*+)*+"
)
_THIRD = r"[^\P{L}\p{Latin}\p{Han}\p{Lm}](?:[^\P{L}\p{Han}]|\p{M})*+"
_FOREIGN: Mapping[str, str] = {"en": _NO_LATIN, "fr": _NO_LATIN, "zh": f"{_LATIN}|{_THIRD}"}
"""Words of a script that texts of these languages are not written in; of others nothing is foreign.
In Chinese, one or two Latin letters belong to a Chinese word, as in T恤."""

_ASCII = ("en", "fr")
"""Languages in which no ASCII letter is foreign."""

Finder = Callable[[str, str], list[tuple[int, int]]]
"""Returns where something begins and ends in a text of a language, in order."""

_PUNCTUATION = ".,;:!?'\"…"
_BRACKETS = {")": "(", "]": "["}


def find(text: str, language: str, also: Iterable[Finder] = ()) -> list[Span]:
    """Return what a translation of a text in `language` should keep, in order.

    And what else is found `also`, such as numbers of few digits, which most models translate.
    """
    found: list[tuple[int, int]] = []
    if _HINT.search(text):
        found = [*_spans(_PLAIN, text), *messages(text), *measures.find(text, language)]
    found += [span for finder in also for span in finder(text, language)]
    found = _outermost(found)
    base = scripts.base(language)
    if base not in _ASCII or not text.isascii():
        found += _unwritten(text, base, found)
    spans = [Span(start, _trimmed(text, start, end)) for start, end in _outermost(found)]
    return merge(text, [span for span in spans if not meant(span.of(text))])


def find_all(text: str, language: str, also: Iterable[Finder] = ()) -> list[Span]:
    """Return what `find` does, but the whole text if no word is left beside that."""
    spans = find(text, language, also)
    at = 0
    for span in (*spans, Span(len(text), len(text))):
        if any(map(str.isalpha, text[at : span.start])):
            return spans
        at = span.end
    begin, end = len(text) - len(text.lstrip()), len(text.rstrip())
    return [Span(begin, end)] if begin < end else []


def _outermost(found: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what was found, in order, without what begins within another."""
    kept: list[tuple[int, int]] = []
    for span in sorted(found, key=lambda one: (one[0], -one[1])):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept


def _spans(pattern: "regex.Pattern[str]", text: str) -> list[tuple[int, int]]:
    return [match.span() for match in pattern.finditer(text, concurrent=False)]


def _unwritten(text: str, base: str, plain: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return emoji and foreign words; of one that runs into a plain find, what lies outside."""
    pattern, starts = _unicode(base), [start for start, _ in plain]
    found: list[tuple[int, int]] = []
    for match in pattern.finditer(text, concurrent=False):
        start, end = match.span()
        first = bisect_left(starts, start)
        if first and plain[first - 1][1] > start:
            first -= 1
        over = [one for one in plain[first : bisect_left(starts, end)] if one[1] > start]
        if all(start <= one[0] and one[1] <= end for one in over):
            found.append((start, end))
            continue
        edges = [start, *(edge for one in over for edge in one), end]
        for left, right in zip(edges[::2], edges[1::2], strict=True):
            inside = pattern.finditer(text, left, max(left, right), concurrent=False)
            found += [one.span() for one in inside]
    return found


def _trimmed(text: str, start: int, end: int) -> int:
    """Return the end of a match without the punctuation of the sentence around it."""
    left = {bracket: text.count(bracket, start, end) for bracket in "()[]"}
    while end > start + 1:
        last = text[end - 1]
        if last == ";" and text[start] == "&":
            break  # a character reference ends in it
        if last == ":" and text[start] == ":":
            break
        if last in _BRACKETS:
            if left[_BRACKETS[last]] >= left[last]:
                break
            left[last] -= 1
        elif last not in _PUNCTUATION:
            break
        end -= 1
    return end


@cache
def _unicode(language: str) -> "regex.Pattern[str]":
    """Return what finds emoji, and the words that are foreign in a language."""
    foreign = _FOREIGN.get(language)
    return regex.compile(_EMOJI if foreign is None else f"{_EMOJI}|{foreign}")
