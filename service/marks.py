"""Finds what stands around words, or between them, and is no word: what a translation carries over.

    tags        <b>red</b>  <br/>
    Markdown    *red*  **red**  ~~red~~  [red](https://example.com)  ![red](red.png)  [1]
    quotes      "red"  “red”  « red »  「red」  《red》  'red'
    brackets    [red], and (red) if it is the whole sentence

Quotes are written as the target's language writes them. A mark without a partner is left in the
text, but for tags and the numbers of notes. Linear in the length of the text.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import regex

from service import scripts
from service.segmentation import Span

Role = Literal["opens", "closes", "single"]

HINT = re.compile(r"[<&{\\\"“«「『《〈‘\[【*_~(（]|(?<!\S)'")
"""What a text has that may have marks."""

_TAG = re.compile(
    r"<(?P<closes>/)?(?P<name>[A-Za-z0-9][\w:.-]*)[^<]*?(?P<empty>/)?>"
    r"|\{\{(?:#|(?P<ends>/))(?P<block>\w+)[^{}]*\}\}"
    r"|<!.*|\]\]>|\{%.*%\}|\\.",
    re.ASCII | re.DOTALL,
)
"""Markup that is no value: tags, comments, the blocks of templates, line breaks."""

_SIGN = regex.compile(
    r"""\[\^?\d{1,4}\](?![(\[])"""
    r"""|!?\[|\]\((?:[^()\s]|\([^()\s]*+\))*+(?:\s++"[^"\n]*+")?+\)|\]\[[^\[\]\n]*+\]|\]"""
    r"""|\*++|_++|~~|«\s*+|\s*+»|["“”「」『』《》〈〉‘’'【】()（）]"""
)
_NOTE = re.compile(r"\[\^?\d+\]")
_CLOSERS: Mapping[str, str] = {
    **dict(zip("“«「『《〈‘【(（[", "”»」』》〉’】)）]", strict=True)),
    **{sign: sign for sign in ("*", "**", "***", "_", "__", "___", "~~", '"', "'")},
}
_SAME = frozenset(sign for sign, closer in _CLOSERS.items() if sign == closer)
_QUOTES = frozenset("\"“«「『《〈‘'")
_PASSING = _SAME | _QUOTES
_WIDE = frozenset("«“「『《〈【（")
"""What only opens, wherever it stands."""

_WRITTEN: Mapping[str, Sequence[tuple[str, str]]] = {
    "en": [('"', '"'), ("'", "'")],
    "fr": [("« ", " »"), ("“", "”")],
    "zh": [("“", "”"), ("‘", "’")],
}
"""Quotes of a language, and quotes within quotes."""

_NO_SPACES = "\u2e80"
"""From here on are scripts whose words stand close together."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch that is no word; marks of one `name` make pairs; `becomes` is the target's.

    What is not `lasting` is left out where it would stand around nothing: quotes and emphasis.
    """

    span: Span
    name: str
    role: Role
    becomes: str
    lasting: bool = True


@dataclass(frozen=True, slots=True)
class _Open:
    """A sign that may open, without its spaces and `!`, within so many quotes."""

    span: Span
    sign: str
    depth: int


def find(text: str, kept: Sequence[Span], target: str) -> list[Mark]:
    """Return the marks of a text in order; no sign within what is `kept`, but the tags there.

    `target` is the code of the language that quotes are to be written in.
    """
    signs = _Signs(text, scripts.base(target))
    marks = [*_tags(text, kept), *signs.pairs(_loose(text, kept))]
    return sorted(marks, key=lambda mark: mark.span.start)


def _tags(text: str, kept: Sequence[Span]) -> Iterator[Mark]:
    for span in kept:
        content = span.of(text)
        plain = content.replace("&lt;", "<").replace("&gt;", ">")
        match = _TAG.fullmatch(plain if content[0] == "&" else content)
        if match is not None:
            name = (match["name"] or match["block"] or "").lower()
            closes = match["closes"] or match["ends"]
            role: Role = "closes" if closes else "single" if match["empty"] else "opens"
            yield Mark(span, name, role if name else "single", content)


def _loose(text: str, kept: Sequence[Span]) -> Iterator[Span]:
    """Yield the signs outside of what is kept; the address of a link is kept within one."""
    taken = iter([*kept, Span(len(text) + 1, len(text) + 1)])
    near = next(taken)
    for match in _SIGN.finditer(text, concurrent=False):
        span = Span(*match.span())
        while near.end <= span.start:
            near = next(taken)
        if near.start >= span.end or (
            near.start > span.start and text.startswith("](", span.start)
        ):
            yield span


class _Signs:
    """Pairs the signs of a text."""

    def __init__(self, text: str, language: str) -> None:
        self._text, self._language = text, language
        self._words = [at for at, one in enumerate(text) if one.isalnum()]
        self._waiting: list[_Open] = []
        self._awaited: Counter[str] = Counter()

    def pairs(self, found: Iterable[Span]) -> Iterator[Mark]:
        """Yield signs that have a partner with a word between them, and the numbers of notes."""
        for span in found:
            whole = span.of(self._text)
            sign = whole.strip().lstrip("!")
            closer = "]" if sign[0] == "]" else sign  # also where an address follows it
            if _NOTE.fullmatch(sign):
                yield Mark(span, "", "single", whole)
            elif self._awaited[closer] and self._may_close(span, sign):
                yield from self._pair(self._partner(closer), span)
            elif sign in _CLOSERS and self._may_open(span, sign):
                last = self._waiting[-1] if self._waiting else None
                depth = last.depth + (last.sign in _QUOTES) if last else 0
                self._waiting.append(_Open(span, sign, depth))
                self._awaited[_CLOSERS[sign]] += 1

    def _partner(self, closer: str) -> _Open:
        """Return the last sign that waits for a closer; what opened since has no partner."""
        while True:
            opens = self._waiting.pop()
            self._awaited[_CLOSERS[opens.sign]] -= 1
            if _CLOSERS[opens.sign] == closer:
                return opens

    def _pair(self, opens: _Open, closes: Span) -> Iterator[Mark]:
        begin = opens.span.start
        first, last = bisect_left(self._words, begin), bisect_left(self._words, closes.start)
        if first == last or (opens.sign in "(（" and last - first < len(self._words)):
            return
        before, after = self._becomes(opens, closes)
        name, lasting = str(begin), opens.sign not in _PASSING  # no tag has such a name
        yield Mark(opens.span, name, "opens", before, lasting)
        yield Mark(closes, name, "closes", after, lasting)

    def _becomes(self, opens: _Open, closes: Span) -> tuple[str, str]:
        if opens.sign in _QUOTES and self._language in _WRITTEN:
            return _WRITTEN[self._language][min(opens.depth, 1)]
        if opens.sign in "(（" and self._language in _WRITTEN:
            return ("（", "）") if self._language == "zh" else ("(", ")")
        return opens.span.of(self._text), closes.of(self._text)

    def _may_open(self, span: Span, sign: str) -> bool:
        before, after = self._around(span)
        return sign in _WIDE or (bool(after.strip()) and not _in_word(before))

    def _may_close(self, span: Span, sign: str) -> bool:
        before, after = self._around(span)
        return sign not in _SAME or (bool(before.strip()) and not _in_word(after))

    def _around(self, span: Span) -> tuple[str, str]:
        return self._text[max(0, span.start - 1) : span.start], self._text[span.end : span.end + 1]


def _in_word(character: str) -> bool:
    return character.isalnum() and character < _NO_SPACES
