"""The story of a translation: text in, `Translation` out; a pair in, `Alignment` out.

text -> sentences and gaps -> ids and spans -> engine -> tokens, scores and attention
     -> target text and spans -> word links -> sentences and gaps rejoined -> Translation

No HTTP here, and no model: `service.engine` runs it, `service.bundle` describes it.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np

from service import alignment, words
from service.admission import Job
from service.alignment import Link
from service.beam import Beam
from service.bundle import Bundle, Language, Manifest
from service.device import HOST, Device
from service.device_runner import open_runner
from service.engine import DEFAULT_TIMEOUT, Capacity, Engine
from service.errors import EmptyWord, InvalidBeam, RequestError, SentenceTooLong
from service.hypotheses import UNGUARDED, Chosen, Path, Source
from service.repetition import allowed
from service.search import Forced, Greedy, Search
from service.segmentation import Segmented, Span, join_gap, segment
from service.tokenizer import Encoded, Spelling, Tokenizer, check_unicode
from service.translation import (
    Alignment,
    Hypothesis,
    Matrix,
    Progress,
    SentenceDone,
    Side,
    Token,
    TokenChosen,
    TranslatedSentence,
    Translation,
    Word,
)

EOS = "</s>"


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may choose; `max_length` is in target tokens, None: by the source.

    `timeout` is in seconds, and holds for waiting and decoding together.
    """

    beam_size: int = 1
    n_best: int = 1
    attention: Literal["cross", "alignment", "none"] = "cross"
    unit: Literal["token", "word"] = "token"
    split_sentences: bool = True
    max_length: int | None = None
    length_penalty: float = 1.0
    timeout: float = DEFAULT_TIMEOUT


