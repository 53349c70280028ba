"""A text made ready for a bundle: where it lies, its pieces, and its words.

`Units` holds what a bundle knows of its two languages; nothing here runs a model.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Literal

import numpy as np

from service import dates, marks, names, scripts, spelling, words
from service.alignment import Link
from service.bundle import Bundle
from service.errors import DamagedBundle, EmptyWord, RequestError, SentenceTooLong
from service.gaps import parted
from service.hypotheses import Path, Source
from service.keeping import STAND_INS, Kept, StandIns, Swapped, restore, swap, swap_kept, swap_pair
from service.legible import day_first, in_words, loud, read, roomy, unknown
from service.manifest import Language
from service.placeholders import is_in_turn
from service.segmentation import Span
from service.tagging import Linked, Untagged, retag, untag
from service.tokenizer import Encoded, Tokenizer, check_unicode
from service.translation import Side, Token, Word
from service.untranslatable import Finder, find, find_all

EOS = "</s>"

FINAL = (".", "!", "?", "。", "！", "？")
"""Marks that end sentences, the same three in scripts with spaces and without."""

_CLOSERS = "\"'”’»)]"

Role = Literal["source", "target"]
Find = Callable[[str, str, Iterable[Finder]], list[Span]]


@dataclass(frozen=True, slots=True)
class Unit:
    """A text made ready: where it lies, its ids, its words, and what stand-ins are in its ids.

    It was `shouted` if it was all in capitals, which the ids are not.
    """

    text: str
    start: int
    encoded: Encoded
    words: tuple[Span, ...]
    kept: tuple[Kept, ...] = ()
    shouted: bool = False

    @property
    def carried(self) -> dict[str, str]:
        """What each stand-in stands for."""
        return {one.stand_in: one.written for one in self.kept}

    @property
    def is_kept(self) -> bool:
        """Whether all of it goes over as it is."""
        return len(self.kept) == 1 and len(self.kept[0].span) == len(self.text.strip())

    @property
    def final(self) -> str:
        """The mark that ends the sentence, if it has one and no other of these."""
        loose = self._loose.rstrip().rstrip(_CLOSERS)
        return loose[-1] if sum(map(loose.count, FINAL)) == 1 and loose.endswith(FINAL) else ""

    @property
    def is_label(self) -> bool:
        """Whether it has no final mark, though its first letter is not a small one."""
        loose = self._loose
        letter = next(filter(str.isalpha, loose), "")
        return not letter.islower() and not any(mark in loose for mark in FINAL)

    @property
    def _loose(self) -> str:
        """The text with a NUL for each span that is kept."""
        loose, at = "", 0
        for one in self.kept:
            loose += self.text[at : one.span.start] + "\0"
            at = one.span.end
        return loose + self.text[at:]

    def spelled(self) -> tuple[str, ...]:
        """Its words as texts."""
        return tuple(span.of(self.text) for span in self.words)


@dataclass(frozen=True, slots=True)
class UnitPair:
    """A source and its target, both made ready."""

    source: Unit
    target: Unit


@dataclass(frozen=True, slots=True)
class Bare:
    """A source without its marks, and these."""

    tags: Untagged
    unit: Unit


class Units:
    """The two languages of a bundle: their tokenizers, word rules and limits."""

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        self._languages: dict[Role, Language] = {
            "source": manifest.source,
            "target": manifest.target,
        }
        self.tokenizers: dict[Role, Tokenizer] = {
            role: Tokenizer(bundle.read(language.tokenizer), language.joiner, language.tokenizer)
            for role, language in self._languages.items()
        }
        special = manifest.model.special
        for tokenizer in self.tokenizers.values():
            if (tokenizer.pad, tokenizer.bos, tokenizer.eos) != astuple(special):
                raise DamagedBundle(f"{manifest.name}: a tokenizer has other special pieces")
        self._stand_ins = StandIns(manifest.stand_ins, manifest.number_stand_ins)
        if not set(manifest.stand_ins) <= set(STAND_INS):
            raise DamagedBundle(f"{manifest.name}: stand_ins must be among {STAND_INS!r}")
        if len(set(manifest.stand_ins)) < len(manifest.stand_ins):
            raise DamagedBundle(f"{manifest.name}: stand_ins has one of them twice")
        if not set(manifest.number_stand_ins) <= set(manifest.stand_ins):
            raise DamagedBundle(f"{manifest.name}: number_stand_ins must be among stand_ins")
        file = manifest.known_words
        codes = manifest.source.code, manifest.target.code
        self._names = names.reader(bundle.read(file), file, *codes) if file else names.none
        self._spell = spelling.speller(*codes)
        self._day_first = dates.want_order(*codes)
        self._also = spelling.finders(*codes, bool(manifest.number_stand_ins))
        self.stand_ins = frozenset(map(self._stand_in, manifest.stand_ins))
        """The target ids of all stand-ins that the model knows."""
        spelled = self.tokenizers["target"].spelled
        self._closing = spelled(FINAL)
        self._others = {mark: self._closing - spelled(_like(mark)) for mark in FINAL}
        self._stating = self._closing - spelled(_like("?"))
        limits = manifest.model.limits
        self.limits: dict[Role, int] = {
            "source": limits.source_tokens,
            "target": limits.target_tokens,
        }
        for language in self._languages.values():
            words.words("", language.words)  # an unknown rule stops the start

    def check(self, texts: str | tuple[str, ...], index: int, number: int, role: Role) -> None:
        """Raise `SentenceTooLong` where so many characters are too many tokens in any case.

        To count them costs a second for 100 000 characters. What is kept counts too, though it
        would be one token each.
        """
        characters = len(texts) if isinstance(texts, str) else sum(map(len, texts))
        least = characters // self.tokenizers[role].longest
        if least > self.limits[role]:
            raise _too_long(least, self.limits[role], index, number, role, "at least ")

    def text(self, text: str, start: int, role: Role) -> Unit:
        """Make a text ready that begins at `start` of the whole; what it keeps is swapped."""
        kept = self._kept(text, role, find_all)
        return self._unit(swap(text, kept, self._stand_ins, self._spell), start, role)

    def untagged(self, unit: Unit) -> "Bare | None":
        """Return a source without its marks, ready; None if it has none, or nothing else."""
        if not self._stand_ins.every or not marks.HINT.search(unit.text) or unit.is_kept:
            return None
        language = self._languages["source"]
        kept = find(unit.text, language.code)
        found = marks.find(unit.text, kept, self._languages["target"].code)
        untagged = untag(unit.text, found, language.joiner)
        return None if untagged is None else Bare(untagged, self.text(untagged.text, 0, "source"))

    def retagged(self, source: Unit, bare: "Bare", target: Unit, links: Sequence[Link]) -> UnitPair:
        """Return a source and what became of it without its marks, with these in both, ready."""
        plain = [(link.source, link.target) for link in links]
        linked = Linked(bare.unit.words, target.text, target.words, plain)
        pair = self.pair(source.text, retag(bare.tags, linked))
        return replace(pair, source=replace(pair.source, start=source.start))

    def given(self, text: str | tuple[str, ...], role: Role) -> Unit:
        """Make a given text or list of words ready; raises `EmptyWord` or `RequestError`."""
        given = self._given(text, role)
        apart = given.words is not None
        spans = given.within(self._kept(given.text, role, find if apart else find_all, apart))
        swapped = swap(given.text, spans, self._stand_ins, self._spell)
        return self._unit(swapped, 0, role, given.words)

    def pair(self, source: str | tuple[str, ...], target: str | tuple[str, ...]) -> UnitPair:
        """Make a given pair ready, of which that is kept which both sides have.

        Raises as `given` does.
        """
        near, far = self._given(source, "source"), self._given(target, "target")
        spans = near.within(self._kept(near.text, "source", find, near.words is not None))
        one, other = swap_pair(near.text, far.text, spans, self._stand_ins, self._spell)
        return UnitPair(
            self._unit(one, 0, "source", near.words), self._unit(other, 0, "target", far.words)
        )

    def written(self, path: Path, start: int, source: Unit, script: str | None) -> Unit:
        """Make a hypothesis ready; its ids stay as the model wrote them, without `</s>`.

        What its source carries over is swapped back; `script` is as of `scripts.written`.
        """
        ids = path.tokens[:-1] if path.finished else path.tokens
        decoded = self.tokenizers["target"].decode(ids)
        text = scripts.written(loud(decoded.text) if source.shouted else decoded.text, script)
        swapped = restore(text, source.carried)
        return self._ready(swapped, start, "target", Encoded(ids, decoded.spans))

    def turned(self, pair: UnitPair) -> UnitPair:
        """Take over the pair of a bundle of the other direction, texts and words as they are."""
        return UnitPair(
            self._taken_over(pair.target, "source"), self._taken_over(pair.source, "target")
        )

    def owing(self, about: Source, unit: Unit) -> Source:
        """Return what a search knows of a source, with the stand-ins that it carries over."""
        final = unit.final
        if final:
            about = replace(about, banned=self._others[final])
        elif unit.is_label:
            asking = self._closing - self._stating
            about = replace(about, ending=self._stating, asking=asking)
        if not unit.kept:
            return about
        owed = tuple(self._stand_in(one.stand_in) for one in unit.kept)
        turns = [self._stand_in(s) for s, content in unit.carried.items() if is_in_turn(content)]
        closing = self._closing if final else frozenset[int]()
        about = replace(about, owed=owed, in_turn=frozenset(turns), closing=closing)
        spaces = self._languages["target"].joiner != ""
        return parted(about, unit.text, unit.kept, self.tokenizers["target"], spaces)

    def _stand_in(self, character: str) -> int:
        return self.tokenizers["target"].byte_id(ord(character))

    def _given(self, text: str | tuple[str, ...], role: Role) -> "_Given":
        if isinstance(text, str):
            check_unicode(text)
            if not text.strip():
                raise RequestError(f"the {role} text of a pair is empty", {"side": role})
            return _Given(text, None)
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
        return _Given(joiner.join(text), tuple(spans))

    def _kept(self, text: str, role: Role, find: Find, apart: bool = False) -> list[Span]:
        """Return what a translation is to keep: what is no language, and what cannot be read.

        Names of several words stand `apart` where these were given.
        """
        if not self._stand_ins.every:
            return []
        found = find(text, self._languages[role].code, self._also)
        taken = bytearray(len(text))
        for span in found:
            taken[span.start : span.end] = b"\1" * len(span)
        more = unknown(text, self.tokenizers[role].knows)
        more += self._names(text, apart) if role == "source" else []
        for span in more:
            if not any(taken[span.start : span.end]):
                found.append(span)
                taken[span.start : span.end] = b"\1" * len(span)
        return sorted(found, key=lambda span: span.start)

    def _taken_over(self, unit: Unit, role: Role) -> Unit:
        swapped = swap_kept(unit.text, unit.kept if self._stand_ins.every else ())
        return self._unit(swapped, unit.start, role, unit.words)

    def _unit(
        self, swapped: Swapped, start: int, role: Role, given: tuple[Span, ...] | None = None
    ) -> Unit:
        code, tokenizer = self._languages[role].code, self.tokenizers[role]
        legible = read(swapped.text, tokenizer.knows, code)
        if role == "source":
            legible = in_words(legible, code)
        if role == "source" and self._languages[role].joiner:
            legible = roomy(day_first(legible) if self._day_first else legible)
        encoded = tokenizer.encode(scripts.read(legible.text, code))
        encoded = Encoded(encoded.ids, legible.in_given(encoded.spans))
        return self._ready(swapped, start, role, encoded, given, legible.shouted)

    def _ready(
        self,
        swapped: Swapped,
        start: int,
        role: Role,
        encoded: Encoded,
        given: tuple[Span, ...] | None = None,
        shouted: bool = False,
    ) -> Unit:
        """Return a text that was encoded with stand-ins, as what it is without them."""
        if swapped.kept:
            encoded = Encoded(encoded.ids, swapped.in_whole(encoded.spans))
        if given is None:
            whole = [one.span for one in swapped.kept]
            language = self._languages[role]
            given = words.words(scripts.read(swapped.whole, language.code), language.words, whole)
        return Unit(swapped.whole, start, encoded, given, swapped.kept, shouted)


@dataclass(frozen=True, slots=True)
class _Given:
    """A given text, and its words where they were given."""

    text: str
    words: tuple[Span, ...] | None

    def within(self, spans: Sequence[Span]) -> list[Span]:
        """Return the spans that lie within one word, if the words were given."""
        if self.words is None:
            return list(spans)
        starts = [word.start for word in self.words]
        return [
            span
            for span in spans
            if span.end <= self.words[max(0, bisect_right(starts, span.start) - 1)].end
        ]


def _like(mark: str) -> tuple[str, str]:
    """Return a final mark as it is written in scripts of either kind."""
    at = FINAL.index(mark) % 3
    return FINAL[at], FINAL[at + 3]


def check_length(unit: Unit, limit: int, index: int, text: int, role: Role) -> None:
    """Raise `SentenceTooLong` where a unit has more than `limit` tokens."""
    count = len(unit.encoded.ids)
    if count > limit:
        raise _too_long(count, limit, index, text, role)


def _too_long(
    count: int, limit: int, index: int, text: int, role: Role, about: str = ""
) -> SentenceTooLong:
    return SentenceTooLong(
        f"{role} sentence {index} has {about}{count} tokens; at most {limit} are accepted",
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
