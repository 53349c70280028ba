"""Results become what JSON can carry: plain data, with matrices as arrays of rounded numbers.

Weights and scores have four decimals. A matrix stays an array, since the JSON writer prints one
several times faster than the lists it would make; in float64 the shortest spelling of a rounded
weight is 0.9312, where float32 would print 0.931200027. As integers it takes half the bytes.
"""

from collections.abc import Sequence

import numpy as np

from service.alignment import Link
from service.catalog import Language
from service.diagnostics import Caution, Diagnostics
from service.manifest import Manifest
from service.schemas import MatrixForm
from service.translation import (
    Alignment,
    Hypothesis,
    Matrix,
    SentenceDone,
    Side,
    Token,
    TokenChosen,
    TranslatedSentence,
    Translation,
)
from service.visit import Timing
from service.written import pieces

DECIMALS = 4
MILLISECONDS = 1000
SCALE = 10**DECIMALS

Wire = dict[str, object]


async def translated(
    manifest: Manifest, translations: Sequence[Translation], form: MatrixForm
) -> Wire:
    """What `/translate` answers, in which sentences are JSON already."""
    every = (sentence for one in translations for sentence in one.sentences)
    told = iter(await pieces(_sentence(sentence, form) for sentence in every))
    made = [
        {
            "text": one.text,
            "score": _score(one.score),
            "sentences": [next(told) for _ in one.sentences],
        }
        for one in translations
    ]
    return {"model": _model(manifest), "translations": made}


async def aligned(
    manifest: Manifest,
    alignments: Sequence[Alignment],
    form: MatrixForm,
    reverse: Manifest | None = None,
) -> Wire:
    """What `/align` answers, in which pairs are JSON already.

    `reverse` is the model of the other direction, where one was asked.
    """
    models = {"model": _model(manifest)}
    if reverse is not None:
        models["reverse_model"] = _model(reverse)
    return {**models, "alignments": await pieces(_alignment(one, form) for one in alignments)}


def token_chosen(chosen: TokenChosen, form: MatrixForm) -> Wire:
    """A `token` event: the row of the token itself, and that of the token before."""
    wire: Wire = {
        "text": chosen.text,
        "sentence": chosen.sentence,
        "step": chosen.step,
        "delta": chosen.delta,
        "score": _score(chosen.score),
    }
    if chosen.special is not None:
        wire["special"] = chosen.special
    for kind, row in chosen.attention.items():
        wire[kind] = matrix(row, form)
    if chosen.heads is not None:
        wire["heads"] = {kind: matrix(rows, form) for kind, rows in chosen.heads.items()}
    return wire


def sentence_done(done: SentenceDone, form: MatrixForm) -> Wire:
    """A `sentence` event."""
    steps = len(done.translated.best.target.tokens)
    place: Wire = {"text": done.text, "sentence": done.sentence, "step": steps}
    return {**place, "translated": _sentence(done.translated, form)}


def timing(spent: Timing) -> Wire:
    """The field of the times, in milliseconds."""
    seconds = {
        "queue": spent.queue,
        "encode": spent.encode,
        "decode": spent.decode,
        "total": spent.total,
    }
    return {
        **{name: round(one * MILLISECONDS, 2) for name, one in seconds.items()},
        "steps": spent.steps,
        "source_tokens": spent.source_tokens,
        "target_tokens": spent.target_tokens,
    }


def language(language: Language) -> Wire:
    """One entry of `/languages`."""
    return {"code": language.code, "name": language.name, "targets": list(language.targets)}


def matrix(weights: Matrix, form: MatrixForm) -> object:
    """A matrix, `(target, source)`, or one row of it, in the form that was asked for."""
    rounded = np.rint(np.ascontiguousarray(weights, np.float64) * SCALE)
    if form == "integers":
        return {"scale": SCALE, "weights": rounded.astype(np.int32)}
    return rounded / SCALE + 0.0


def _model(manifest: Manifest) -> Wire:
    return {"name": manifest.name, "version": manifest.version}


