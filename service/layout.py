"""How a text is laid out: its lines, cells and blocks, and what in it is markup.

    "- One <b>two</b>\\n| a | b |"  ->  "One <b>two</b>"  "a"  "b"

Of what begins a line in Markdown, the bars of a table, code between fences and elements such as
<script>, nothing is left. Places are code points, half-open.
"""

import re
from collections.abc import Iterator, Mapping

LINE_BREAK = re.compile("\r\n|[\n\r\v\f\x85\u2028\u2029]")
"""What always ends a sentence: the mandatory breaks of UAX #14."""

_BLOCKS = (
    "p div li ul ol dl dt dd tr td th table h1 h2 h3 h4 h5 h6 blockquote section option title "
    "header footer main nav aside article summary details caption figcaption figure address form "
    "fieldset legend thead tbody tfoot button"
)
BLOCKS = frozenset(_BLOCKS.split())
"""Elements of HTML that begin a sentence, and end one; "pre" and "label" only end one."""

VERBATIM = frozenset({"script", "style", "pre", "textarea"})
"""Elements of HTML in which nothing is translated."""

LONGEST_TAG = 2000
"""Characters that a tag may have; what is longer is text with a stray `<`."""

Place = tuple[int, int]

_NL = "\n\r\v\f\x85\u2028\u2029"
_MARKUP = re.compile(
    rf"(?<![^{_NL}])[ \t]*(?P<fence>`{{3,}}(?=[^`{_NL}]*(?![^{_NL}]))|~{{3,}})"
    rf"|(?<![A-Za-z0-9_`])(?P<code>`+[^`{_NL}]+`+)|<(?=[A-Za-z/!?])"
)
_FENCE_END = re.compile(rf"(?<![^{_NL}])[ \t]*(?P<fence>`{{3,}}|~{{3,}})[ \t]*(?![^{_NL}])")
_TAG = re.compile(
    r"<(?P<sign>[/!?])?(?P<name>[A-Za-z][\w:.-]*)(?![\w:.-])"
    r"""[^<>=]*(?:=\s*(?:"[^"]*"|'[^']*'|(?!["'\s]))[^<>=]*)*>""",
    re.ASCII,
)
_CLOSER = re.compile(rf"-->|</(?P<name>{'|'.join(sorted(VERBATIM))})\s*>", re.ASCII | re.IGNORECASE)
REST, _INLINE, _CLOSES, _BEGINS, _ENDS = "\ud800\ud801\ud802\ud803\ud804"
"""What stands for markup: lone surrogates, which no text holds, one for the kind and then the rest.

An inline tag or a comment, an inline end tag, and the tags that begin and that end a block.
"""
_PREFIX = re.compile(
    r"\s*(?:(?:[-*+•–—]|#{1,6}|>+|\d{1,3}\)|\d{1,3}\.(?=\s+\S))(?:\s+|\Z)(?:\[[ xX]\](?:\s+|\Z))?)*"
    r"(?:[-–—](?=[^\W\d_]))?"
)
_NO_BAR = r"\{(?:[^{}]|\{[^{}]*\})*\}"
_ROW_BAR = re.compile(rf"{_NO_BAR}|(?<!\\)(?P<bar>\|)")
_SPACED_BAR = re.compile(rf"{_NO_BAR}|(?<!\S)(?P<bar>\|)(?!\S)")
_RULE = re.compile(r"[|:=\s-]+")
_BLOCK = re.compile(
    rf"[{_INLINE}{_CLOSES}{_BEGINS}{REST}\s]*[^{_BEGINS}{_ENDS}]*"
    rf"(?:{_ENDS}[{_ENDS}{_CLOSES}{REST}\s]*)?"
)
_WORD = re.compile(r"[^\W_]")


