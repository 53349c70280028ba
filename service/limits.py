"""How much one request may ask of this machine, and what a request must not contradict.

Every refusal says which limit it was and what was asked for.
"""

from collections.abc import Sequence

from service.errors import EmptyWord, InvalidBeam, TextTooLong, TooManyTexts
from service.schemas import AlignRequest, PairRequest, TranslateRequest
from service.settings import Settings

Text = str | list[str]


def check_translate(request: TranslateRequest, settings: Settings) -> None:
    """Raise `TooManyTexts`, `TextTooLong` or `InvalidBeam` where a limit is passed."""
    texts = request.texts()
    _check_count(len(texts), settings.max_texts)
    _check_characters(texts, settings.max_characters)
    _check_beam(request.beam_size, request.n_best, settings.max_beam)


def check_align(request: AlignRequest, settings: Settings) -> None:
    """Raise `TooManyTexts`, `TextTooLong` or `EmptyWord`."""
    _check_count(len(request.pairs), settings.max_texts)
    texts = [text for pair in request.pairs for text in _sides(pair).values()]
    _check_characters(texts, settings.max_characters)
    for index, pair in enumerate(request.pairs):
        for side, text in _sides(pair).items():
            _check_words(text, f"pairs[{index}].{side}")


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise TooManyTexts(
            f"{count} texts in one request; at most {limit} are accepted",
            {"count": count, "limit": limit},
        )


def _check_characters(texts: Sequence[Text], limit: int) -> None:
    count = sum(_characters(text) for text in texts)
    if count > limit:
        raise TextTooLong(
            f"the texts have {count} characters together; at most {limit} are accepted",
            {"count": count, "limit": limit},
        )


def _check_beam(beam_size: int, n_best: int, limit: int) -> None:
    detail = {"limit": limit}
    if not 1 <= beam_size <= limit:
        raise InvalidBeam(f"beam_size must lie between 1 and {limit}", detail)
    if not 1 <= n_best <= beam_size:
        raise InvalidBeam("n_best must lie between 1 and beam_size", detail)


def _check_words(text: Text, field: str) -> None:
    if isinstance(text, str):
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
