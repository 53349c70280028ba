"""What a translation and an alignment are; plain data, no model and no wire format.

Spans are half-open ranges of code points of the *whole* text, the source or the
translation; a token's or word's text is the slice of its span. Matrices are
`(target, source)`: row t belongs to target item t.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.alignment import Link
from service.diagnostics import Diagnostics
from service.segmentation import Span

Matrix = NDArray[np.float32]


@dataclass(slots=True)
class Token:
    """A subword piece; `score` is its log-probability where the model wrote it.

    Like `Word` and `Span` never changed, but not frozen, since there are so many.
    """

    text: str
    span: Span
    special: str | None = None
    score: float | None = None


@dataclass(slots=True)
class Word:
    """A word by the language's word rule."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a sentence: its text, where it lies, and what it is made of."""

    text: str
    span: Span
    tokens: tuple[Token, ...]
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One translation of a sentence; `score` is the mean log-probability of its tokens.

    `attention` is tokens × tokens, or words × words with a last row and column for `</s>`, and
    `heads` the same of each head, of which it is the mean; None where they were not asked for.
    """

    target: Side
    attention: Matrix | None
    alignment: tuple[Link, ...]
    score: float
    finish_reason: str
    heads: tuple[Matrix, ...] | None = None


@dataclass(frozen=True, slots=True)
class TranslatedSentence:
    """A source sentence with its best hypothesis and the others that were asked for.

    The spans of an alternative are those it would have in the place of the best. Diagnostics,
    where they were asked for, are of the best.
    """

    source: Side
    best: Hypothesis
    alternatives: tuple[Hypothesis, ...]
    diagnostics: Diagnostics | None = None


@dataclass(frozen=True, slots=True)
class Translation:
    """A translated text; `score` is the token-weighted mean over its sentences."""

    text: str
    score: float
    sentences: tuple[TranslatedSentence, ...]


@dataclass(frozen=True, slots=True)
class Alignment:
    """A given pair, force-decoded; `pharaoh` lists the links as `source-target`."""

    source: Side
    target: Side
    attention: Matrix | None
    alignment: tuple[Link, ...]
    pharaoh: str
    score: float
    diagnostics: Diagnostics | None = None
    heads: tuple[Matrix, ...] | None = None


@dataclass(frozen=True, slots=True)
class TokenChosen:
    """Progress: a target token of sentence `sentence` of text `text`, as soon as it is known.

    `delta` is what it adds to the sentence. Attention rows (S,) of delay d are about the
    token of step - d; heads (N, S) are None where they were not asked for.
    """

    text: int
    sentence: int
    step: int
    delta: str
    special: str | None
    score: float
    attention: Mapping[str, Matrix]
    heads: Mapping[str, Matrix] | None = None


@dataclass(frozen=True, slots=True)
class SentenceDone:
    """Progress: a finished sentence; its target spans count from its own start."""

    text: int
    sentence: int
    translated: TranslatedSentence


Progress = TokenChosen | SentenceDone | list[Translation]