def _sentence(sentence: TranslatedSentence, form: MatrixForm) -> Wire:
    return {
        "source": _side(sentence.source),
        **_hypothesis(sentence.best, form),
        "alternatives": [_hypothesis(other, form) for other in sentence.alternatives],
        **_diagnostics(sentence.diagnostics, sentence.source, sentence.best.target),
    }


def _hypothesis(hypothesis: Hypothesis, form: MatrixForm) -> Wire:
    return {
        "target": _side(hypothesis.target),
        **_attention(hypothesis.attention, hypothesis.heads, form),
        "alignment": _links(hypothesis.alignment),
        "score": _score(hypothesis.score),
        "finish_reason": hypothesis.finish_reason,
    }


def _alignment(alignment: Alignment, form: MatrixForm) -> Wire:
    return {
        "source": _side(alignment.source),
        "target": _side(alignment.target),
        **_attention(alignment.attention, alignment.heads, form),
        "alignment": _links(alignment.alignment),
        "pharaoh": alignment.pharaoh,
        "score": _score(alignment.score),
        **_diagnostics(alignment.diagnostics, alignment.source, alignment.target),
    }


def _diagnostics(told: Diagnostics | None, source: Side, target: Side) -> Wire:
    """The field of the diagnostics; none where they were not asked for."""
    if told is None:
        return {}
    sides = {"possible_omission": source, "possible_hallucination": target}
    content: Wire = {
        "attention": told.attention,
        "entropy": {
            kind: {"words": _scores(one.words), "mean": _score(one.mean)}
            for kind, one in told.entropy.items()
        },
        "end_mass": {kind: _scores(one) for kind, one in told.end_mass.items()},
        "coverage": [
            {
                "received": _score(one.received),
                "strongest": _score(one.strongest),
                "linked": one.linked,
            }
            for one in told.coverage
        ],
        "unattended": list(told.unattended),
        "unsourced": list(told.unsourced),
        "repeated_focus": [
            {"source": one.source, "targets": [list(stretch) for stretch in one.targets]}
            for one in told.repeated_focus
        ],
        "evidence": {
            "omission": _score(told.evidence.omission),
            "hallucination": _score(told.evidence.hallucination),
        },
        "warnings": [_caution(caution, sides[caution.code]) for caution in told.warnings],
    }
    return {"diagnostics": content}


def _caution(caution: Caution, side: Side) -> Wire:
    spans = [side.words[index].span for index in caution.words]
    return {
        "code": caution.code,
        "message": caution.message,
        "words": list(caution.words),
        "spans": [[span.start, span.end] for span in spans],
    }


def _side(side: Side) -> Wire:
    return {
        "text": side.text,
        "span": [side.span.start, side.span.end],
        "tokens": [_token(token) for token in side.tokens],
        "words": [
            {"text": word.text, "span": [word.span.start, word.span.end]} for word in side.words
        ],
    }


def _token(token: Token) -> Wire:
    wire: Wire = {"text": token.text, "span": [token.span.start, token.span.end]}
    if token.special is not None:
        wire["special"] = token.special
    if token.score is not None:
        wire["score"] = _score(token.score)
    return wire


def _links(links: Sequence[Link]) -> list[Wire]:
    return [
        {"source": link.source, "target": link.target, "score": _score(link.score)}
        for link in links
    ]


def _attention(weights: Matrix | None, heads: Sequence[Matrix] | None, form: MatrixForm) -> Wire:
    """The field of the matrix, and that of its heads where they were asked for."""
    shown: Wire = {"attention": None if weights is None else matrix(weights, form)}
    if heads is not None:
        shown["heads"] = [matrix(head, form) for head in heads]
    return shown


def _scores(scores: Sequence[float]) -> list[float]:
    return [_score(score) for score in scores]


def _score(score: float) -> float:
    """Rounded, and never the -0.0 that a certain token would get."""
    return round(score, DECIMALS) + 0.0
