"""Reads, filters and batches sentence pairs; knows files and ids, no model."""

import gzip
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_export.config import Corpus
from model_export.rarity import raised
from service.tokenizer import Tokenizer

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pair:
    """A source text, its translation, and the corpus that they come from."""

    source: str
    target: str
    corpus: str


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different lengths in one flat array: row i is `values[starts[i]:starts[i+1]]`."""

    values: Ints
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> "Ragged":
        """Pack `rows`."""
        starts = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=starts[1:])
        values = np.fromiter((v for row in rows for v in row), np.int32, int(starts[-1]))
        return cls(values, starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Ints:
        return self.values[self.starts[index] : self.starts[index + 1]]

    @property
    def lengths(self) -> Ints:
        """Length of every row."""
        return np.diff(self.starts).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Pairs as ids, without special tokens, guided links, and how often an epoch has them.

    `links` row i holds the links of pair i as `source * 65536 + target` piece indices;
    `shares` (pairs,) is 0.1 for a pair that one epoch in ten has.
    """

    source: Ragged
    target: Ragged
    links: Ragged
    shares: Floats


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded ids with `</s>` where the model reads it: source (B, S), target (B, T).

    `target_in` begins with `<s>`, `target_out` ends with `</s>`; `links` (B, T, S) row t
    is the guided distribution of the token that position t has *read*, zero where unknown.
    """

    source: Ints
    source_lengths: Ints
    target_in: Ints
    target_out: Ints
    links: Floats


class CorpusError(Exception):
    """A file of pairs cannot be read, or lacks what the recipe names; the message says where."""


def read_pairs(root: Path, files: Sequence[str]) -> Iterator[Pair]:
    """Yield every pair of tab-separated gzip files; the third column names the corpus.

    Raises `CorpusError` for a line of one column.
    """
    for name in files:
        with gzip.open(root / name, "rt", encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                columns = line.rstrip("\n").split("\t")
                if len(columns) < 2:
                    raise CorpusError(f"{name}, line {number}: no tab between source and target")
                yield Pair(columns[0], columns[1], columns[2] if len(columns) > 2 else "")


def keep_pair(pair: Pair, options: Corpus) -> bool:
    """Tell whether a pair has plausible lengths: neither empty, long, nor lopsided."""
    a, b = len(pair.source), len(pair.target)
    if not a or not b or max(a, b) > options.max_characters:
        return False
    slack = 10  # "Run!" may well be "Sauve-toi !"
    return a <= options.max_ratio * b + slack and b <= options.max_ratio * a + slack


def training_pairs(root: Path, options: Corpus) -> list[Pair]:
    """Return the pairs that the recipe trains on, in file order.

    Raises `CorpusError` for a corpus that has none: a name that was not meant.
    """
    every = directed(read_pairs(root, options.files), options)
    kept = (pair for pair in every if pair.corpus in options.sources and keep_pair(pair, options))
    pairs = [replace(pair, target=spaced(pair.target, options)) for pair in kept]
    strangers = sorted(options.sources.keys() - {pair.corpus for pair in pairs})
    if strangers:
        raise CorpusError(f"{', '.join(options.files)}: no pair of {', '.join(strangers)} to keep")
    return pairs


def spaced(text: str, options: Corpus) -> str:
    """Return a target with a space before its `spaced_marks` where they end a word: "toi ?"."""
    if not options.spaced_marks:
        return text
    marks = f"[{re.escape(options.spaced_marks)}]+"
    return re.sub(rf"(?<=[\w)»”\"])(?={marks}(?:[\s)»”\"]|$))", " ", text)


def directed(pairs: Iterable[Pair], options: Corpus) -> Iterator[Pair]:
    """Yield pairs in the direction of the bundle."""
    for pair in pairs:
        yield Pair(pair.target, pair.source, pair.corpus) if options.reversed else pair


def shares(pairs: Sequence[Pair], options: Corpus) -> Floats:
    """Return how often an epoch has each pair, (pairs,)."""
    usual = np.array([options.sources[pair.corpus].share for pair in pairs], np.float32)
    rare = options.rare_words
    return raised(usual, [pair.target if rare.target else pair.source for pair in pairs], rare)


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str]) -> Ragged:
    """Return the ids of every text, without special tokens."""
    return Ragged.of([tokenizer.encode(text).ids for text in texts])


def draw(shares: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the pair indices of one epoch, in order; a share of 1.5 is once or twice there."""
    copies = np.floor(shares + rng.random(len(shares), np.float32)).astype(np.int64)
    return np.repeat(np.arange(len(shares)), copies)


def batches(
    corpus: Encoded, budget: int, max_tokens: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return one epoch as lists of pair indices, each within `budget` padded tokens.

    Pairs of like lengths go together (ties in random order), then batches are shuffled, so
    that little is padding and no epoch has the order of another.
    """
    source, target = corpus.source.lengths + 1, corpus.target.lengths + 1
    drawn = draw(corpus.shares, rng)
    usable = drawn[(source[drawn] <= max_tokens) & (target[drawn] <= max_tokens)]
    usable = rng.permutation(usable)
    jitter = rng.uniform(0, 1, len(usable))
    order = usable[np.lexsort((source[usable] + jitter, target[usable] // 2))]
    groups: list[NDArray[np.int64]] = []
    start, widest = 0, 0
    for position, index in enumerate(order):
        width = max(widest, int(source[index]), int(target[index]))
        if width * (position - start + 1) > budget and position > start:
            groups.append(order[start:position])
            start, width = position, int(max(source[index], target[index]))
        widest = width
    groups.append(order[start:])
    return [groups[i] for i in rng.permutation(len(groups))]


def collate(corpus: Encoded, indices: NDArray[np.int64], pad: int, bos: int, eos: int) -> Batch:
    """Pad the pairs of a batch and lay out their links; shapes as in `Batch`."""
    sources = [corpus.source[i] for i in indices]
    targets = [corpus.target[i] for i in indices]
    width = max(map(len, sources)) + 1
    height = max(map(len, targets)) + 1
    source = np.full((len(indices), width), pad, np.int32)
    target_in = np.full((len(indices), height), pad, np.int32)
    target_out = np.full((len(indices), height), pad, np.int32)
    links = np.zeros((len(indices), height, width), np.float32)
    for row, (s, t) in enumerate(zip(sources, targets, strict=True)):
        source[row, : len(s)], source[row, len(s)] = s, eos
        target_in[row, 0], target_in[row, 1 : len(t) + 1] = bos, t
        target_out[row, : len(t)], target_out[row, len(t)] = t, eos
        packed = corpus.links[int(indices[row])]
        links[row, (packed & 0xFFFF) + 1, packed >> 16] = 1.0
    links /= np.maximum(links.sum(-1, keepdims=True), 1.0)
    lengths = np.array([len(s) + 1 for s in sources], np.int32)
    return Batch(source, lengths, target_in, target_out, links)
