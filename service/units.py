"""A text made ready for a bundle: where it lies, its pieces, and its words.

`Units` holds what a bundle knows of its two languages; nothing here runs a model.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from service import words
from service.bundle import Bundle, Language
from service.errors import EmptyWord, RequestError, SentenceTooLong
from service.hypotheses import Path
from service.segmentation import Span
from service.tokenizer import Encoded, Tokenizer, check_unicode
from service.translation import Side, Token, Word

EOS = "</s>"

Role = Literal["source", "target"]


@dataclass(frozen=True, slots=True)
class Unit:
    """A text made ready: where it lies, its ids, and its words."""

    text: str
    start: int
    encoded: Encoded
    words: tuple[Span, ...]

    def spelled(self) -> tuple[str, ...]:
        """Its words as texts."""
        return tuple(span.of(self.text) for span in self.words)


@dataclass(frozen=True, slots=True)
class UnitPair:
    """A source and its target, both made ready."""

    source: Unit
    target: Unit


class Units:
    """The two languages of a bundle: their tokenizers, word rules and limits."""

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        self._languages: dict[Role, Language] = {
            "source": manifest.source,
            "target": manifest.target,
        }
        self.tokenizers: dict[Role, Tokenizer] = {
            role: Tokenizer(bundle.path(language.tokenizer))
            for role, language in self._languages.items()
        }
        limits = manifest.model.limits
        self.limits: dict[Role, int] = {
            "source": limits.source_tokens,
            "target": limits.target_tokens,
        }
        for language in self._languages.values():
            words.words("", language.words)  # an unknown rule stops the start

    def text(self, text: str, start: int, role: Role) -> Unit:
        """Make a text ready that begins at `start` of the whole."""
        encoded = self.tokenizers[role].encode(text)
        return Unit(text, start, encoded, words.words(text, self._languages[role].words))

    def given(self, text: str | tuple[str, ...], role: Role) -> Unit:
        """Make a given text or list of words ready; raises `EmptyWord` or `RequestError`."""
        if isinstance(text, str):
            check_unicode(text)
            if not text.strip():
                raise RequestError(f"the {role} text of a pair is empty", {"side": role})
            return self.text(text, 0, role)
        if not text:
            raise RequestError(f"the {role} list of a pair is empty", {"side": role})
        joiner = self._languages[role].joiner
        spans, start = [], 0
        for index, word in enumerate(text):
            check_unicode(word)
            if not word.strip():
                raise EmptyWord(f"{role} word {index} is empty", {"side": role, "index": index})
            spans.append(Span(start, start + len(word)))
            start += len(word) + len(joiner)
        joined = joiner.join(text)
        return Unit(joined, 0, self.tokenizers[role].encode(joined), tuple(spans))

    def written(self, path: Path, start: int) -> Unit:
        """Make a hypothesis ready; its ids stay as the model wrote them, without `</s>`."""
        ids = path.tokens[:-1] if path.finished else path.tokens
        decoded = self.tokenizers["target"].decode(ids)
        spans = words.words(decoded.text, self._languages["target"].words)
        return Unit(decoded.text, start, Encoded(ids, decoded.spans), spans)

    def taken_over(self, unit: Unit, role: Role) -> Unit:
        """Make another bundle's unit ready: its text and its words, in this bundle's pieces."""
        encoded = self.tokenizers[role].encode(unit.text)
        return Unit(unit.text, unit.start, encoded, unit.words)


def check_length(unit: Unit, limit: int, index: int, text: int, role: Role) -> None:
    """Raise `SentenceTooLong` where a unit has more than `limit` tokens."""
    count = len(unit.encoded.ids)
    if count > limit:
        raise SentenceTooLong(
            f"{role} sentence {index} has {count} tokens; at most {limit} are accepted",
            {"side": role, "index": index, "text": text, "count": count, "limit": limit},
        )


def source_side(unit: Unit) -> Side:
    """A source as an answer shows it."""
    end = Token("", _at(unit, len(unit.text)), EOS)
    text, spans = unit.text, unit.encoded.spans
    tokens = [Token(text[s.start : s.end], _moved(s, unit.start)) for s in spans]
    return _side(unit, (*tokens, end))


def target_side(unit: Unit, path: Path) -> Side:
    """A target as an answer shows it, with the score of each token."""
    scores: list[float] = path.scores.astype(np.float64).tolist()
    text, start = unit.text, unit.start
    tokens = [
        Token(text[span.start : span.end], _moved(span, start), None, score)
        for span, score in zip(unit.encoded.spans, scores, strict=False)
    ]
    if path.finished:
        tokens.append(Token("", _at(unit, len(unit.text)), EOS, scores[-1]))
    return _side(unit, tuple(tokens))


def _at(unit: Unit, offset: int) -> Span:
    return Span(unit.start + offset, unit.start + offset)


def _moved(span: Span, by: int) -> Span:
    return span.shift(by) if by else span


def _side(unit: Unit, tokens: tuple[Token, ...]) -> Side:
    text, start = unit.text, unit.start
    spelled = [Word(text[s.start : s.end], _moved(s, start)) for s in unit.words]
    return Side(text, Span(start, start + len(text)), tokens, tuple(spelled))
