"""A text becomes sentences and the gaps between them, and nothing is lost.

    "Hi!  Bye.\\n"  ->  gaps       ""   "  "   "\\n"
                       sentences     "Hi!"  "Bye."

    "- One\\n| a | b |"  ->  gaps       "- "     "\\n| "   " | "   " |"
                             sentences      "One"      "a"     "b"

Gap k stands before sentence k and the last gap after the last sentence, so reading them in turn
gives the text back, character for character. Gaps hold whitespace and what is never translated:
the signs that begin a line of Markdown, the bars of tables, code between fences, elements such as
<script>, tags with no word beside them. Positions count Unicode code points, half-open.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sentencex

from service.layout import LINE_BREAK, REST, is_markup, mask, pieces

UNSPACED = frozenset({"ja", "yue", "zh"})
"""Languages that put no space between two sentences."""

_SPACE = re.compile(r"\s")
_OF_NUMBERS = "[Aa](?:pprox|pr|rt|v)|[Cc][fh]|[Ee]nv|[Ff]ig|[Nn]o|[Pp]p?|[Vv](?:ol|s)"
_BEFORE_NUMBERS = re.compile(rf"(?<!\w)(?:{_OF_NUMBERS})\.$"), re.compile(r"\s*\d")
_UNFINISHED: Mapping[str, Sequence[tuple[re.Pattern[str], re.Pattern[str]]]] = {
    "en": (_BEFORE_NUMBERS,),
    "fr": (
        _BEFORE_NUMBERS,
        (re.compile(r"(?<!\w)(?:MM?|Mmes?|Mlles?|Mgr|Me|Drs?|Pr|Prof|Ste?)\.$"), re.compile("")),
        (re.compile(r"(?<!\w)[Aa](?:v|pr)\.$"), re.compile(r"\s*J\.-C")),
        (re.compile(r"-C\.$"), re.compile(r"\s*[a-zà-öø-ÿœ]")),
    ),
}
"""Ends of what is no sentence, which the library takes for one, before what follows there."""
_ENUMERATOR = re.compile(r"\d{1,3}\.")
_BRACKETS = r")\]}〉》」』】〕〗）］｝｣"
_QUOTES = "\"'’”»›"
_END_TAG = r"</[A-Za-z][\w:.-]*\s*>"
_LATE_CLOSERS = re.compile(
    rf"(?:\s*[{_BRACKETS}][{_BRACKETS}{_QUOTES}]*|[{_QUOTES}][{_BRACKETS}{_QUOTES}]*(?=\s|$))"
    rf"?(?:{_END_TAG}|<[bBhH][rR]\b[^<>]*>)*"
)
_PAIRED = re.compile(r"""[«»‹›“”‘„`"「」]|(?<!\w)'""")
_ENDER = re.compile("[.!?…。！？]")
MOST_WORK = 200_000_000
"""Quotes of a line times its characters up to which the library reads it as a whole.

It looks for the partner of each quote up to the end of the line: a tenth of a second for this much.
"""
MOST_SENTENCES = 50_000_000
"""The same of marks that may end a sentence, each of which costs it a look at the whole line."""

PIECE = 4000
"""Characters of a line that it reads at once otherwise."""

_WIDE_END = re.compile(rf"[。！？](?![。！？…])[{_BRACKETS}{_QUOTES}]*")
_SEEMS_TO_END = re.compile(rf"[.!?][{_QUOTES}]?\s|{_WIDE_END.pattern}")
_BRACKETED = re.compile(r"\((?P<inside>[^()]*)[.!?]\)(?=\s+[^\Wa-z\d_])")
_ONLY_CLOSERS = re.compile(rf"[\s{_BRACKETS}{_QUOTES}]+")


@dataclass(slots=True, unsafe_hash=True)
class Span:
    """The code points from `start` up to, but without, `end`.

    Nobody changes one; it is not frozen because that takes thrice as long to make, and an
    answer holds a hundred.
    """

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def of(self, text: str) -> str:
        """The part of `text` that this span names."""
        return text[self.start : self.end]

    def shift(self, by: int) -> "Span":
        """The same stretch, seen from `by` code points further left."""
        return Span(self.start + by, self.end + by)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, never empty, without whitespace at either end, and where it stands."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Segmented:
    """A text with its sentences, and one gap more than there are sentences."""

    text: str
    sentences: tuple[Sentence, ...]
    gaps: tuple[str, ...]


def segment(text: str, language: str, split: bool) -> Segmented:
    """Divide a text into sentences and gaps.

    `language` is a lower-case base code such as "en"; one that is not known gets general rules.
    Without `split` the text is one sentence, its inner line breaks kept. A lone surrogate raises
    `ValueError`, since it has no place in any text.
    """
    if split:
        return _segmented(text, list(_sentences(text, language)))
    whole = _strip(text, 0, len(text))
    return _segmented(text, [whole] if whole else [])


def join_gap(gap: str, language: str, before: str = "", after: str = "") -> str:
    """An inner gap as it should stand between two sentences of the target language.

    Chinese and Japanese drop whitespace unless it breaks the line; every other language widens an
    empty gap to a space, unless what stands `before` it ends in a tag or what comes `after` begins
    with one. A gap that holds anything else stays as it is.
    """
    if gap.strip():
        return gap
    if language in UNSPACED:
        return gap if LINE_BREAK.search(gap) else ""
    return gap or ("" if before.endswith(">") or after.startswith("<") else " ")


def _segmented(text: str, spans: list[Span]) -> Segmented:
    starts = [span.start for span in spans]
    ends = [span.end for span in spans]
    gaps = (text[a:b] for a, b in zip([0, *ends], [*starts, len(text)], strict=True))
    return Segmented(text, tuple(Sentence(span.of(text), span) for span in spans), tuple(gaps))


def _strip(text: str, start: int, end: int) -> Span:
    part = text[start:end]
    left = len(part) - len(part.lstrip())
    return Span(start + left, max(start + left, start + len(part.rstrip())))


def _sentences(text: str, language: str) -> Iterator[Span]:
    """Yield the sentences in order; what has tags but no word is none."""
    text.encode()  # refuses lone surrogates, of which masks are made
    masked = mask(text)
    for start, last in pieces(masked):
        begin = start
        for found in _line_ends(text[start:last], language):
            end = start + found
            if masked[end : end + 1] == REST:
                continue  # within a tag
            span = _strip(text, begin, end)
            if len(span) and not is_markup(span.of(masked)):
                yield span
            begin = end


def _line_ends(line: str, language: str) -> list[int]:
    """Where sentences end within one line, rising, the last at its end.

    The library's breaks, less those that follow a title or the number of a list's item, or stand
    inside a word; closing punctuation left to the next sentence goes back to its own.
    """
    ends: list[int] = []
    begin = 0  # of the library's sentence, which may be less than one of ours
    for found in sorted({*_library_breaks(line, language), *_missed(line, language)}):
        end = max(begin, found + _late_closers(line, found))
        if end > begin and _is_end(line, begin, end, language):
            if ends and _ONLY_CLOSERS.fullmatch(line, ends[-1], end):
                ends.pop()
            ends.append(end)
        begin = end
    return [*(end for end in ends if end < len(line)), len(line)]


def _missed(line: str, language: str) -> list[int]:
    """Ends that the library misses: before digits in Chinese, and after a sentence in brackets."""
    if language in UNSPACED:
        return [found.end() for found in _WIDE_END.finditer(line)]
    return [
        found.end()
        for found in _BRACKETED.finditer(line)
        if found["inside"][:1].isupper() and " " in found["inside"]
    ]


def _library_breaks(line: str, language: str) -> list[int]:
    """The ends of the library's sentences; a line that would take it long is read in pieces."""
    size = len(line)
    if size <= PIECE or (
        size * len(_PAIRED.findall(line)) <= MOST_WORK
        and size * len(_ENDER.findall(line)) <= MOST_SENTENCES
    ):
        return _asked(line, language)
    ends, start = [], 0
    while start < len(line):
        end = _piece_end(line, start)
        ends += [start + found for found in _asked(line[start:end], language)]
        start = end
    return ends


def _piece_end(line: str, start: int) -> int:
    """Where to cut a piece off: where a sentence seems to end, else between two words."""
    end = start + PIECE
    if end >= len(line):
        return len(line)
    likely = [found.end() for found in _SEEMS_TO_END.finditer(line, start, end)]
    return likely[-1] if likely else line.rfind(" ", start, end) + 1 or end


def _asked(line: str, language: str) -> list[int]:
    """The ends of the library's sentences; the whole line if it fails or loses a character.

    The library slices bytes and panics on some wide whitespace, so it reads a copy with plain
    spaces instead. A panic is a `BaseException`, which no handler for failed requests would see.
    """
    plain = _SPACE.sub(" ", line)
    try:
        pieces: list[str] = sentencex.segment(language, plain)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return [len(line)]
    if "".join(pieces) != plain:
        return [len(line)]
    ends, end = [], 0
    for piece in pieces:
        end += len(piece)
        ends.append(end)
    return ends


def _late_closers(line: str, end: int) -> int:
    """How many code points after `end` still close the sentence that ends there."""
    found = _LATE_CLOSERS.match(line, end)
    return len(found.group()) if found else 0


def _is_end(line: str, begin: int, end: int, language: str) -> bool:
    """Whether a sentence truly ends at `end`, where the library ends the part since `begin`."""
    part = line[begin:end].strip()
    if part.endswith("!") and line.startswith("[", end):
        return False  # an image in Markdown
    if not part.endswith(".") or end == len(line):
        return True
    if line[end - 1] == "." and line[end].isascii() and not line[end].isspace():
        return False  # "J.-C.", "Node.JS"
    if _ENUMERATOR.fullmatch(part):  # unless it is what an abbreviation asked for
        return _is_unfinished(line[max(0, begin - 12) : begin].strip(), line, begin, language)
    return not _is_unfinished(part, line, end, language)


def _is_unfinished(part: str, line: str, end: int, language: str) -> bool:
    """Whether the last word asks for what follows: "M." for a name, "p." for a number."""
    rules = _UNFINISHED.get(language, ())
    return any(before.search(part) and after.match(line, end) for before, after in rules)
