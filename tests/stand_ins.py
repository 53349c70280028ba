"""Stand-ins for the catalog and its translators, with canned answers, for tests of HTTP."""

import asyncio
import dataclasses
import threading
from collections.abc import AsyncGenerator, Sequence
from typing import cast

import numpy as np

from service import examples
from service.alignment import Link
from service.catalog import Catalog, Language
from service.demand import UNMETERED, Demand, Meter
from service.diagnostics import Seen, diagnose
from service.errors import (
    BundleError,
    InterlineaError,
    NoReverseModel,
    QueueFull,
    ShuttingDown,
    StepFailed,
    UnknownPair,
)
from service.manifest import Bounds, Manifest
from service.options import Options, Pair
from service.segmentation import Span
from service.tally import Load, Tally
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
from service.translator import Translator
from service.units import UnitPair

DEMAND = Demand(tokens=2, rows=1, work=20, cells=4)
WORK = 8
"""What every request asks for, and what it takes in the end."""

MATRIX: Matrix = np.array([[0.93123456, 0.06876544], [0.0, 1.0]], np.float32)
LINKS = (Link(0, 0, 0.97123),)
BOUNDS = Bounds(omission=0.3, hallucination=0.57)
TOLD = diagnose(Seen(("Thanks",), ("Merci",), {"cross": MATRIX}, "cross", LINKS, BOUNDS))


def side(text: str, score: float | None) -> Side:
    span, end = Span(0, len(text)), Span(len(text), len(text))
    tokens = (Token(text, span, None, score), Token("", end, "</s>", score))
    return Side(text, span, tokens, (Word(text, span),))


def translation(text: str, options: Options) -> Translation:
    attention = None if options.attention == "none" else MATRIX
    best = Hypothesis(side("Merci", -0.25), attention, LINKS, -0.3101234, "stop")
    others = (dataclasses.replace(best, score=-0.5),) * (options.n_best - 1)
    told = TOLD if options.diagnostics else None
    sentence = TranslatedSentence(side(text, None), best, others, told)
    return Translation("Merci", -0.3101234, (sentence,) if text.strip() else ())


class FakeManifest:
    version = "1.2.3"

    def __init__(self, name: str) -> None:
        self.name = name

    def summary(self) -> dict[str, object]:
        return examples.MODELS[0]


class FakeTranslator:
    """Answers at once; "wait" waits until it is cancelled, "crash" and "fail" do so."""

    def __init__(self, name: str = "en-fr", links: tuple[Link, ...] = LINKS) -> None:
        self.manifest = cast(Manifest, FakeManifest(name))
        self.links = links
        self.options: list[Options] = []
        self.pairs: list[Pair] = []
        self.started = asyncio.Event()
        self.cancelled = False
        self.streams_closed = 0
        self.closed_with: InterlineaError | None = None

    async def translate(
        self, texts: Sequence[str], options: Options, meter: Meter = UNMETERED
    ) -> list[Translation]:
        meter.begin(DEMAND)
        try:
            return await self._translate(texts, options)
        finally:
            meter.spend(WORK)

    async def _translate(self, texts: Sequence[str], options: Options) -> list[Translation]:
        self.options.append(options)
        match texts[0]:
            case "wait":
                await self._wait()
            case "crash":
                raise ZeroDivisionError("the secret")
            case "fail":
                raise StepFailed("the step failed")
            case "full":
                raise QueueFull("the queue is full", {"limit": 1})
            case "drop":
                raise asyncio.CancelledError
        return [translation(text, options) for text in texts]

    async def stream(
        self, texts: Sequence[str], options: Options, meter: Meter = UNMETERED
    ) -> AsyncGenerator[Progress, None]:
        meter.begin(DEMAND)
        (whole,) = await self._translate(texts[:1], options)
        try:
            yield TokenChosen(0, 0, 0, "Merci", None, -0.25, {"cross": MATRIX[0]})
            match texts[-1]:
                case "wait later":
                    await self._wait()
                case "crash later":
                    raise ZeroDivisionError("the secret")
                case "fail later":
                    raise StepFailed("the step failed")
            yield SentenceDone(0, 0, whole.sentences[0])
            yield await self._translate(texts, options)
        finally:
            meter.spend(WORK)
            self.streams_closed += 1

    async def align(
        self, pairs: Sequence[Pair], options: Options, meter: Meter = UNMETERED
    ) -> list[Alignment]:
        return await self.force(await self.prepare_pairs(pairs, options, meter), options, meter)

    async def prepare_pairs(
        self, pairs: Sequence[Pair], options: Options, meter: Meter = UNMETERED, passes: int = 1
    ) -> list[UnitPair]:
        meter.begin(DEMAND)
        self.pairs.extend(pairs)
        if pairs[0].source == "wait":
            await self._wait()
        return cast(list[UnitPair], list(pairs))

    def turn_pairs(self, pairs: Sequence[UnitPair]) -> list[UnitPair]:
        return list(pairs)

    def check(self, options: Options) -> None:
        """There is always room."""

    async def force(
        self,
        pairs: Sequence[UnitPair],
        options: Options,
        meter: Meter = UNMETERED,
        begun: bool = False,
    ) -> list[Alignment]:
        meter.spend(WORK)
        self.options.append(options)
        sides = side("Thanks", None), side("Merci", -0.25)
        told = TOLD if options.diagnostics else None
        return [Alignment(*sides, MATRIX, self.links, "0-0", -0.25, told) for _ in pairs]

    def load(self) -> Load:
        return Load(2, 1, Tally(done=5))

    def trouble(self) -> str | None:
        return None

    def close(self, grace: float, why: InterlineaError) -> None:
        self.closed_with = why

    def is_closed(self) -> bool:
        return self.closed_with is not None

    async def _wait(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class FakeCatalog:
    def __init__(self) -> None:
        self.translator = FakeTranslator()
        self.reversed: FakeTranslator | None = None
        self.found: dict[str, str] = {}
        self.following: FakeCatalog | BundleError | None = None
        self.held = threading.Event()
        self.held.set()
        self.reloading = threading.Event()

    def choose(self, source: str | None, target: str | None) -> Translator:
        if source not in (None, "en") or target not in (None, "fr"):
            raise UnknownPair(f"no model for {source}-{target}", {"pairs": [["en", "fr"]]})
        return cast(Translator, self.translator)

    def reverse(self, translator: Translator) -> Translator:
        if self.reversed is None:
            raise NoReverseModel("no model for fr to en", {"pairs": [["en", "fr"]]})
        return cast(Translator, self.reversed)

    def translators(self) -> Sequence[Translator]:
        return [cast(Translator, self.translator)]

    def languages(self) -> list[Language]:
        return [Language("en", "English", ("fr",))]

    async def troubles(self) -> dict[str, str]:
        return self.found

    def reloaded(self) -> Catalog:
        self.reloading.set()
        assert self.held.wait(10)
        if isinstance(self.following, BundleError):
            raise self.following
        return cast(Catalog, self.following or self)

    def close(self, but: Sequence[Translator] = ()) -> None:
        for translator in self.translators():
            if translator not in but:
                translator.close(0.0, ShuttingDown("closed"))
