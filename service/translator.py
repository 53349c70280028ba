"""The story of a translation: text in, `Translation` out; a pair in, `Alignment` out.

text -> sentences and gaps -> ids and spans -> engine -> tokens, scores and attention
     -> target text and spans -> word links -> sentences and gaps rejoined -> Translation

No HTTP here, and no model: `service.engine` runs it, `service.bundle` describes it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from service import alignment
from service.admission import Job
from service.beam import Beam
from service.bundle import Bundle
from service.demand import NOTHING, UNMETERED, Estimator, Meter
from service.device import HOST, Device
from service.device_runner import open_runner
from service.engine import Capacity, Engine
from service.errors import InterlineaError, InvalidBeam
from service.hypotheses import UNGUARDED, Chosen, Path, Source
from service.manifest import Manifest
from service.options import AttentionKind, Options, Pair
from service.reading import Reader, hypothesis
from service.repetition import allowed
from service.search import Forced, Greedy, Search
from service.segmentation import Segmented, Sentence, join_gap, segment
from service.tally import Load
from service.telling import Found, Place, Teller
from service.tokenizer import check_unicode
from service.translation import (
    Alignment,
    Progress,
    SentenceDone,
    TranslatedSentence,
    Translation,
)
from service.trial import try_out
from service.turns import turns
from service.units import Unit, UnitPair, Units, check_length, source_side, target_side


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The texts of a request, and all their sentences in order."""

    segmented: Sequence[Segmented]
    places: Sequence[Place]


