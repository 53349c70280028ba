"""How much one request may ask of this machine, and what a request must not contradict.

Every refusal says which limit it was and what was asked for.
"""

from collections.abc import Sequence

from service.demand import Demand
from service.errors import (
    AttentionTooLarge,
    EmptyWord,
    InvalidBeam,
    RequestError,
    TextTooLong,
    TooManyHypotheses,
    TooManyTexts,
    TooManyTokens,
)
from service.schemas import AlignRequest, MatrixForm, PairRequest, TranslateRequest
from service.settings import Settings

Text = str | list[str]

CELL_BYTES: dict[MatrixForm, int] = {"decimals": 6, "integers": 3}
"""What a weight takes in an answer; measured: 4.9 to 5.5, and 2.2 to 2.6."""


def check_translate(request: TranslateRequest, settings: Settings) -> int:
    """Return the characters of all texts.

    Raises `TooManyTexts`, `TextTooLong` or `InvalidBeam` where a limit is passed.
    """
    texts = request.texts()
    _check_count(len(texts), settings.max_texts)
    characters = _check_characters(texts, settings.max_characters)
    _check_beam(request.beam_size, request.n_best, settings.max_beam)
    return characters


def check_align(request: AlignRequest, settings: Settings) -> int:
    """Return the characters of all texts.

    Raises `TooManyTexts` or `TextTooLong`, and `EmptyWord` or `RequestError` for what is empty.
    """
    _check_count(len(request.pairs), settings.max_texts)
    texts = [text for pair in request.pairs for text in _sides(pair).values()]
    characters = _check_characters(texts, settings.max_characters)
    for index, pair in enumerate(request.pairs):
        for side, text in _sides(pair).items():
            _check_words(text, f"pairs[{index}].{side}")
    return characters


def check_demand(demand: Demand, settings: Settings, form: MatrixForm) -> None:
    """Check what is known of a request once its texts are tokens.

    Raises `TooManyTokens`, `TooManyHypotheses` or `AttentionTooLarge`.
    """
    count = demand.tokens
    what = f"the texts have {count} tokens together"
    _check_most(TooManyTokens, what, count, settings.max_tokens)
    count = demand.rows
    what = f"the sentences have {count} hypotheses together, each as many as beam_size"
    _check_most(TooManyHypotheses, what, count, settings.max_hypotheses)
    count = demand.cells * CELL_BYTES[form]
    instead = '"attention": "none"' + (' or "matrix": "integers"' if form == "decimals" else "")
    what = f"the matrices would take about {count} bytes; ask for {instead}, or send less"
    _check_most(AttentionTooLarge, what, count, settings.max_attention_bytes)


def _check_most(kind: type[RequestError], what: str, count: int, limit: int) -> None:
    if count > limit:
        raise kind(f"{what}; at most {limit} are accepted", {"count": count, "limit": limit})


def _check_count(count: int, limit: int) -> None:
    _check_most(TooManyTexts, f"{count} texts in one request", count, limit)


def _check_characters(texts: Sequence[Text], limit: int) -> int:
    count = sum(_characters(text) for text in texts)
    _check_most(TextTooLong, f"the texts have {count} characters together", count, limit)
    return count


def _check_beam(beam_size: int, n_best: int, limit: int) -> None:
    if not 1 <= beam_size <= limit:
        raise InvalidBeam(f"beam_size must lie between 1 and {limit}", {"limit": limit})
    if not 1 <= n_best <= beam_size:
        raise InvalidBeam("n_best must lie between 1 and beam_size", {"limit": beam_size})


def _check_words(text: Text, field: str) -> None:
    if isinstance(text, str):
        if not text.strip():
            errors = [{"field": field, "message": "must not be empty"}]
            raise RequestError(f"{field} is empty", {"errors": errors})
        return
    for index, word in enumerate(text):
        if not word.strip():
            where = f"{field}[{index}]"
            raise EmptyWord(f"{where} is an empty word", {"field": where, "index": index})


def _sides(pair: PairRequest) -> dict[str, Text]:
    sides: dict[str, Text] = {"source_text": pair.source_text}
    if pair.target_text is not None:
        sides["target_text"] = pair.target_text
    return sides


def _characters(text: Text) -> int:
    """Of a list of words, with one character between two words."""
    return len(text) if isinstance(text, str) else sum(map(len, text)) + max(0, len(text) - 1)
