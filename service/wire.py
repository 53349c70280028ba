"""Results become what JSON can carry: plain data, with matrices as rounded float64 arrays.

Weights and scores have four decimals. A matrix stays an array, since the JSON writer prints one
several times faster than the lists it would make; in float64 the shortest spelling of a rounded
weight is 0.9312, where float32 would print 0.931200027.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.alignment import Link
from service.bundle import Manifest
from service.catalog import Language
from service.segmentation import Span
from service.translation import (
    Alignment,
    Hypothesis,
    Matrix,
    Side,
    Token,
    TranslatedSentence,
    Translation,
    Word,
)

DECIMALS = 4

Wire = dict[str, object]


def translated(manifest: Manifest, translations: Sequence[Translation]) -> Wire:
    """What `/translate` answers."""
    return {
        "model": _model(manifest),
        "translations": [_translation(translation) for translation in translations],
    }


def aligned(manifest: Manifest, alignments: Sequence[Alignment]) -> Wire:
    """What `/align` answers."""
    return {
        "model": _model(manifest),
        "alignments": [_alignment(alignment) for alignment in alignments],
    }


def language(language: Language) -> Wire:
    """One entry of `/languages`."""
    return {"code": language.code, "name": language.name, "targets": list(language.targets)}


def weights(matrix: Matrix) -> NDArray[np.float64]:
    """A matrix, `(target, source)`, rounded; in memory as it reads, row after row."""
    scale = 10**DECIMALS
    return np.ascontiguousarray(np.rint(matrix.astype(np.float64) * scale) / scale + 0.0)


def _model(manifest: Manifest) -> Wire:
    return {"name": manifest.name, "version": manifest.version}


def _translation(translation: Translation) -> Wire:
    return {
        "text": translation.text,
        "score": _score(translation.score),
        "sentences": [_sentence(sentence) for sentence in translation.sentences],
    }


def _sentence(sentence: TranslatedSentence) -> Wire:
    return {
        "source": _side(sentence.source),
        **_hypothesis(sentence.best),
        "alternatives": [_hypothesis(other) for other in sentence.alternatives],
    }


def _hypothesis(hypothesis: Hypothesis) -> Wire:
    return {
        "target": _side(hypothesis.target),
        "attention": _attention(hypothesis.attention),
        "alignment": _links(hypothesis.alignment),
        "score": _score(hypothesis.score),
        "finish_reason": hypothesis.finish_reason,
    }


def _alignment(alignment: Alignment) -> Wire:
    return {
        "source": _side(alignment.source),
        "target": _side(alignment.target),
        "attention": _attention(alignment.attention),
        "alignment": _links(alignment.alignment),
        "pharaoh": alignment.pharaoh,
        "score": _score(alignment.score),
    }


def _side(side: Side) -> Wire:
    return {
        "text": side.text,
        "span": _span(side.span),
        "tokens": [_token(token) for token in side.tokens],
        "words": [_word(word) for word in side.words],
    }


def _token(token: Token) -> Wire:
    wire: Wire = {"text": token.text, "span": _span(token.span)}
    if token.special is not None:
        wire["special"] = token.special
    if token.score is not None:
        wire["score"] = _score(token.score)
    return wire


def _word(word: Word) -> Wire:
    return {"text": word.text, "span": _span(word.span)}


def _links(links: Sequence[Link]) -> list[Wire]:
    return [
        {"source": link.source, "target": link.target, "score": _score(link.score)}
        for link in links
    ]


def _attention(matrix: Matrix | None) -> NDArray[np.float64] | None:
    return None if matrix is None else weights(matrix)


def _span(span: Span) -> list[int]:
    return [span.start, span.end]


def _score(score: float) -> float:
    """Rounded, and never the -0.0 that a certain token would get."""
    return round(float(score), DECIMALS) + 0.0
