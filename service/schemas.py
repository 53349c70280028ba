"""The wire shapes of every request and answer, as pydantic models.

A request is read by `read`, strictly: 5 is not "5", and an unknown field is an error that names
it. An answer is built by `wire.py` and not validated again; its models here are what the OpenAPI
document shows, and the tests hold the two together.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, FailFast, Field, Tag, ValidationError

from service import examples
from service.errors import RequestError
from service.translator import Options, Pair

AttentionKind = Literal["cross", "alignment", "none"]
Unit = Literal["token", "word"]
Shape = TypeVar("Shape", bound=BaseModel)

MOST_ERRORS = 20
"""A body of nonsense is not answered with a list as long as itself."""

_TAGS = ("<string>", "<list>")


def _string_or_list(value: object) -> str | None:
    return {str: "<string>", list: "<list>"}.get(type(value))


_String = Annotated[str, Tag("<string>")]
_ANY_OF = Discriminator(
    _string_or_list,
    custom_error_type="string_or_list_type",
    custom_error_message="should be a string or a list of strings",
)
Texts = Annotated[
    _String | Annotated[list[str], FailFast(), Field(min_length=1), Tag("<list>")], _ANY_OF
]
TextOrWords = Annotated[_String | Annotated[list[str], FailFast(), Tag("<list>")], _ANY_OF]
Tongue = Annotated[str, Field(max_length=64)]


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    source: Tongue | None = Field(
        None,
        description="BCP-47 code of the source language, in any case; a region that no bundle "
        "has falls back to its base language. May be left out where exactly one bundle fits.",
    )
    target: Tongue | None = Field(None, description="The same of the target language.")


class TranslateRequest(_Request):
    """What `POST /translate` takes."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TRANSLATE]})

    text: Texts = Field(description="A text, or a list of texts.")
    beam_size: int = Field(
        1,
        description="How many hypotheses the search keeps; 1 is greedy.",
        json_schema_extra={"minimum": 1},
    )
    n_best: int = Field(
        1,
        description="How many translations of each sentence to return, the best included; at most "
        "`beam_size`. The others are in `alternatives`.",
        json_schema_extra={"minimum": 1},
    )
    attention: AttentionKind = Field(
        "cross",
        description="`cross`: what the decoder looked at before it chose each token. `alignment`: "
        "what the alignment head says once the token is known. `none`: no matrix.",
    )
    unit: Unit = Field("token", description="What the rows and columns of the matrix are.")
    split_sentences: bool = Field(
        True, description="Whether to translate sentence by sentence; otherwise a text is one."
    )
    max_length: int | None = Field(
        None,
        ge=1,
        le=65536,
        description="Most target tokens of a sentence; by default it depends on the source.",
    )

    def texts(self) -> list[str]:
        """The texts, of which a lone string is one."""
        return [self.text] if isinstance(self.text, str) else self.text

    def options(self) -> Options:
        """How to translate them."""
        return Options(
            beam_size=self.beam_size,
            n_best=self.n_best,
            attention=self.attention,
            unit=self.unit,
            split_sentences=self.split_sentences,
            max_length=self.max_length,
        )


class PairRequest(BaseModel):
    """Two texts to align; each is a string, or a list of its words."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    source_text: TextOrWords = Field(description="The source text, or its words.")
    target_text: TextOrWords | None = Field(
        None, description="The target text, or its words; left out, the source is translated."
    )

    def pair(self) -> Pair:
        """The pair as the translator takes it."""
        return Pair(_frozen(self.source_text), None if self.target_text is None else _frozen(self.target_text))


class AlignRequest(_Request):
    """What `POST /align` takes."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ALIGN]})

    pairs: Annotated[list[PairRequest], FailFast()] = Field(
        min_length=1, description="The pairs to align; each is one unit, never split."
    )
    attention: AttentionKind = Field(
        "alignment", description="Which matrix to return; see `/translate`."
    )
    unit: Unit = Field("token", description="What the rows and columns of the matrix are.")

    def translator_pairs(self) -> list[Pair]:
        """The pairs as the translator takes them."""
        return [pair.pair() for pair in self.pairs]

    def options(self) -> Options:
        """How to align them."""
        return Options(attention=self.attention, unit=self.unit)


class AlignQuery(_Request):
    """What `GET /align` takes in its query string: one pair."""

    source_text: str = Field(description="The source text.")
    target_text: str | None = Field(
        None, description="The target text; left out, the source is translated."
    )
    attention: AttentionKind = Field(
        "alignment", description="Which matrix to return; see `POST /translate`."
    )
    unit: Unit = Field("token", description="What the rows and columns of the matrix are.")

    def request(self) -> AlignRequest:
        """The same question as a body would ask it."""
        pair = PairRequest(source_text=self.source_text, target_text=self.target_text)
        return AlignRequest(
            pairs=[pair],
            source=self.source,
            target=self.target,
            attention=self.attention,
            unit=self.unit,
        )


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


