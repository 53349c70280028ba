"""A recipe: everything that makes one bundle, read from TOML into frozen dataclasses.

An unknown key, a missing one or a wrong type is an error that names it, so that a typing
mistake never trains the wrong model for a day.
"""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class RecipeError(Exception):
    """A recipe that cannot be used; the message names the key."""


@dataclass(frozen=True, slots=True)
class Language:
    """One side of the bundle: BCP-47 code, name, joiner of given words, and word rule."""

    code: str
    name: str
    joiner: str
    words: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the sealed folder calls itself."""

    name: str
    licence: str
    source: Language
    target: Language


@dataclass(frozen=True, slots=True)
class Source:
    """Where a corpus comes from and under which licence; the model card says so.

    Every epoch draws `share` of its pairs afresh: 0.1 a tenth of them, 2.0 each one twice.
    """

    share: float
    licence: str
    attribution: str
    url: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Which pairs to train on; file names are relative to the data folder.

    `sources` maps the corpus ids of the third column to what is known of them.
    """

    files: tuple[str, ...]
    sources: Mapping[str, Source]
    max_characters: int
    max_ratio: float
    max_tokens: int
    dev: str


@dataclass(frozen=True, slots=True)
class Subwords:
    """SentencePiece unigram models, one a side."""

    size: int
    character_coverage: float
    required_characters: str


@dataclass(frozen=True, slots=True)
class Labels:
    """Guided-alignment links, of all pairs of all corpora."""

    symmetrization: str


@dataclass(frozen=True, slots=True)
class Variety:
    """How training texts vary from epoch to epoch, as shares of the texts, 0 to 1.

    `source_splits` and `target_splits` are split into pieces by chance instead of the best
    way (subword regularization, Kudo 2018; `smoothness` is its alpha: the lower, the
    wilder); `lower_case` sources lose their capitals, `unfinished` ones their last mark.
    """

    source_splits: float
    target_splits: float
    smoothness: float
    lower_case: float
    unfinished: float


@dataclass(frozen=True, slots=True)
class Model:
    """Sizes of the network, the spread of its first embeddings, and its dropout.

    `encoder` is the size of one direction of each of `encoder_layers`, `decoder_top` that
    of a second GRU above the attention (0: none). The target embedding is the output
    projection too, and so the greater part of a decoder step's work.
    `dropout` falls on embeddings, between encoder layers and on the features before the
    output, `word_dropout` on whole tokens of either side (Gal and Ghahramani 2016; Sennrich
    and Zhang 2019).
    """

    source_embedding: int
    target_embedding: int
    embedding_std: float
    encoder: int
    encoder_layers: int
    decoder: int
    decoder_top: int
    alignment_head: int
    dropout: float
    word_dropout: float


@dataclass(frozen=True, slots=True)
class Training:
    """The schedule; counts are optimizer steps, batch sizes padded tokens."""

    batch_tokens: int
    steps: int
    warmup: int
    learning_rate: float
    weight_decay: float
    clip: float
    label_smoothing: float
    sampled_vocabulary: int
    full_softmax_from: float
    cross_attention_weight: float
    alignment_weight: float
    dev_every: int
    dev_sentences: int
    patience: int
    checkpoint_minutes: float
    seed: int


@dataclass(frozen=True, slots=True)
class Refinement:
    """How the model learns from its own beam search once it is trained; 0 steps: not at all.

    It translates `pairs` of the training pairs, and the source texts of other `files` whose
    corpus id is one of `corpora`; then it is trained on for `steps`.
    """

    beam_size: int
    pairs: int
    files: tuple[str, ...]
    corpora: tuple[str, ...]
    steps: int
    warmup: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Which sets measure the bundle: name to file, relative to the data folder."""

    translation: tuple[str, ...]
    alignment: tuple[str, ...]
    tuning: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """One bundle, from data to measure."""

    bundle: Bundle
    corpus: Corpus
    subwords: Subwords
    labels: Labels
    variety: Variety
    model: Model
    training: Training
    refinement: Refinement
    evaluation: Evaluation


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; raises `RecipeError` that names the key at fault."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not TOML: {error}") from error
    recipe = _build(Recipe, table, "")
    assert isinstance(recipe, Recipe)
    return recipe


def _build(kind: type, table: object, at: str) -> object:
    if not isinstance(table, dict):
        raise RecipeError(f"[{at}] must be a table")
    hints = typing.get_type_hints(kind)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        raise RecipeError(f"unknown key {_join(at, unknown[0])}")
    values = {}
    for name, hint in hints.items():
        if name not in table:
            raise RecipeError(f"missing key {_join(at, name)}")
        values[name] = _value(hint, table[name], _join(at, name))
    return kind(**values)


def _value(hint: object, value: object, at: str) -> object:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, at)
    if isinstance(hint, types.GenericAlias) and hint.__origin__ is Mapping:
        if not isinstance(value, dict):
            raise RecipeError(f"{at} must be a table")
        return {key: _value(hint.__args__[1], item, _join(at, key)) for key, item in value.items()}
    if isinstance(hint, types.GenericAlias):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise RecipeError(f"{at} must be a list of strings")
        return tuple(value)
    if hint is float and type(value) is int:
        return float(value)
    if not isinstance(hint, type) or type(value) is not hint:
        raise RecipeError(f"{at} must be of type {getattr(hint, '__name__', hint)}")
    return value


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name
