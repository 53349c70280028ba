"""What a translation keeps as it is, and the characters that stand for it meanwhile.

Addresses, code, placeholders, tags, long numbers, emoji and words in a foreign script go over
unchanged. A model that was trained for it (its manifest says so) never sees them: each is swapped
for a stand-in, a control character, which is one piece that the model has learned to carry over,
and swapped back afterwards.

    Mail tom@example.com today.   ->  Mail \\x01 today.
    \\x01 aujourd'hui.             ->  tom@example.com aujourd'hui.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import regex

from service.segmentation import Span

STAND_INS = "\x01\x02\x03\x04\x05\x06\x07\x08"
"""All there are; no text has them for any other reason."""

_ADDRESSES = (
    r"(?:(?:https?|ftp)://|(?<!\w)www\.)[\w.~:/?#\[\]@!$&'()*+,;=%-]+",
    r"[\w.+-]*\w@[\w-]+(?:\.[\w-]+)+",
    r"(?<![\w@])@\w[\w.]*\w",
)
_MARKUP = (
    r"`[^`\n]+`",
    r"</?[A-Za-z][^<>\n]*>",
    r"&(?:#\d+|#x[0-9a-fA-F]+|[A-Za-z]+\d*);",
    r"\{\{[^{}\n]*\}\}|\$?\{[^{}\n]*\}",
    r"%\([A-Za-z_]\w*\)[a-zA-Z]|%(?:\d+\$)?[-+#]?\d*(?:\.\d+)?[sdifuxX@](?!\w)",
    r"\$[A-Za-z_]\w*",
)
_ENDINGS = (
    "com org net edu gov io dev app fr cn uk de ca eu "
    "py js ts rs go c h cpp java rb sh md txt csv json xml yml yaml toml html css pdf doc docx "
    "xls xlsx ppt pptx png jpg jpeg gif svg mp3 mp4 wav zip tar gz exe dll iso log ini cfg"
)
_NAMES = (
    rf"(?<![\w.])[\w-]+(?:[./\\][\w-]+)*\.(?:{'|'.join(_ENDINGS.split())})(?![\w-])",
    r"(?<![\w/.<])(?:~|\.{1,2})?/(?:[\w.-]+/)*[\w-]*\w(?:\.\w+)*/?",
    r"(?<!\w)[A-Za-z]:\\[\w\\.-]*\w",
    r"(?<![\w-])--[A-Za-z][\w-]*\w",
    r"(?<!\w)_*[A-Za-z]\w*_\w+(?:\(\))?|(?<!\w)[A-Za-z]\w*(?:\.\w+)*\(\)",
)
_NUMBERS = (
    r"(?<![\w-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)",
    r"(?<!\w)(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,}(?!\w)",
    r"(?<![\w-])\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?(?![\w-])",
    r"(?<![\w.])v?\d+(?:\.\d+){2,}(?![\w.])",
    r"\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,6}(?!\w)",
    r"(?<![\w-])(?:\(?\d{3}\)?[ -])?\d{3}-\d{4}(?![\w-])|(?<!\w)\d{2}(?: \d{2}){4}(?!\w)",
    r"(?<![\w.,])\d{5,}(?![\w]|[.,]\d)",
    r"(?<![\w-])(?!\d+[AP]M\b)(?=[A-Z0-9-]*[A-Z])(?=[A-Z0-9-]*\d)[A-Z0-9]+(?:-[A-Z0-9]+)*(?![\w-])",
)
_CONTROLS = (r"[\x01-\x08]",)
_PLAIN = re.compile(
    "|".join(f"(?:{one})" for one in (*_MARKUP, *_ADDRESSES, *_NAMES, *_NUMBERS, *_CONTROLS)),
    re.ASCII,
)
_HINT = re.compile(r"[\x01-\x08`@<>{}%$&_\\/\d]|\.\w|--\w|\(\)", re.ASCII)
"""What a text has that `_PLAIN` may find something in; most have not, and are soon done with."""

_PICTURE = r"\p{Extended_Pictographic}(?:\p{EMod}|\uFE0F)*"
_EMOJI = rf"{_PICTURE}(?:\u200D{_PICTURE})*|\p{{RI}}{{2}}"


_NOT_LATIN = r"[^\P{L}\p{Latin}][\p{L}\p{M}]*"
_NO_LATIN = rf"{_NOT_LATIN}(?:[ '’-]{_NOT_LATIN})*"
_LATIN = r"\p{Latin}[\p{Latin}\d]{2,}(?:[ '’.-][\p{Latin}\d]+)*"
_FOREIGN: Mapping[str, str] = {"en": _NO_LATIN, "fr": _NO_LATIN, "zh": _LATIN}
"""Words of a script that texts of these languages are not written in; of others nothing is foreign.
In Chinese, one or two Latin letters belong to a Chinese word, as in T恤."""

_ASCII = ("en", "fr")
"""Languages in which no ASCII letter is foreign."""

_PUNCTUATION = ".,;:!?'\"…"
_BRACKETS = {")": "(", "]": "["}


@dataclass(frozen=True, slots=True)
class Kept:
    """A stretch of a text that goes over as it is, and the character that stands for it."""

    span: Span
    stand_in: str


@dataclass(frozen=True, slots=True)
class Swapped:
    """A text in two forms: `whole`, and `text` with stand-ins; spans of `kept` are of the whole."""

    text: str
    whole: str
    kept: tuple[Kept, ...]

    def in_whole(self, span: Span) -> Span:
        """Return where a span of `text` lies in the whole."""
        return Span(self._in_whole(span.start), self._in_whole(span.end)) if self.kept else span

    def _in_whole(self, at: int) -> int:
        for kept in self.kept:
            if at <= kept.span.start:
                break
            at += kept.span.end - kept.span.start - 1
        return at


def find(text: str, language: str) -> list[Span]:
    """Return what a translation of a text in `language` should keep, in order."""
    found = [match.span() for match in _PLAIN.finditer(text)] if _HINT.search(text) else []
    base = language.split("-")[0].lower()
    if base not in _ASCII or not text.isascii():
        found += [match.span() for match in _unicode(base).finditer(text)]
    spans: list[Span] = []
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if not spans or start >= spans[-1].end:
            spans.append(Span(start, _trimmed(text, start, end)))
    return spans


def swap(text: str, spans: Iterable[Span], order: str = STAND_INS) -> Swapped:
    """Swap stretches for the stand-ins in order; like ones share one, and the rest stays."""
    kept: list[Kept] = []
    known: dict[str, str] = {}
    for span in spans:
        content = span.of(text)
        if content not in known and len(known) == len(order):
            continue
        stand_in = known.setdefault(content, order[len(known)])
        kept.append(Kept(span, stand_in))
    return _swapped(text, kept)


def swap_in(text: str, carried: Mapping[str, str]) -> Swapped:
    """Swap what the stand-ins of another text stand for, wherever this text has it too."""
    kept: list[Kept] = []
    for stand_in, content in sorted(carried.items(), key=lambda item: -len(item[1])):
        for span in occurrences(text, content):
            if not any(span.start < one.span.end and one.span.start < span.end for one in kept):
                kept.append(Kept(span, stand_in))
    return _swapped(text, sorted(kept, key=lambda one: one.span.start))


def swap_pair(
    source: str, target: str, spans: Iterable[Span], order: str = STAND_INS
) -> tuple[Swapped, Swapped]:
    """Swap those stretches of a source that its target has as many times, in both."""
    found = list(spans)
    asked = Counter(span.of(source) for span in found)
    shared = {content for content, n in asked.items() if len(occurrences(target, content)) == n}
    near = swap(source, (span for span in found if span.of(source) in shared), order)
    far = swap_in(target, {one.stand_in: one.span.of(source) for one in near.kept})
    if Counter(one.stand_in for one in near.kept) != Counter(one.stand_in for one in far.kept):
        return _swapped(source, []), _swapped(target, [])  # one lies within another
    return near, far


def restore(text: str, carried: Mapping[str, str]) -> Swapped:
    """Swap every stand-in of a text for what it stands for."""
    parts: list[str] = []
    kept: list[Kept] = []
    at = 0
    for character in text:
        content = carried.get(character, character)
        if character in carried:
            kept.append(Kept(Span(at, at + len(content)), character))
        parts.append(content)
        at += len(content)
    return Swapped(text, "".join(parts), tuple(kept)) if kept else Swapped(text, text, ())


def occurrences(text: str, content: str) -> list[Span]:
    """Return where a text has a content that does not go on as a longer word, in order."""
    spans: list[Span] = []
    at = text.find(content)
    while at >= 0:
        end = at + len(content)
        if _is_apart(text, at) and _is_apart(text, end):
            spans.append(Span(at, end))
        at = text.find(content, end)
    return spans


def _is_apart(text: str, at: int) -> bool:
    """Whether a word may begin or end at a place, for all that its neighbours say."""
    around = text[at - 1 : at + 1] if 0 < at < len(text) else ""
    return not around or not all(_is_narrow(character) for character in around)


def _is_narrow(character: str) -> bool:
    """Whether a character goes with its like in one word; a Chinese one need not."""
    return character.isalnum() and character < "\u2e80"


def _swapped(whole: str, kept: Sequence[Kept]) -> Swapped:
    parts, at = [], 0
    for one in kept:
        parts += [whole[at : one.span.start], one.stand_in]
        at = one.span.end
    return Swapped("".join([*parts, whole[at:]]), whole, tuple(kept))


def _trimmed(text: str, start: int, end: int) -> int:
    """Return the end of a match without the punctuation of the sentence around it."""
    while end > start + 1:
        last, inside = text[end - 1], text[start : end - 1]
        if last == ";" and inside[0] == "&":
            break  # a character reference ends in it
        opened = _BRACKETS.get(last)
        is_extra = opened is not None and inside.count(opened) <= inside.count(last)
        if last not in _PUNCTUATION and not is_extra:
            break
        end -= 1
    return end


@cache
def _unicode(language: str) -> "regex.Pattern[str]":
    """Return what finds emoji, and the words that are foreign in a language."""
    foreign = _FOREIGN.get(language)
    return regex.compile(_EMOJI if foreign is None else f"{_EMOJI}|{foreign}")
