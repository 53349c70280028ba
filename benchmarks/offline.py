"""What the same model does without HTTP, in this process: the measure of what HTTP costs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from benchmarks import ours
from model_export.wait import wait
from service.options import Options
from service.segmentation import segment
from service.tokenizer import Tokenizer
from service.translator import Translator


@dataclass(frozen=True, slots=True)
class Rates:
    """Texts a second: whole translations, and the engine alone on prepared ids."""

    translator: float
    engine: float


class Offline:
    """A translator and an engine of this process, and the texts for them; a context manager."""

    def __init__(self, texts: Sequence[str]) -> None:
        bundle = ours.shipped()
        manifest = bundle.manifest
        tokenizer = Tokenizer(bundle.path(manifest.source.tokenizer), manifest.source.joiner)
        self._texts = texts
        self._sources = [
            (*tokenizer.encode(sentence.text).ids, tokenizer.eos)
            for text in texts
            for sentence in segment(text, manifest.source.code, True).sentences
        ]
        self._translator = Translator(bundle, ours.capacity())
        self._engine = ours.Ours(bundle, ours.capacity())

    def measure(self) -> Rates:
        """Translate all texts at once in either way; attention and word links are made too."""
        return Rates(self._rate(self._translate), self._rate(self._decode))

    def _rate(self, work: Callable[[], None]) -> float:
        start = time.perf_counter()
        work()
        return len(self._texts) / (time.perf_counter() - start)

    def _translate(self) -> None:
        wait(self._translator.translate(self._texts, Options()))

    def _decode(self) -> None:
        self._engine.greedy(self._sources)

    def __enter__(self) -> "Offline":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._translator.close(1.0)
        self._engine.__exit__(kind, error, trace)
