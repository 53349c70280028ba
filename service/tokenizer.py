"""Text to subword ids with spans, and back; the only importer of SentencePiece.

SentencePiece marks a space with U+2581, which stays in this file: callers see ids, and
spans in Unicode code points of the text they gave.

A text is encoded as it would stand after a space, so "Who" is the same piece at the start
of a sentence and inside one; not so in a language that joins its words without one. The
model file itself folds typographic apostrophes and spaces to plain ones (see
`model_export.subwords`); everything else it does not know comes as UTF-8 byte pieces, so no
character is ever lost but spaces too many. A U+2581 in the text, which SentencePiece would
read as a space, is spelled in byte pieces here.
"""

import codecs
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import sentencepiece

from service.errors import DamagedBundle, InvalidEncoding
from service.segmentation import Span

MARK = "\u2581"
_NO_SPACE_AFTER = ("", " ", "(", "[")
KNOWN = 8192
"""Characters of which is remembered whether they are known."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Ids of a text and, for each, the span of the text that it covers.

    Of several byte pieces that make one character the last carries it; the earlier ones
    are empty at its start. The space that opens a piece is left out of its span, unless the
    piece is that space alone. `</s>` is not part of it.
    """

    ids: tuple[int, ...]
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text that ids spell and, for each id, its span in that text."""

    text: str
    spans: tuple[Span, ...]


class Tokenizer:
    """One SentencePiece model, read once; safe to share between threads."""

    def __init__(self, model: Path | bytes, joiner: str = " ", name: str = "") -> None:
        """Read a model, a file or its bytes, of a language whose words are joined by `joiner`.

        Raises `DamagedBundle`, which calls bytes by `name`.
        """
        self._opening = " " if joiner else ""
        name = name or (model.name if isinstance(model, Path) else "the file")
        try:
            self._read(model.read_bytes() if isinstance(model, Path) else model)
        except Exception as error:  # the library, and what it says, may fail in any way
            raise DamagedBundle(f"{name} is not a SentencePiece model: {error}") from error
        if set(self._byte_ids) != set(range(256)):
            raise DamagedBundle(f"{name} has no piece for every byte")

    def _read(self, content: bytes) -> None:
        self._model = sentencepiece.SentencePieceProcessor(model_proto=content)
        self.size = int(self._model.get_piece_size())
        self.bos = int(self._model.bos_id())
        self.eos = int(self._model.eos_id())
        self.pad = int(self._model.pad_id())
        self._pieces = [self._model.id_to_piece(i) for i in range(self.size)]
        self.longest = max(map(len, self._pieces))
        self._bytes = {
            i: int(self._pieces[i][3:5], 16) for i in range(self.size) if self._model.is_byte(i)
        }
        self._byte_ids = {value: i for i, value in self._bytes.items()}
        self._silent = {i for i in range(self.size) if self._model.is_control(i)}
        self.space = self._pieces.index(MARK) if MARK in self._pieces else None
        """The id of a space alone, if there is one."""
        self.knows = lru_cache(KNOWN)(partial(_knows, self._model, frozenset(self._bytes)))
        """Whether a character needs no byte pieces."""

    def byte_id(self, value: int) -> int:
        """Return the id of a byte's own piece."""
        return self._byte_ids[value]

    def spelled(self, texts: Collection[str]) -> frozenset[int]:
        """Return the ids of pieces that spell one of some texts, after a space or without."""
        return frozenset(i for i, one in enumerate(self._pieces) if one.lstrip(MARK) in texts)

    @cached_property
    def lettered(self) -> frozenset[int]:
        """The ids of pieces that end in a letter."""
        return frozenset(i for i, one in enumerate(self._pieces) if one[-1:].isalpha())

    @cached_property
    def narrow(self) -> tuple[frozenset[int], frozenset[int]]:
        """The ids of pieces that begin with, and that end in, an ASCII letter or digit."""
        edges = [(one[:1], one[-1:]) for one in self._pieces]
        begins, ends = (
            frozenset(i for i, edge in enumerate(some) if edge.isascii() and edge.isalnum())
            for some in zip(*edges, strict=True)
        )
        return begins, ends

    def encode(self, text: str) -> Encoded:
        """Return ids and code-point spans of `text`; raises `InvalidEncoding`."""
        check_unicode(text)
        ids: list[int] = []
        spans: list[Span] = []
        start = 0
        for index, part in enumerate(text.split(MARK)):
            if index:
                self._encode_mark(start, ids, spans)
                start += 1
            self._encode_part(part, start, index == 0, ids, spans)
            start += len(part)
        return Encoded(tuple(ids), tuple(spans))

    def _encode_mark(self, start: int, ids: list[int], spans: list[Span]) -> None:
        data = MARK.encode()
        ids.extend(self._byte_ids[value] for value in data)
        spans.extend(Span(start, start) for _ in data[1:])
        spans.append(Span(start, start + 1))

    def _encode_part(
        self, part: str, start: int, is_first: bool, ids: list[int], spans: list[Span]
    ) -> None:
        """Encode text that holds no mark; the first part gets the space that it stands after."""
        if not part:
            return
        opening = self._opening if is_first else ""
        found = self._model.encode(opening + part, return_type="offset_mapping")
        back = start - len(opening)
        for piece, (begin, end) in zip(found["ids"], found["offsets"], strict=True):
            ids.append(piece)
            opens = self._pieces[piece][0] == MARK and end - begin > 1
            spans.append(Span(max(begin + back + opens, start), end + back))

    def decode(self, ids: Sequence[int]) -> Decoded:
        """Return the text of `ids` and a span for each; bytes that spell nothing become U+FFFD.

        Control pieces such as `</s>` are empty. No space stands at either end, or next to
        another, or after an opening bracket.
        """
        text = ""
        spans: list[Span] = []
        index, space = 0, -1  # the place of a space after which nothing has come yet
        while index < len(ids):
            run = self._byte_run(ids, index)
            if run:
                characters, at = _spell(bytes(self._bytes[i] for i in ids[index : index + run]))
            else:
                characters = self._surface(ids[index], " " if space >= 0 else text[-1:])
                at = [(int(len(characters) > 1 and characters[0] == " "), len(characters))]
            if characters and space >= 0:
                spans[space] = Span(len(text), len(text) + 1)
                text, space = text + " ", -1
            if characters == " " and not run:
                characters, at, space = "", [(0, 0)], len(spans)
            spans.extend(Span(len(text) + a, len(text) + b) for a, b in at)
            text += characters
            index += run or 1
        return Decoded(text, tuple(spans))

    def spelling(self) -> "Spelling":
        """Start a text that grows token by token."""
        return Spelling(self._surface, self._bytes)

    def _surface(self, piece: int, before: str) -> str:
        """Return the text of a piece that stands after a character, if there is one."""
        if piece in self._silent:
            return ""
        surface = self._pieces[piece].replace(MARK, " ")
        return surface.removeprefix(" ") if before in _NO_SPACE_AFTER else surface

    def _byte_run(self, ids: Sequence[int], index: int) -> int:
        end = index
        while end < len(ids) and ids[end] in self._bytes:
            end += 1
        return end - index


