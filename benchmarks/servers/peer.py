"""What the peers' servers translate with: CTranslate2, random weights, our tokenizers.

A random model does not know when to stop, so it is told: a sentence of n tokens becomes
n + 1, the length that a translation of it would have. A call has one length for all of its
sentences, the mean of theirs, so that it computes as many tokens as they need together and
nobody waits for the longest: kinder than a real model, whose batch ends with its longest.
"""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2

from benchmarks import ours
from benchmarks.ctranslate import save_model, spell
from benchmarks.transformer import small
from service.tokenizer import Tokenizer


class Peer:
    """A model and its tokenizers; `translate` may be called from any thread."""

    def __init__(self, compute_type: str, batches: int, threads: int) -> None:
        """Load a model that works on `batches` batches at once; 0 threads are its own choice."""
        bundle = ours.shipped()
        sides = bundle.manifest.source, bundle.manifest.target
        self._source, self._target = (
            Tokenizer(bundle.path(side.tokenizer), side.joiner) for side in sides
        )
        with tempfile.TemporaryDirectory() as folder:
            save_model(small(self._source.size), Path(folder))
            self._translator: Any = ctranslate2.Translator(
                folder, compute_type=compute_type, inter_threads=batches, intra_threads=threads
            )
        self.translate(["One call to warm up."], beam=1)

    def translate(self, texts: Sequence[str], beam: int) -> list[str]:
        """Translate texts in one batch, without splitting them into sentences.

        The length penalty and the scores are what Argos Translate asks for; greedy search
        ignores the one, and the other costs nothing that can be measured.
        """
        sources = [(*self._source.encode(text).ids, self._source.eos) for text in texts]
        length = round(statistics.fmean(len(source) for source in sources))
        made = self._translator.translate_batch(
            spell(sources),
            beam_size=beam,
            min_decoding_length=length,
            max_decoding_length=length,
            length_penalty=0.2,
            return_scores=True,
            replace_unknowns=beam > 1,
        )
        return [self._target.decode(self._ids(one.hypotheses[0])).text for one in made]

    def _ids(self, pieces: Sequence[str]) -> list[int]:
        known = (int(piece[1:]) for piece in pieces if piece[1:].isdigit())
        return [piece for piece in known if piece < self._target.size]