@dataclass(frozen=True, slots=True)
class Pair:
    """A source and its translation: texts, or lists of words; None is translated first."""

    source: str | tuple[str, ...]
    target: str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class _Unit:
    """A text made ready: where it lies, its ids, and its words."""

    text: str
    start: int
    encoded: Encoded
    words: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """A sentence of a request: which of which text it is."""

    text: int
    sentence: int
    unit: _Unit


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The texts of a request, and all their sentences in order."""

    segmented: Sequence[Segmented]
    places: Sequence[_Place]


class Translator:
    """One bundle: its tokenizers, its runner and its engine."""

    def __init__(self, bundle: Bundle, capacity: Capacity, device: Device = HOST) -> None:
        self.manifest: Manifest = bundle.manifest
        self._source = Tokenizer(bundle.path(self.manifest.source.tokenizer))
        self._target = Tokenizer(bundle.path(self.manifest.target.tokenizer))
        words.words("", self.manifest.source.words)
        words.words("", self.manifest.target.words)
        self._runner = open_runner(bundle.path, self.manifest.model, device)
        self._engine = Engine(self._runner, capacity)
        self._delays = {a.kind: a.delay for a in self.manifest.model.attention}

    def close(self, grace: float) -> None:
        """Finish within `grace` seconds what is on board, and stop the threads."""
        self._engine.close(grace)

    # ------------------------------------------------------------------ translate

    async def translate(self, texts: Sequence[str], options: Options) -> list[Translation]:
        """Translate texts; all their sentences share the batch.

        Raises `RequestError` before any work starts, `Unavailable` and `StepFailed`.
        """
        prepared = self._prepare(texts, options)
        answers = await self._engine.run(self._jobs(prepared, options), options.timeout)
        return self._finish(prepared, answers, options)

    async def stream(
        self, texts: Sequence[str], options: Options
    ) -> AsyncGenerator[Progress, None]:
        """Translate texts and tell each token and each sentence as it comes, then the whole.

        Tokens are told of greedy search only: a beam settles nothing before its end. The
        whole is what `translate` returns; raises as that does, at the first step or later.
        """
        prepared = self._prepare(texts, options)
        jobs = self._jobs(prepared, options, watched=True)
        answers: dict[int, list[Path]] = {}
        spellings = [self._target.spelling() for _ in jobs]
        if jobs:
            async with aclosing(self._engine.stream(jobs, options.timeout)) as events:
                async for index, event in events:
                    place = prepared.places[index]
                    if isinstance(event, Chosen):
                        yield self._told(place, event, spellings[index], options)
                    else:
                        answers[index] = event
                        sentence = self._sentence(place.unit, event, 0, options)
                        yield SentenceDone(place.text, place.sentence, sentence)
        yield self._finish(prepared, [answers[index] for index in range(len(jobs))], options)

    def _prepare(self, texts: Sequence[str], options: Options) -> _Prepared:
        self._check(options)
        segmented = [self._segment(text, options) for text in texts]
        places = [
            _Place(text, number, self._unit(s.text, s.span.start, self.manifest.source))
            for text, one in enumerate(segmented)
            for number, s in enumerate(one.sentences)
        ]
        for index, place in enumerate(places):
            self._check_length(place.unit, index, place.text)
        return _Prepared(segmented, places)

    def _jobs(self, prepared: _Prepared, options: Options, watched: bool = False) -> list[Job]:
        return [self._job(place.unit, options, watched) for place in prepared.places]

    def _finish(
        self, prepared: _Prepared, answers: Sequence[list[Path]], options: Options
    ) -> list[Translation]:
        left = iter(zip(prepared.places, answers, strict=True))
        return [
            self._assemble(one, list(islice(left, len(one.sentences))), options)
            for one in prepared.segmented
        ]

    def _told(
        self, place: _Place, chosen: Chosen, spelling: Spelling, options: Options
    ) -> TokenChosen:
        ends = chosen.token == self._target.eos
        delta = spelling.end() if ends else spelling.add(chosen.token)
        rows = {} if options.attention == "none" else chosen.attention
        special = EOS if ends else None
        return TokenChosen(
            place.text, place.sentence, chosen.step, delta, special, chosen.score, rows
        )

    def _segment(self, text: str, options: Options) -> Segmented:
        check_unicode(text)
        return segment(text, self.manifest.source.code, options.split_sentences)

    def _job(self, unit: _Unit, options: Options, watched: bool = False) -> Job:
        source = (*unit.encoded.ids, self._source.eos)
        limit = self._limit(len(source), options.max_length)
        return Job(source, self._search(source, limit, options), watched)

    def _search(self, source: Sequence[int], limit: int, options: Options) -> Search:
        about = self._about(len(source), allowed(source))
        if options.beam_size == 1:
            return Greedy(about, limit)
        size, best = options.beam_size, options.n_best
        return Beam(about, limit, size, best, options.length_penalty)

    def _about(self, length: int, copies: int = UNGUARDED) -> Source:
        special = self.manifest.model.special
        return Source(length, special.eos, special.bos, self._delays, copies)

    def _limit(self, length: int, asked: int | None) -> int:
        most = self.manifest.model.limits.target_tokens
        return min(most, 3 * length + 20 if asked is None else asked)

    def _assemble(
        self, one: Segmented, answered: Sequence[tuple[_Place, list[Path]]], options: Options
    ) -> Translation:
        """Rejoin sentences and gaps; every target span counts from the start of the whole."""
        gaps = self._target_gaps(one)
        text, sentences = gaps[0], []
        tokens, total = 0, 0.0
        for (place, paths), gap in zip(answered, gaps[1:], strict=True):
            sentence = self._sentence(place.unit, paths, len(text), options)
            sentences.append(sentence)
            text += sentence.best.target.text + gap
            tokens += len(paths[0].tokens)
            total += paths[0].score * len(paths[0].tokens)
        return Translation(text, total / max(1, tokens), tuple(sentences))

    def _sentence(
        self, unit: _Unit, paths: Sequence[Path], start: int, options: Options
    ) -> TranslatedSentence:
        best, *others = (self._hypothesis(unit, path, start, options) for path in paths)
        return TranslatedSentence(self._source_side(unit), best, tuple(others))

    def _target_gaps(self, one: Segmented) -> list[str]:
        code = self.manifest.target.code
        inner = [join_gap(gap, code) for gap in one.gaps[1:-1]]
        return [one.gaps[0], *inner, *one.gaps[1:][-1:]]

    def _hypothesis(self, unit: _Unit, path: Path, start: int, options: Options) -> Hypothesis:
        target = self._target_unit(path, start)
        attention, links = self._read(unit, target, path, options)
        side = self._target_side(target, path)
        reason = "stop" if path.finished else "length"
        return Hypothesis(side, attention, tuple(links), path.score, reason)

    def _target_unit(self, path: Path, start: int) -> _Unit:
        ids = path.tokens[:-1] if path.finished else path.tokens
        decoded = self._target.decode(ids)
        spans = words.words(decoded.text, self.manifest.target.words)
        return _Unit(decoded.text, start, Encoded(ids, decoded.spans), spans)

    # ---------------------------------------------------------------------- align

    async def align(self, pairs: Sequence[Pair], options: Options) -> list[Alignment]:
        """Force-decode pairs in one batch and link their words; a pair is never split.

        A pair without a target is translated first. Raises as `translate` does.
        """
        self._check(options)
        sources = [self._given(pair.source, self.manifest.source, "source") for pair in pairs]
        for index, unit in enumerate(sources):
            self._check_length(unit, index, index)
        targets = await self._targets(pairs, sources, options)
        jobs = []
        for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
            self._check_length(target, index, index, "target")
            ids = (*source.encoded.ids, self._source.eos)
            jobs.append(Job(ids, Forced(self._about(len(ids)), target.encoded.ids)))
        answers = await self._engine.run(jobs, options.timeout)
        return [
            self._aligned(source, target, paths[0], options)
            for source, target, paths in zip(sources, targets, answers, strict=True)
        ]

    async def _targets(
        self, pairs: Sequence[Pair], sources: Sequence[_Unit], options: Options
    ) -> list[_Unit]:
        """Return the given targets made ready, and translations where none is given."""
        given = [
            None if p.target is None else self._given(p.target, self.manifest.target, "target")
            for p in pairs
        ]
        open_sources = [s for s, target in zip(sources, given, strict=True) if target is None]
        jobs = [self._job(unit, options) for unit in open_sources]
        made = iter(await self._engine.run(jobs, options.timeout) if jobs else [])
        return [self._target_unit(next(made)[0], 0) if t is None else t for t in given]

    def _given(self, text: str | tuple[str, ...], language: Language, side: str) -> _Unit:
        """Make a given text or list of words ready; raises `EmptyWord` or `RequestError`."""
        if isinstance(text, str):
            check_unicode(text)
            if not text.strip():
                raise RequestError(f"the {side} text of a pair is empty", {"side": side})
            return self._unit(text, 0, language)
        if not text:
            raise RequestError(f"the {side} list of a pair is empty", {"side": side})
        spans, start = [], 0
        for index, word in enumerate(text):
            check_unicode(word)
            if not word.strip():
                raise EmptyWord(f"{side} word {index} is empty", {"side": side, "index": index})
            spans.append(Span(start, start + len(word)))
            start += len(word) + len(language.joiner)
        joined = language.joiner.join(text)
        return _Unit(joined, 0, self._tokenizer(language).encode(joined), tuple(spans))

    def _aligned(self, source: _Unit, target: _Unit, path: Path, options: Options) -> Alignment:
        attention, links = self._read(source, target, path, options)
        return Alignment(
            self._source_side(source),
            self._target_side(target, path),
            attention,
            tuple(links),
            alignment.pharaoh(links),
            path.score,
        )

    # --------------------------------------------------------------------- shared

    def _check(self, options: Options) -> None:
        if options.beam_size < 1 or not 1 <= options.n_best <= options.beam_size:
            raise InvalidBeam(
                "n_best must lie between 1 and beam_size",
                {"beam_size": options.beam_size, "n_best": options.n_best},
            )
        kinds = {"none", *self._delays}
        if options.attention not in kinds:
            raise RequestError(
                f"this model has no {options.attention} attention", {"attention": sorted(kinds)}
            )

    def _check_length(self, unit: _Unit, index: int, text: int, side: str = "source") -> None:
        limits = self.manifest.model.limits
        limit = limits.source_tokens if side == "source" else limits.target_tokens
        count = len(unit.encoded.ids)
        if count > limit:
            raise SentenceTooLong(
                f"{side} sentence {index} has {count} tokens; at most {limit} are accepted",
                {"side": side, "index": index, "text": text, "count": count, "limit": limit},
            )

    def _tokenizer(self, language: Language) -> Tokenizer:
        return self._source if language is self.manifest.source else self._target

    def _unit(self, text: str, start: int, language: Language) -> _Unit:
        encoded = self._tokenizer(language).encode(text)
        return _Unit(text, start, encoded, words.words(text, language.words))

    def _read(
        self, source: _Unit, target: _Unit, path: Path, options: Options
    ) -> tuple[Matrix | None, list[Link]]:
        """Return the attention that was asked for, and the word links."""
        rule = self.manifest.link_rule
        shares = alignment.membership(source.encoded.spans, source.words)
        rows = alignment.membership(target.encoded.spans, target.words)
        folded = alignment.fold(path.attention[rule.attention], shares, rows)
        links = alignment.links(folded, rule.rule, rule.threshold)
        if options.attention == "none":
            return None, links
        matrix = path.attention[options.attention]
        if options.unit == "token":
            return matrix, links
        if options.attention == rule.attention:
            return folded, links
        return alignment.fold(matrix, shares, rows), links

    def _source_side(self, unit: _Unit) -> Side:
        end = Token("", _at(unit, len(unit.text)), EOS)
        text, spans = unit.text, unit.encoded.spans
        tokens = [Token(text[s.start : s.end], _moved(s, unit.start)) for s in spans]
        return _side(unit, (*tokens, end))

    def _target_side(self, unit: _Unit, path: Path) -> Side:
        scores: list[float] = path.scores.astype(np.float64).tolist()
        text, start = unit.text, unit.start
        tokens = [
            Token(text[span.start : span.end], _moved(span, start), None, score)
            for span, score in zip(unit.encoded.spans, scores, strict=False)
        ]
        if path.finished:
            tokens.append(Token("", _at(unit, len(unit.text)), EOS, scores[-1]))
        return _side(unit, tuple(tokens))


def _at(unit: _Unit, offset: int) -> Span:
    return Span(unit.start + offset, unit.start + offset)


def _moved(span: Span, by: int) -> Span:
    return span.shift(by) if by else span


def _side(unit: _Unit, tokens: tuple[Token, ...]) -> Side:
    text, start = unit.text, unit.start
    spelled = [Word(text[s.start : s.end], _moved(s, start)) for s in unit.words]
    return Side(text, Span(start, start + len(text)), tokens, tuple(spelled))