Span = Annotated[
    list[int],
    Field(min_length=2, max_length=2, description="Half-open, in Unicode code points."),
]
Matrix = Annotated[
    list[list[float]] | None,
    Field(description="`(target, source)`, rows sum to one; null if it was not asked for."),
]


class TokenAnswer(_Answer):
    """A subword piece; the text is the slice of its span."""

    text: str
    span: Span
    special: str | None = Field(None, description="`</s>` where the sentence ends.")
    score: float | None = Field(None, description="Log-probability; of target tokens only.")


class WordAnswer(_Answer):
    """A word; the text is the slice of its span."""

    text: str
    span: Span


class SideAnswer(_Answer):
    """The source or the target of a sentence; spans count from the start of the whole text."""

    text: str
    span: Span
    tokens: list[TokenAnswer]
    words: list[WordAnswer]


class LinkAnswer(_Answer):
    """Two words, by their index, that translate each other."""

    source: int
    target: int
    score: float = Field(ge=0, le=1)


class HypothesisAnswer(_Answer):
    """One translation of a sentence."""

    target: SideAnswer
    attention: Matrix
    alignment: list[LinkAnswer]
    score: float = Field(description="Mean log-probability of the tokens, `</s>` included.")
    finish_reason: Literal["stop", "length"]


class SentenceAnswer(HypothesisAnswer):
    """A source sentence with its best translation, and the others that were asked for."""

    source: SideAnswer
    alternatives: list[HypothesisAnswer]


class TranslationAnswer(_Answer):
    """A translated text."""

    text: str
    score: float = Field(description="Token-weighted mean over the sentences.")
    sentences: list[SentenceAnswer]


class ModelName(_Answer):
    """Which model answered."""

    name: str
    version: str


class TranslateAnswer(_Answer):
    """What `POST /translate` answers: a translation for each text, in order."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TRANSLATED]})

    model: ModelName
    translations: list[TranslationAnswer]


class AlignmentAnswer(_Answer):
    """An aligned pair."""

    source: SideAnswer
    target: SideAnswer
    attention: Matrix
    alignment: list[LinkAnswer]
    pharaoh: str = Field(description="The links once more, as `source-target`, space-separated.")
    score: float = Field(description="Mean log-probability of the target, given the source.")


class AlignAnswer(_Answer):
    """What `/align` answers: an alignment for each pair, in order."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ALIGNED]})

    model: ModelName
    alignments: list[AlignmentAnswer]


class LinkRuleAnswer(BaseModel):
    """How word links are read off an attention."""

    attention: str
    rule: str
    threshold: float


class LimitsAnswer(BaseModel):
    """The longest sentence that the model takes, and writes, in tokens without `</s>`."""

    source_tokens: int
    target_tokens: int


class ModelAnswer(BaseModel):
    """A loaded bundle, as its manifest describes it."""

    name: str
    version: str
    source: str
    target: str
    licence: str
    architecture: str
    parameters: int
    precision: str
    attention: list[str] = Field(description="The kinds that can be asked for.")
    alignment_from: str = Field(description="The attention that word links are drawn from.")
    link_rule: LinkRuleAnswer
    limits: LimitsAnswer
    metrics: list[dict[str, object]]


class LanguageAnswer(_Answer):
    """A source language, and what it can be translated into."""

    code: str
    name: str
    targets: list[str]


class HealthAnswer(_Answer):
    """The server is well."""

    status: Literal["live", "ready"]


class ErrorBody(_Answer):
    """A failure, for programs (`code`, `detail`) and people (`message`)."""

    code: str
    message: str
    request_id: str
    detail: dict[str, object] | None = None


class ErrorAnswer(_Answer):
    """What every failure answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.REFUSED]})

    error: ErrorBody


def read(shape: type[Shape], value: object) -> Shape:
    """A parsed body as `shape`; raises `RequestError`, which names each field that is wrong."""
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise invalid_request(found, ()) from None


def invalid_request(found: Iterable[Mapping[str, Any]], prefix: tuple[str, ...]) -> RequestError:
    """pydantic's errors as one of ours, without the input; `prefix` is dropped from each path."""
    errors = [
        {"field": _field(error["loc"][len(prefix) :]), "message": _message(error)}
        for error, _ in zip(found, range(MOST_ERRORS), strict=False)
    ]
    first = errors[0]
    where = first["field"] or "the body"
    return RequestError(f"{where}: {first['message']}", {"errors": errors})


_MESSAGES: Mapping[str, str] = {
    "extra_forbidden": "unknown field",
    "missing": "is required",
    "model_type": "should be a JSON object",
    "too_short": "should not be empty",
}


def _message(error: Mapping[str, Any]) -> str:
    message: str = _MESSAGES.get(error["type"], error["msg"])
    return message.removeprefix("Input ")


def _field(path: tuple[str | int, ...]) -> str:
    """`("pairs", 0, "source_text", "<list>", 1)` -> `pairs[0].source_text[1]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part not in _TAGS:
            text += f".{part[:100]}"
    return text.removeprefix(".")


def _frozen(text: str | list[str]) -> str | tuple[str, ...]:
    return text if isinstance(text, str) else tuple(text)
