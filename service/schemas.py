"""The wire shapes of every request, and `read`, which takes a parsed body as one of them.

Reading is strict: 5 is not "5", and an unknown field is an error that names it. The shapes of
answers are in `answers.py`.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from service import scripts
from service.deadline import Deadline
from service.errors import RequestError
from service.options import AttentionKind, Options, Pair
from service.symmetrization import Method

MatrixForm = Literal["decimals", "integers"]
Shape = TypeVar("Shape", bound=BaseModel)

MOST_ERRORS = 20
"""A body of nonsense is not answered with a list as long as itself."""

_TAGS = ("<string>", "<list>")


def _string_or_list(value: object) -> str | None:
    if isinstance(value, str):
        return "<string>"
    return "<list>" if isinstance(value, list) else None


_String = Annotated[str, Tag("<string>")]
_ANY_OF = Discriminator(
    _string_or_list,
    custom_error_type="string_or_list_type",
    custom_error_message="should be a string or a list of strings",
)
Texts = Annotated[
    _String | Annotated[list[str], Field(min_length=1, fail_fast=True), Tag("<list>")], _ANY_OF
]
TextOrWords = Annotated[
    _String | Annotated[list[str], Field(fail_fast=True), Tag("<list>")], _ANY_OF
]
SourceCode = Annotated[
    str | None,
    Field(
        max_length=64,
        description="BCP-47 code of the source language, in any case; a region that no bundle "
        "has falls back to its base language. May be left out where exactly one bundle fits.",
    ),
]
TargetCode = Annotated[
    str | None, Field(max_length=64, description="The same of the target language.")
]


Timeout = Annotated[
    float | None,
    Field(
        gt=0,
        allow_inf_nan=False,
        description="Seconds after which the work is dropped and the answer is "
        "`deadline_exceeded`; never more than `INTERLINEA_TIMEOUT_SECONDS`, which is the default.",
    ),
]
Form = Annotated[
    MatrixForm,
    Field(
        description="`decimals`: a matrix is a list of rows of numbers. `integers`: an object with "
        "`scale` and `weights`, integers that are the weights times the scale; half the bytes.",
    ),
]
Diagnose = Annotated[
    bool,
    Field(
        description="Whether to tell what the attentions over words say: entropy, coverage, words "
        "that nothing translates, and warnings of a possible omission or hallucination.",
    ),
]
Heads = Annotated[
    bool,
    Field(description="Whether to return the matrix of each head too, beside their mean."),
]
Timed = Annotated[
    bool,
    Field(
        description="Whether the answer tells how long it took: waiting, encoding, decoding and "
        "all together, in milliseconds.",
    ),
]
Unit = Annotated[
    Literal["token", "word"], Field(description="What the rows and columns of the matrix are.")
]
Symmetrize = Annotated[
    Method | None,
    Field(
        description="Align in both directions and merge the links in this way, as Moses does; it "
        "needs a model for the other direction. null: links of the asked direction only.",
        examples=["grow-diag-final-and"],
    ),
]


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class TranslateRequest(_Request):
    """What `POST /translate` takes."""

    text: Texts = Field(description="A text, or a list of texts.")
    source: SourceCode = None
    target: TargetCode = None
    beam_size: int = Field(
        default=1,
        description="How many hypotheses the search keeps; 1 is greedy.",
        json_schema_extra={"minimum": 1},
    )
    n_best: int = Field(
        default=1,
        description="How many translations of each sentence to return, the best included; at most "
        "`beam_size`. The others are in `alternatives`.",
        json_schema_extra={"minimum": 1},
    )
    attention: AttentionKind | None = Field(
        default=None,
        description="`cross`: what the decoder looked at before it chose each token. `alignment`: "
        "what the alignment head says once the token is known. `none`: no matrix. By default "
        "`cross`, or `none` where the model has no such attention.",
    )
    heads: Heads = False
    unit: Unit = "token"
    split_sentences: bool = Field(
        default=True,
        description="Whether to translate sentence by sentence; otherwise a text is one.",
    )
    max_length: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="Most target tokens of a sentence; by default it depends on the source.",
    )
    length_penalty: float = Field(
        default=1.0,
        ge=0,
        le=5,
        allow_inf_nan=False,
        description="Hypotheses of a beam rank by total log-probability / length ** this; more "
        "favours longer ones.",
    )
    timeout: Timeout = None
    matrix: Form = "decimals"
    diagnostics: Diagnose = False
    timing: Timed = False

    def texts(self) -> list[str]:
        """The texts, of which a lone string is one."""
        return [self.text] if isinstance(self.text, str) else self.text

    def options(self, longest: float, since: float) -> Options:
        """How to translate them, in at most `longest` seconds `since` they came."""
        return Options(
            length_penalty=self.length_penalty,
            deadline=Deadline(min(longest, self.timeout or longest), since),
            beam_size=self.beam_size,
            n_best=self.n_best,
            attention=self.attention,
            heads=self.heads,
            unit=self.unit,
            split_sentences=self.split_sentences,
            max_length=self.max_length,
            diagnostics=self.diagnostics,
            script=scripts.variant(self.target),
        )


class PairRequest(_Request):
    """Two texts to align; each is a string, or a list of its words."""

    source_text: TextOrWords = Field(description="The source text, or its words.")
    target_text: TextOrWords | None = Field(
        default=None,
        description="The target text, or its words; left out, the source is translated.",
    )

    def pair(self) -> Pair:
        """The pair as the translator takes it."""
        return Pair(
            _frozen(self.source_text),
            None if self.target_text is None else _frozen(self.target_text),
        )


class AlignRequest(_Request):
    """What `POST /align` takes."""

    pairs: list[PairRequest] = Field(
        min_length=1,
        fail_fast=True,
        description="The pairs to align; each is one unit, never split.",
    )
    source: SourceCode = None
    target: TargetCode = None
    attention: AttentionKind | None = Field(
        default=None,
        description="Which matrix to return, see `/translate`; by default `alignment`, or `none` "
        "where the model has no such attention.",
    )
    heads: Heads = False
    unit: Unit = "token"
    symmetrize: Symmetrize = None
    timeout: Timeout = None
    matrix: Form = "decimals"
    diagnostics: Diagnose = False
    timing: Timed = False

    def translator_pairs(self) -> list[Pair]:
        """The pairs as the translator takes them."""
        return [pair.pair() for pair in self.pairs]

    def options(self, longest: float, since: float) -> Options:
        """How to align them, in at most `longest` seconds `since` they came."""
        return Options(
            attention=self.attention,
            heads=self.heads,
            unit=self.unit,
            deadline=Deadline(min(longest, self.timeout or longest), since),
            diagnostics=self.diagnostics,
            script=scripts.variant(self.target),
        )


class AlignQuery(_Request):
    """What `GET /align` takes in its query string: one pair."""

    source_text: str = Field(description="The source text.")
    target_text: str | None = Field(
        default=None, description="The target text; left out, the source is translated."
    )
    source: SourceCode = None
    target: TargetCode = None
    attention: AttentionKind | None = Field(
        default=None, description="Which matrix to return; see `POST /align`."
    )
    heads: Annotated[Heads, Field(strict=False)] = False  # a query holds strings only
    unit: Unit = "token"
    symmetrize: Symmetrize = None
    diagnostics: Annotated[Diagnose, Field(strict=False)] = False
    timing: Annotated[Timed, Field(strict=False)] = False

    def request(self) -> AlignRequest:
        """The same question as a body would ask it."""
        pair = PairRequest(source_text=self.source_text, target_text=self.target_text)
        return AlignRequest(
            pairs=[pair],
            source=self.source,
            target=self.target,
            attention=self.attention,
            heads=self.heads,
            unit=self.unit,
            symmetrize=self.symmetrize,
            diagnostics=self.diagnostics,
            timing=self.timing,
        )


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
    where = f"{first['field']}:" if first["field"] else "the body"
    return RequestError(f"{where} {first['message']}", {"errors": errors})


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
