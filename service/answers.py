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
Stretch = Annotated[
    list[int],
    Field(min_length=2, max_length=2, description="Half-open, in target words."),
]


class IntegerMatrix(_Answer):
    """A matrix as integers: weights times `scale`."""

    scale: int
    weights: list[list[int]]


Matrix = Annotated[
    list[list[float]] | IntegerMatrix | None,
    Field(description="`(target, source)`, rows sum to one; null if it was not asked for."),
]

Heads = Annotated[
    list[list[list[float]] | IntegerMatrix] | None,
    Field(description="A matrix for each head; `attention` is their mean. Only with `heads`."),
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


class EntropyAnswer(_Answer):
    """How spread an attention is: 0 is all on one word."""

    words: list[float] = Field(description="In nats, one a target word, `</s>` counted in.")
    mean: float


class CoverageAnswer(_Answer):
    """What attention a source word received from the target words."""

    received: float = Field(description="The sum.")
    strongest: float = Field(description="The most that one target word gave it.")
    linked: bool


class RepeatedAnswer(_Answer):
    """A source word that separate stretches of the target focus on."""

    source: int
    targets: list[Stretch]


class EvidenceAnswer(_Answer):
    """The best evidence in the sentence, whether or not it is enough for a warning."""

    omission: float
    hallucination: float


class WarningAnswer(_Answer):
    """Words that may be missing in the target, or made up there."""

    code: Literal["possible_omission", "possible_hallucination"]
    message: str = Field(description="For people; names the words.")
    words: list[int] = Field(
        description="Of the source for an omission, of the target for a hallucination."
    )
    spans: list[Span] = Field(description="One a word.")


class DiagnosticsAnswer(_Answer):
    """What the attentions over words tell of a sentence or pair; lists by kind of attention."""

    attention: str = Field(description="The kind that links, and all that has no kind, is from.")
    entropy: dict[str, EntropyAnswer]
    end_mass: dict[str, list[float]] = Field(description="Weight on `</s>`, one a target word.")
    coverage: list[CoverageAnswer] = Field(description="One a source word.")
    unattended: list[int] = Field(description="Source words that no target word looked at.")
    unsourced: list[int] = Field(description="Target words without link or clear attention.")
    repeated_focus: list[RepeatedAnswer]
    evidence: EvidenceAnswer
    warnings: list[WarningAnswer]


Told = Annotated[
    DiagnosticsAnswer | None, Field(description="Only where `diagnostics` were asked for.")
]


class HypothesisAnswer(_Answer):
    """One translation of a sentence."""

    target: SideAnswer
    attention: Matrix
    heads: Heads = None
    alignment: list[LinkAnswer]
    score: float = Field(description="Mean log-probability of the tokens, `</s>` included.")
    finish_reason: Literal["stop", "length"]


class SentenceAnswer(HypothesisAnswer):
    """A source sentence with its best translation, and the others that were asked for."""

    source: SideAnswer
    alternatives: list[HypothesisAnswer]
    diagnostics: Told = None


class TranslationAnswer(_Answer):
    """A translated text."""

    text: str
    score: float = Field(description="Token-weighted mean over the sentences.")
    sentences: list[SentenceAnswer]


class ModelName(_Answer):
    """Which model answered."""

    name: str
    version: str


class TimingAnswer(_Answer):
    """How long a request took, in milliseconds, and what it was made of."""

    queue: float = Field(description="Until its first sentence was taken from the queue.")
    encode: float = Field(description="While at least one of its sentences was encoded.")
    decode: float = Field(description="While at least one of its sentences was decoded.")
    total: float = Field(description="From its arrival until its answer was written as JSON.")
    steps: int = Field(description="Decoder steps of its sentences, added up.")
    source_tokens: int = Field(description="Tokens that were read, `</s>` included.")
    target_tokens: int = Field(description="Tokens that were written, `</s>` included.")


Timed = Annotated[TimingAnswer | None, Field(description="Only where `timing` was asked for.")]


class TranslateAnswer(_Answer):
    """What `POST /translate` answers: a translation for each text, in order."""

    model: ModelName
    translations: list[TranslationAnswer]
    timing: Timed = None


class AlignmentAnswer(_Answer):
    """An aligned pair."""

    source: SideAnswer
    target: SideAnswer
    attention: Matrix
    heads: Heads = None
    alignment: list[LinkAnswer]
    pharaoh: str = Field(description="The links once more, as `source-target`, space-separated.")
    score: float = Field(description="Mean log-probability of the target, given the source.")
    diagnostics: Told = None


class AlignAnswer(_Answer):
    """What `/align` answers: an alignment for each pair, in order."""

    model: ModelName
    reverse_model: ModelName | None = Field(
        default=None, description="The model of the other direction; only with `symmetrize`."
    )
    alignments: list[AlignmentAnswer]
    timing: Timed = None


class LinkRuleAnswer(BaseModel):
    """How word links are read off an attention."""

    attention: str
    rule: str
    threshold: float


class BoundsAnswer(BaseModel):
    """The evidence from which on diagnostics warn; 0 where there is nothing to read it off."""

    omission: float
    hallucination: float


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
    heads: dict[str, int] = Field(description="How many heads each kind has.")
    alignment_from: str = Field(description="The attention that word links are drawn from.")
    link_rule: LinkRuleAnswer
    warn_from: BoundsAnswer
    limits: LimitsAnswer
    metrics: list[dict[str, object]]


class LanguageAnswer(_Answer):
    """A source language, and what it can be translated into."""

    code: str
    name: str
    targets: list[str]


class BundleAnswer(_Answer):
    """A bundle of one version."""

    name: str
    version: str


class ReplacedAnswer(BundleAnswer):
    """A bundle that took the place of another version."""

    was: str = Field(description="The version that it replaced.")


class ReloadAnswer(_Answer):
    """What a reload did."""

    added: list[BundleAnswer]
    replaced: list[ReplacedAnswer]
    removed: list[BundleAnswer]
    kept: list[BundleAnswer] = Field(description="Not changed, and not disturbed.")


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
