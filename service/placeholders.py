"""What programs put into texts: placeholders of many kinds, tags, code, escapes; as patterns.

They are for `regex` with its ASCII flag, and take linear time: what may be long gives back nothing,
and does not run over another beginning of its own kind.
"""

import html
import re
from collections.abc import Sequence

from service.layout import VERBATIM
from service.segmentation import Span

ENDS = r"(?![\w\u00c0-\u1fff])"
BEGINS = r"(?<![\w\u00c0-\u1fff])"
"""Where a word may begin and end: beside a space, a sign, or a script that needs no spaces."""

_BARE_ATTRIBUTES = (
    "a audio button details dialog div form iframe img input li ol option p script select span "
    "table td textarea th tr ul video"
)
"""Elements whose attributes may have no value, as in <input disabled>."""

REFERENCE = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|[A-Za-z]+\d*);")

_VERBATIM = "|".join(sorted({"code", "kbd", "samp", "var"} | VERBATIM))
_QUOTED = r"\"[^\"<]*+\"|'[^'<]*+'"


def _element(group: str, name: str, attributes: str) -> str:
    """Return a pattern of a whole element and its content, up to 2000 characters."""
    inside = rf"(?:[^<]|<(?!/?(?P={group})\b)){{0,2000}}+"
    return rf"<(?P<{group}>{name})\b{attributes}>{inside}</(?P={group})\s*+>"


_TAGS = (
    _element("code", _VERBATIM, "[^<>]*+"),
    _element(
        "still", r"[A-Za-z]\w*+", r"(?=[^<>]*?(?:translate=[\"']?no\b|\bnotranslate\b))[^<>]*+"
    ),
    r"<!--(?:[^-<]|<(?!!--)|-(?!->))*+-->|<(?:!DOCTYPE|\?xml)\b[^<>\n]*+>|<!\[CDATA\[|\]\]>",
    r"<%(?:[^%<\n]|%(?!>))*+%>|<\?(?:[^?<\n]|\?(?!>))*+\?>",
    rf"(?<![\w<])<(?:{'|'.join(_BARE_ATTRIBUTES.split())})(?:\s++[a-z][a-z-]*+)++\s*+/?>",
    (
        r"(?<!<)</?(?:[A-Za-z][\w:.-]*+"
        rf"(?:\s(?=[^<>=]*=)(?:{_QUOTED}|[^<>\"'])*+|\s*+/)?|\d{{1,3}}\s?/?)>(?!>)"
    ),
    r"&lt;/?[A-Za-z](?:[^<>&\n]|&(?:quot|apos|#39|#34|amp);)*+&gt;",
    REFERENCE.pattern,
)
_FLAGS = r"[-+#0]*+"
_SIZE = r"(?:\*|\d++)?+(?:\.(?:\*|\d++))?+"
_DIRECTIVES = (
    r"%<\w+>[a-z]",
    (
        rf"(?:%\([A-Za-z_]\w*\){_FLAGS}{_SIZE}[a-zA-Z]|(?<!\d)%(?:\d+\$)?+{_FLAGS}{_SIZE}"
        rf"(?:hh?|ll?|[qLjzt])?[diouxXeEfFgGaAcCsSpn@]{ENDS}(?!['’]))(?:%%)?+"
    ),
    r"(?<!%)%%(?!%)",
    rf"{BEGINS}%[A-Za-z_]\w++%",
)
_BRACES = (
    r"(?:[$#%]|(?<!\S)[@!])?+(?:\{\{\{[^{}\n]*+\}\}\}|\{\{[^{}\n]*+\}\})",
    r"(?:[$#%]|(?<!\S)[@!])?+\{[^{}\n]*+\}",
    r"\$\([A-Za-z_]\w*+\)|\[\[\w++\]\]|\(\(\w++\)\)|\[%\w++%\]|##\w++##|::\w++::",
    r"(?<![^\s(\[{\"'>]):[a-z_]\w++(?::|(?![\w:]))",
    rf"{BEGINS}\$(?!(?:US|CA|CAN|AU|HK|NZ)D?{ENDS})[A-Za-z_]\w*+(?:->\w++)*+{ENDS}",
)
_CODE = (
    r"(?<!`)`(?!\s)[^`\n]++(?<!\s)`(?!`)|(?<!`)```[\w+-]*+(?!`)",
    r"(?<![\\\w:])\\u[0-9a-fA-F]{4}|(?<!\\)\\[nrt](?![a-z])",
)

PATTERNS: Sequence[str] = (*_CODE, *_TAGS, *_DIRECTIVES, *_BRACES)

_PLAIN = "'\"‘’“”«»\u00a0–—…"
_CHOICE = re.compile(r"\{\s?[\w.]+\s?,\s?(?:plural|select|selectordinal)\s?,")
_BRACE = re.compile(r"[{}]")
_IN_TURN = re.compile(r"%(?!%)[-+#0-9.*hlqLjzt]*[a-zA-Z@](?:%%)?|\{\}")
_JOINT = re.compile(r"[:/._=?&#@+*x×|-]?|(?=[\w.-]*[=?&/:#@])[\w:/.=?&#@+*-]{1,12}", re.ASCII)
_LONGEST_JOINT = 12
_MARKUP = re.compile(r"<(?!%)|&lt;|\\|\]\]>|\{%")
_PLACEHOLDER = re.compile(r"[{$%]|[#@!]\{")


def messages(text: str) -> list[tuple[int, int]]:
    """Return where ICU messages with plurals or choices stand, up to the brace that ends each."""
    found: list[tuple[int, int]] = []
    waiting: list[int] = []
    for match in _BRACE.finditer(text):
        if match.group() == "{":
            waiting.append(match.start())
        elif waiting:
            start = waiting.pop()
            if _CHOICE.match(text, start):
                found.append((start, match.end()))
    return found


def meant(reference: str) -> str:
    """Return the letter, quote, dash or space that a character reference means; "" of others."""
    if reference[:1] != "&" or reference[-1:] != ";":
        return ""
    character = html.unescape(reference)
    return character if len(character) == 1 and (character.isalpha() or character in _PLAIN) else ""


def is_in_turn(content: str) -> bool:
    """Whether a placeholder is filled by its place among its like, whose order must stay."""
    return _IN_TURN.fullmatch(content) is not None


def merge(text: str, spans: Sequence[Span]) -> list[Span]:
    """Return the stretches of a text in order, with placeholders that make one word together.

    {h}:{m} and {url}?id={id} do; a tag never does.
    """
    merged: list[Span] = []
    for span in spans:
        if merged and _are_one(text, merged[-1], span):
            merged[-1] = Span(merged[-1].start, span.end)
        else:
            merged.append(span)
    return merged


def _are_one(text: str, left: Span, right: Span) -> bool:
    starts = left.start, right.start
    if right.start - left.end > _LONGEST_JOINT or any(_MARKUP.match(text, at) for at in starts):
        return False
    if not any(_PLACEHOLDER.match(text, at) for at in starts):
        return False
    return _JOINT.fullmatch(text, left.end, right.start) is not None