class Spelling:
    """The text of ids that come one by one; together the parts are what `decode` says.

    Bytes of a character wait until it is whole, or until it is clear that it never will be.
    """

    def __init__(self, surface: Callable[[int, str], str], values: Mapping[int, int]) -> None:
        self._surface = surface
        self._values = values
        self._pending = b""
        self._before = ""
        self._is_spaced = False

    def add(self, piece: int) -> str:
        """Return what the text gains by one more id."""
        if piece in self._values:
            return self._told(self._add_byte(self._values[piece]))
        told = self.end()
        surface = self._surface(piece, " " if self._is_spaced else self._before)
        if surface == " ":
            self._is_spaced = True
            return told
        return told + self._told(surface)

    def end(self) -> str:
        """Return what is left when no more bytes come."""
        text, _ = _spell(self._pending)
        self._pending = b""
        return self._told(text)

    def _told(self, text: str) -> str:
        """Return a text after the space that waited for it."""
        if text:
            self._before = text[-1]
            text, self._is_spaced = " " * self._is_spaced + text, False
        return text

    def _add_byte(self, value: int) -> str:
        self._pending += bytes([value])
        text = ""
        while self._pending and not _may_grow(self._pending):
            length, character = _first_character(self._pending)
            text += character
            self._pending = self._pending[length:]
        return text


def _may_grow(data: bytes) -> bool:
    """Whether `data` is the beginning of one character, and not yet all of it."""
    try:
        return not codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False


def _knows(model: Any, byte_ids: frozenset[int], character: str) -> bool:
    return byte_ids.isdisjoint(model.encode(character))


def check_unicode(text: str) -> None:
    """Raise `InvalidEncoding` where `text` holds a lone surrogate, which no UTF-8 can carry."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidEncoding(
            f"the text holds a lone surrogate at character {error.start}", {"index": error.start}
        ) from error


def _spell(data: bytes) -> tuple[str, list[tuple[int, int]]]:
    """Return the characters of `data` and, byte by byte, which of them the byte completes."""
    text = ""
    at: list[tuple[int, int]] = []
    start = 0
    while start < len(data):
        length, character = _first_character(data[start:])
        at.extend((len(text), len(text)) for _ in range(length - 1))
        at.append((len(text), len(text) + 1))
        text += character
        start += length
    return text, at


def _first_character(data: bytes) -> tuple[int, str]:
    for length in range(1, min(4, len(data)) + 1):
        try:
            return length, data[:length].decode()
        except UnicodeDecodeError:
            continue
    return 1, "\ufffd"