class Translator:
    """One bundle: its tokenizers, its runner and its engine."""

    def __init__(self, bundle: Bundle, capacity: Capacity, device: Device = HOST) -> None:
        self.manifest: Manifest = bundle.manifest
        self.digest = bundle.digest
        self._units = Units(bundle)
        self._source = self._units.tokenizers["source"]
        self._target = self._units.tokenizers["target"]
        self._runner = open_runner(bundle.read, self.manifest.model, device)
        self._delays = {a.kind: a.delay for a in self.manifest.model.attention}
        self._reader = Reader(self.manifest)
        self._teller = Teller(self._reader, self._delays, self._target.eos)
        self._estimator = Estimator(self.manifest.model, self._runner.width)
        self._engine = Engine(self._runner, capacity)  # last, since it starts threads

    def close(self, grace: float, why: InterlineaError | None = None) -> None:
        """Finish within `grace` seconds what is on board, fail the rest, and stop the threads.

        `why` is what the rest fails with, `ShuttingDown` if it is not given.
        """
        self._engine.close(grace, why)

    def try_graphs(self) -> None:
        """Run the graphs on their own; raises as `trial.try_out` does."""
        try_out(self._runner, self._source.size, self._target.size)

    def check(self, options: Options) -> None:
        """Raise what a request that comes now would be refused with, whatever it asks for."""
        self._engine.check(options.deadline)

    def trouble(self) -> str | None:
        """What keeps it from translating, in words, as far as its threads have noticed."""
        return self._engine.trouble()

    def load(self) -> Load:
        """Return what its engine has in hand and has done."""
        return self._engine.load()

    # ------------------------------------------------------------------ translate

    async def translate(
        self, texts: Sequence[str], options: Options, meter: Meter = UNMETERED
    ) -> list[Translation]:
        """Translate texts; all their sentences share the batch.

        Raises `RequestError` before any work starts, `Unavailable` and `StepFailed`.
        """
        options = self._settled(options, "cross")
        prepared = await self._prepare(texts, options, meter)
        jobs = await self._jobs(prepared, options)
        answers = await self._run(jobs, options, meter)
        found = await self._found(prepared.places, answers, options, meter)
        return await self._finish(prepared, found, options)

    async def stream(
        self, texts: Sequence[str], options: Options, meter: Meter = UNMETERED
    ) -> AsyncGenerator[Progress, None]:
        """Translate texts and tell each token and each sentence as it comes, then the whole.

        Tokens are told of greedy search only: a beam settles nothing before its end. The
        whole is what `translate` returns; raises as that does, at the first step or later.
        """
        options = self._settled(options, "cross")
        prepared = await self._prepare(texts, options, meter)
        jobs = await self._jobs(prepared, options, watched=True)
        answers: dict[int, Found] = {}
        spellings = [self._target.spelling() for _ in jobs]
        if jobs:
            async with self._events(jobs, options, meter) as events:
                async for index, event in events:
                    place = prepared.places[index]
                    if isinstance(event, Chosen):
                        if place.bare is None:
                            yield self._teller.chosen(place, event, spellings[index], options)
                        continue
                    (found,) = await self._found([place], [event], options, meter)
                    if place.bare is not None and options.beam_size == 1:
                        for told in self._teller.late(place, *found[0], options):
                            yield told
                    answers[index] = found
                    sentence = self._sentence(found, 0, options)
                    yield SentenceDone(place.text, place.sentence, sentence)
        yield await self._finish(prepared, [answers[i] for i in range(len(jobs))], options)

    async def _prepare(self, texts: Sequence[str], options: Options, meter: Meter) -> _Prepared:
        self.check(options)
        meter.check(NOTHING)
        segmented = [one async for one in turns(self._segment(text, options) for text in texts)]
        sentences = sum(len(one.sentences) for one in segmented)
        meter.check(self._estimator.least(sentences, options.beam_size))
        found = [(n, k, s) for n, one in enumerate(segmented) for k, s in enumerate(one.sentences)]
        made = (self._checked(index, *one) for index, one in enumerate(found))
        places = [place async for place in turns(made)]
        again = (place.unit for place in places if place.bare is not None)
        units = (place.unit for place in places)
        meter.begin(self._estimator.translation(units, options, again))
        return _Prepared(segmented, places)

    def _checked(self, index: int, text: int, number: int, sentence: Sentence) -> Place:
        """Make a sentence ready, which is the request's `index`th; raises `SentenceTooLong`."""
        self._units.check(sentence.text, index, text, "source")
        unit = self._units.text(sentence.text, sentence.span.start, "source")
        check_length(unit, self._units.limits["source"], index, text, "source")
        return self._place(text, number, unit)

    def _place(self, text: int, number: int, unit: Unit, is_text: bool = True) -> Place:
        """Return a sentence and what it is without tags; in a given list of words all are words."""
        return Place(text, number, unit, self._units.untagged(unit) if is_text else None)

    async def _jobs(
        self, prepared: _Prepared, options: Options, watched: bool = False
    ) -> list[Job]:
        made = (self._job(place.read, options, watched) for place in prepared.places)
        return [job async for job in turns(made)]

    async def _found(
        self,
        places: Sequence[Place],
        answers: Sequence[list[Path]],
        options: Options,
        meter: Meter,
    ) -> list[Found]:
        """Make hypotheses ready; those of sentences with tags get them back, and are read anew."""
        found: list[Found] = []
        again: list[tuple[Place, Found, int]] = []
        async for place, paths in turns(zip(places, answers, strict=True)):
            ready = [self._ready(place, path, options) for path in paths]
            if place.bare is not None:
                again += [(place, ready, rank) for rank in range(len(ready))]
            found.append(ready)
        if again:
            jobs = [self._again(place, ready[rank][0]) for place, ready, rank in again]
            anew = await self._run(jobs, options, meter, begun=True)
            for (place, ready, rank), job, (path,) in zip(again, jobs, anew, strict=True):
                pair, first = ready[rank]
                if isinstance(job.search, Forced):
                    ready[rank] = pair, path if first.finished else path.cut()
                else:
                    ready[rank] = self._ready(replace(place, bare=None), path, options)
        return found

    def _again(self, place: Place, pair: UnitPair) -> Job:
        """Read a pair with its tags; where that is too long, translate it with stand-ins."""
        limits = self._units.limits
        sides = (pair.source, limits["source"]), (pair.target, limits["target"])
        if all(len(unit.encoded.ids) <= limit for unit, limit in sides):
            return self._forced(pair)
        return self._job(place.unit, Options())

    def _ready(self, place: Place, path: Path, options: Options) -> tuple[UnitPair, Path]:
        target = self._units.written(path, 0, place.read, options.script)
        if place.bare is None:
            return UnitPair(place.unit, target), path
        read = self._reader.read(UnitPair(place.read, target), path, Options(attention="none"))
        return self._units.retagged(place.unit, place.bare, target, read.links), path

    def _forced(self, pair: UnitPair) -> Job:
        ids = (*pair.source.encoded.ids, self._source.eos)
        return Job(ids, Forced(self._about(len(ids)), pair.target.encoded.ids))

    async def _finish(
        self, prepared: _Prepared, found: Sequence[Found], options: Options
    ) -> list[Translation]:
        async with aclosing(turns(found)) as answered:
            return [await self._assemble(one, answered, options) for one in prepared.segmented]

    def _segment(self, text: str, options: Options) -> Segmented:
        check_unicode(text)
        return segment(text, self.manifest.source.code, options.split_sentences)

    def _job(self, unit: Unit, options: Options, watched: bool = False) -> Job:
        source = (*unit.encoded.ids, self._source.eos)
        limit = self._estimator.limit(len(source), options.max_length)
        about = self._units.owing(self._about(len(source), allowed(source)), unit)
        return Job(source, self._search(about, limit, options), watched)

    @staticmethod
    def _search(about: Source, limit: int, options: Options) -> Search:
        if options.beam_size == 1:
            return Greedy(about, limit)
        size, best = options.beam_size, options.n_best
        return Beam(about, limit, size, best, options.length_penalty)

    def _about(self, length: int, copies: int = UNGUARDED) -> Source:
        special = self.manifest.model.special
        known = self._units.stand_ins
        return Source(length, special.eos, special.bos, self._delays, copies, (), known)

    async def _assemble(
        self, one: Segmented, answered: AsyncIterator[Found], options: Options
    ) -> Translation:
        """Rejoin the next sentences and their gaps; target spans count from the whole's start."""
        gaps = self._target_gaps(one)
        text, sentences = gaps[0], []
        tokens, total = 0, 0.0
        for gap in gaps[1:]:
            found = await anext(answered)
            sentence = self._sentence(found, len(text), options)
            sentences.append(sentence)
            text += sentence.best.target.text + gap
            count = len(found[0][1].tokens)
            tokens += count
            total += sentence.best.score * count
        return Translation(text, total / max(1, tokens), tuple(sentences))

    def _sentence(self, found: Found, start: int, options: Options) -> TranslatedSentence:
        targets = [replace(pair.target, start=start) for pair, _ in found]
        paths = [path for _, path in found]
        read = [self._reader.read(pair, path, options) for pair, path in found]
        best, *others = map(hypothesis, targets, paths, read)
        source = source_side(found[0][0].source)
        return TranslatedSentence(source, best, tuple(others), read[0].diagnostics)

    def _target_gaps(self, one: Segmented) -> list[str]:
        code = self.manifest.target.code
        around = zip(one.gaps[1:-1], one.sentences, one.sentences[1:], strict=False)
        inner = [join_gap(gap, code, left.text, right.text) for gap, left, right in around]
        return [one.gaps[0], *inner, *one.gaps[1:][-1:]]

    # ---------------------------------------------------------------------- align

    async def align(
        self, pairs: Sequence[Pair], options: Options, meter: Meter = UNMETERED
    ) -> list[Alignment]:
        """Force-decode pairs in one batch and link their words; a pair is never split.

        A pair without a target is translated first. Raises as `translate` does.
        """
        begun = any(pair.target is None for pair in pairs)
        ready = await self.prepare_pairs(pairs, options, meter)
        return await self.force(ready, options, meter, begun)

    async def prepare_pairs(
        self, pairs: Sequence[Pair], options: Options, meter: Meter = UNMETERED, passes: int = 1
    ) -> list[UnitPair]:
        """Make both sides of every pair ready, and translate what has no target.

        They will be force-decoded `passes` times. Raises as `translate` does.
        """
        options = self._settled(options, "alignment")
        self.check(options)
        meter.check(self._estimator.least(len(pairs), passes))
        for index, pair in enumerate(pairs):
            self._units.check(pair.source, index, index, "source")
            self._units.check(pair.target or "", index, index, "target")
        given = (
            self._units.given(pair.source, "source")
            if pair.target is None
            else self._units.pair(pair.source, pair.target)
            for pair in pairs
        )
        ready = [one async for one in turns(given)]
        limits = self._units.limits
        for index, one in enumerate(ready):
            source = one.source if isinstance(one, UnitPair) else one
            check_length(source, limits["source"], index, index, "source")
        meter.begin(self._estimator.alignment(ready, options, passes))
        lone = [
            self._place(0, number, one, isinstance(pair.source, str))
            for number, (one, pair) in enumerate(zip(ready, pairs, strict=True))
            if isinstance(one, Unit)
        ]
        made = iter(await self._made(lone, options, meter))
        whole = [one if isinstance(one, UnitPair) else next(made) for one in ready]
        for index, one in enumerate(whole):
            check_length(one.target, limits["target"], index, index, "target")
        return whole

    def turn_pairs(self, pairs: Sequence[UnitPair]) -> list[UnitPair]:
        """Take over the pairs of a translator of the other direction, texts and words as they are.

        Raises `SentenceTooLong`, which calls the sides what the other translator calls them.
        """
        limits = self._units.limits
        turned = [self._units.turned(pair) for pair in pairs]
        for index, pair in enumerate(turned):
            check_length(pair.source, limits["source"], index, index, "target")
            check_length(pair.target, limits["target"], index, index, "source")
        return turned

    async def force(
        self,
        pairs: Sequence[UnitPair],
        options: Options,
        meter: Meter = UNMETERED,
        begun: bool = False,
    ) -> list[Alignment]:
        """Force-decode what `prepare_pairs` or `turn_pairs` made ready, and link the words.

        Work that has `begun` is not refused because much is waiting.
        """
        options = self._settled(options, "alignment")
        jobs = [self._forced(pair) for pair in pairs]
        answers = await self._run(jobs, options, meter, begun)
        return [
            self._aligned(pair, paths[0], options)
            async for pair, paths in turns(zip(pairs, answers, strict=True))
        ]

    async def _made(
        self, places: Sequence[Place], options: Options, meter: Meter
    ) -> list[UnitPair]:
        """Translate what was given without a target."""
        jobs = [self._job(place.read, options) for place in places]
        answers = await self._run(jobs, options, meter) if jobs else []
        return [best[0] for best, *_ in await self._found(places, answers, options, meter)]

    def _aligned(self, pair: UnitPair, path: Path, options: Options) -> Alignment:
        read = self._reader.read(pair, path, options)
        return Alignment(
            source_side(pair.source),
            target_side(pair.target, path),
            read.attention,
            read.links,
            alignment.pharaoh(read.links),
            path.score,
            read.diagnostics,
            read.heads,
        )

    # --------------------------------------------------------------------- shared

    async def _run(
        self, jobs: Sequence[Job], options: Options, meter: Meter, begun: bool = False
    ) -> list[list[Path]]:
        try:
            return await self._engine.run(jobs, options.deadline, begun)
        finally:
            meter.spend(sum(job.work for job in jobs))

    @asynccontextmanager
    async def _events(
        self, jobs: Sequence[Job], options: Options, meter: Meter
    ) -> AsyncGenerator[AsyncGenerator[tuple[int, Chosen | list[Path]], None], None]:
        try:
            async with aclosing(self._engine.stream(jobs, options.deadline)) as events:
                yield events
        finally:
            meter.spend(sum(job.work for job in jobs))

    def _settled(self, options: Options, usual: AttentionKind) -> Options:
        """Return the options with the attention settled; raises `RequestError`."""
        if options.beam_size < 1 or not 1 <= options.n_best <= options.beam_size:
            raise InvalidBeam(
                "n_best must lie between 1 and beam_size",
                {"beam_size": options.beam_size, "n_best": options.n_best},
            )
        return replace(options, attention=self._reader.asked(options, usual))
