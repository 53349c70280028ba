"""Training texts that vary from epoch to epoch: other splits into pieces, careless writing.

A model that has seen a word split in many ways can read one that it has hardly seen at all
(subword regularization, Kudo 2018), and one that has seen "who are you" reads it as "Who
are you?". Links follow the characters that their pieces cover.
"""

from collections.abc import Sequence

import numpy as np

from model_export.config import Variety
from model_export.corpus import Encoded, Ragged
from model_export.subwords import Splitter
from service.units import FINAL

Ids = list[int]
Moved = list[list[int]]
"""For every piece of the old split, the pieces of the new one that share characters with it."""


class Varied:
    """Batches of a corpus in their variety; the same for the same `key`."""

    def __init__(self, source: Splitter, target: Splitter, options: Variety) -> None:
        self._source, self._target, self._options = source, target, options

    def rows(self, corpus: Encoded, indices: Sequence[int], key: Sequence[int]) -> Encoded:
        """Return the pairs at `indices`, varied."""
        rng = np.random.default_rng(key)
        sources, targets, links = [], [], []
        for index, chances in zip(indices, rng.random((len(indices), 4)), strict=True):
            source, source_moved = self._vary_source(
                corpus.source[index].tolist(), chances[:3], rng
            )
            target, target_moved = self._vary_target(corpus.target[index].tolist(), chances[3], rng)
            sources.append(source)
            targets.append(target)
            links.append(_move(corpus.links[index].tolist(), source_moved, target_moved))
        shares = np.ones(len(sources), np.float32)
        return Encoded(Ragged.of(sources), Ragged.of(targets), Ragged.of(links), shares)

    def _vary_source(
        self, ids: Ids, chances: Sequence[float], rng: np.random.Generator
    ) -> tuple[Ids, Moved]:
        options = self._options
        split, lower, unfinished = (
            chance < share
            for chance, share in zip(
                chances,
                (options.source_splits, options.lower_case, options.unfinished),
                strict=True,
            )
        )
        if not (split or lower or unfinished):
            return ids, _unmoved(ids)
        text = self._source.text(ids)
        if text is None:
            return ids, _unmoved(ids)
        written = text.lower() if lower and len(text.lower()) == len(text) else text
        if unfinished and len(text) > 1 and written[-1] in FINAL:
            written = written[:-1]
        return self._split_again(self._source, ids, written, rng if split else None)

    def _vary_target(self, ids: Ids, chance: float, rng: np.random.Generator) -> tuple[Ids, Moved]:
        text = self._target.text(ids) if chance < self._options.target_splits else None
        return self._split_again(self._target, ids, text, rng) if text else (ids, _unmoved(ids))

    def _split_again(
        self, splitter: Splitter, ids: Ids, text: str, rng: np.random.Generator | None
    ) -> tuple[Ids, Moved]:
        """Split `text`, the ids' own or one that covers it from the start: by chance, or best."""
        again = (
            splitter.sample(text, self._options.smoothness, rng) if rng else splitter.split(text)
        )
        if splitter.text(again) != text:
            return ids, _unmoved(ids)
        return again, _shared(splitter.widths(ids), splitter.widths(again))


def _unmoved(ids: Ids) -> Moved:
    return [[i] for i in range(len(ids))]


def _shared(old: Sequence[int], new: Sequence[int]) -> Moved:
    """Return, for pieces of these widths in characters, which new ones overlap each old one."""
    at = [piece for piece, width in enumerate(new) for _ in range(width)]
    moved, start = [], 0
    for width in old:
        moved.append(sorted(set(at[start : start + width])))
        start += width
    return moved


def _move(links: Sequence[int], source: Moved, target: Moved) -> list[int]:
    return sorted(
        {s << 16 | t for link in links for s in source[link >> 16] for t in target[link & 0xFFFF]}
    )
