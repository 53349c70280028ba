"""The wire shapes of every answer: what the OpenAPI document shows.

`wire.py` builds answers without them, since validating a large matrix takes longer than writing
it; the tests hold the two together.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


Span = Annotated[
    list[int],
    Field(min_length=2, max_length=2, description="Half-open, in Unicode code points."),
]


class IntegerMatrix(_Answer):
    """A matrix as integers: weights times `scale`."""

    scale: int
    weights: list[list[int]]


Matrix = Annotated[
    list[list[float]] | IntegerMatrix | None,
    Field(description="`(target, source)`, rows sum to one; null if it was not asked for."),
]


class TokenAnswer(_Answer):
    """A subword piece; the text is the slice of its span."""

    text: str
    span: Span
    special: str | None = Field(default=None, description="`</s>` where the sentence ends.")
    score: float | None = Field(default=None, description="Log-probability; of target tokens only.")


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

    error: ErrorBody