def mask(text: str) -> str:
    """Return a text of the same length with signs for tags, and blanks for what is skipped."""
    if not any(sign in text for sign in ("<", "`", "~~~")):
        return text
    # where each is closed last, so that nobody looks for a closer in vain again and again
    last = {(one["name"] or "").lower(): one.start() for one in _CLOSER.finditer(text)}
    parts, at = list[str](), 0
    while found := _MARKUP.search(text, at):
        sign = _sign(text, found, last) or found.group()
        parts += text[at : found.start()], sign
        at = found.start() + len(sign)
    return "".join(parts) + text[at:]


def _sign(text: str, found: re.Match[str], last: Mapping[str, int]) -> str:
    """Return what stands for the markup that seems to begin at `found`; nothing if it is text."""
    start = found.start()
    if found["code"]:
        return "a" * len(found["code"])
    if found["fence"]:
        return _blank(_fence_end(text, found) - start)
    if text.startswith("<!--", start):
        end = _closed(text, start + 2, "", last)
        return _INLINE + REST * (end - start - 1) if end else ""
    tag = _TAG.match(text, start, start + LONGEST_TAG)
    if tag is None:
        return ""
    end = 0 if tag["sign"] else _closed(text, tag.end(), tag["name"].lower(), last)
    return _blank(end - start) if end else _kind(tag) + REST * (tag.end() - start - 1)


def _blank(length: int) -> str:
    return "\n" + " " * (length - 2) + "\n"


def _fence_end(text: str, fence: re.Match[str]) -> int:
    for line in _FENCE_END.finditer(text, fence.end()):
        if line["fence"].startswith(fence["fence"]):
            return line.end()
    return len(text)


def _closed(text: str, start: int, name: str, last: Mapping[str, int]) -> int:
    """Return where an element ends, or a comment, which has no name; 0 if that is never closed."""
    if last.get(name, -1) < start:
        return 0
    closers = _CLOSER.finditer(text, start)
    return next(one.end() for one in closers if (one["name"] or "").lower() == name)


def _kind(tag: re.Match[str]) -> str:
    """Return the sign for a kind of tag: a letter where it may be text, as in <your name here>."""
    name, closes = tag["name"].lower(), tag["sign"] == "/"
    if name in ("br", "hr") or (closes and name in BLOCKS | {"pre", "label"}):
        return _ENDS
    if closes:
        return _CLOSES
    if name in BLOCKS:
        return _BEGINS
    written = tag.group()
    is_code = tag["sign"] or "=" in written or written.endswith("/>") or len(written.split()) == 1
    return _INLINE if is_code else "a"


def is_markup(part: str) -> bool:
    """Whether a part of what was masked has tags and no word."""
    return REST in part and not _WORD.search(part)


def pieces(masked: str) -> Iterator[Place]:
    """Yield, in order, what sentences are looked for in: cells and blocks of lines."""
    start = 0
    for found in LINE_BREAK.finditer(masked):
        yield from _line_pieces(masked, start, found.start())
        start = found.end()
    yield from _line_pieces(masked, start, len(masked))


def _line_pieces(masked: str, start: int, end: int) -> Iterator[Place]:
    """Yield cells and blocks that have a word; a line that is but one, without tags, needs none."""
    prefix = _PREFIX.match(masked, start, end)
    start = prefix.end() if prefix else start
    for cell in _cells(masked, start, end):
        for block in _BLOCK.finditer(masked, *cell):
            part = block.group()
            is_plain = block.span() == (start, end) and REST not in part
            if part.strip() if is_plain else _WORD.search(part):
                yield block.span()


def _cells(masked: str, start: int, end: int) -> Iterator[Place]:
    """Yield what stands between the bars of a line; nothing of the rule below a table's head."""
    line = masked[start:end].strip()
    if "|" in line:
        if _RULE.fullmatch(line):
            return
        is_row = line[0] == line[-1] == "|" and line[-2] != "\\"
        for found in (_ROW_BAR if is_row else _SPACED_BAR).finditer(masked, start, end):
            if found["bar"]:
                yield start, found.start()
                start = found.end()
    yield start, end
