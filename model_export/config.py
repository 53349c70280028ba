"""What a recipe says: everything that makes one bundle, as frozen dataclasses.

An unknown key, a missing one or a wrong type is an error that names it, so that a typing
mistake never trains the wrong model for a day. Only what belongs to some kinds of a part
may be left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SEPARATOR = " ||| "
"""Between source and target of a watched pair."""

RECURRENT = frozenset({"lstm", "gru"})
ATTENTIONS = frozenset({"additive", "dot", "general", "concat", "local-p", "multi-head", "none"})
WIDEST_HEAD = 128
"""Of a Transformer encoder: ONNX Runtime cuts longer sums in pieces, by the width of a batch."""


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
class Origin:
    """Where a corpus comes from and under which licence; the model card says so."""

    licence: str
    attribution: str
    url: str


@dataclass(frozen=True, slots=True)
class Source:
    """A corpus to train on, and its origin.

    Every epoch draws `share` of its pairs afresh: 0.1 a tenth of them, 2.0 each one twice.
    """

    share: float
    licence: str
    attribution: str
    url: str


@dataclass(frozen=True, slots=True)
class RareWords:
    """Words of which an epoch is to have each so many `times`; 0: as it comes.

    They are words of the source, or of the `target`, whichever has spaces between them. A word
    must be `known` from that many pairs, and a text may have `longest` words to be drawn for one.
    """

    times: float = 0.0
    target: bool = False
    known: int = 3
    longest: int = 20


@dataclass(frozen=True, slots=True)
class Corpus:
    """Which pairs to train on; file names are relative to the data folder.

    `sources` maps the corpus ids of the third column to what is known of them; a recipe gives
    their `shares` alone and names the `catalogue`, a file beside it, that knows the rest. If
    the data is `reversed`, its first column is the target, here and in what measures the bundle.
    Targets get a space before their `spaced_marks`, as French has it.
    """

    files: tuple[str, ...]
    sources: Mapping[str, Source]
    max_characters: int
    max_ratio: float
    max_tokens: int
    dev: str
    reversed: bool = False
    rare_words: RareWords = RareWords()
    spaced_marks: str = ""


@dataclass(frozen=True, slots=True)
class Subwords:
    """SentencePiece unigram models, one a side; no piece crosses a word's border if `within_words`.

    Languages without spaces need that: no link rule can mend a piece such as 的房子.
    """

    size: int
    character_coverage: float
    required_characters: str
    within_words: bool = False


@dataclass(frozen=True, slots=True)
class Labels:
    """Guided-alignment links, of all pairs of all corpora."""

    symmetrization: str


@dataclass(frozen=True, slots=True)
class Keeping:
    """Whether the model learns to carry over what a translation keeps, by stand-ins.

    `names` is the share of the training pairs whose names are swapped for stand-ins too: words
    that both sides have, and those that the target has as `spelled` says. `numbers` is the share of
    those whose numbers are, down to two digits, which are kept in what is translated then, and
    `number_words` of those where numbers in words are too. So are names that an epoch has fewer
    than `rare_names` times (0: none are).
    """

    stand_ins: bool = False
    names: float = 0.0
    rare_names: float = 0.0
    numbers: float = 0.0
    number_words: float = 0.0
    spelled: Mapping[str, str] = field(default_factory=dict)


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
class Encoder:
    """What reads the source: `lstm` or `gru`, in both directions, or `transformer`.

    `size` is the width of what it says of a token, both directions together; `heads` and
    `inner` (the width of the feed-forward part) are a Transformer's alone.
    """

    kind: str
    embedding: int
    size: int
    layers: int
    heads: int = 0
    inner: int = 0


@dataclass(frozen=True, slots=True)
class Decoder:
    """What writes the target: `gru`, `lstm` or `transformer`.

    The target embedding is the output projection too, and so the greater part of a step's
    work. A recurrent decoder has one layer below its attention and, unless `top` is 0, one
    of that size above; with `input_feeding` it reads its own last features along with each
    token. `layers`, `heads` and `inner` are a Transformer's alone.
    """

    kind: str
    embedding: int
    size: int
    top: int = 0
    input_feeding: bool = False
    layers: int = 1
    heads: int = 0
    inner: int = 0


@dataclass(frozen=True, slots=True)
class Attention:
    """The cross-attention: one of `ATTENTIONS`.

    `size` is the hidden width of `additive` and `concat`, `window` that of `local-p` in
    tokens, `heads` those of `multi-head`.
    """

    kind: str
    size: int = 0
    window: int = 0
    heads: int = 1


@dataclass(frozen=True, slots=True)
class Model:
    """The network: its parts, the spread of its first embeddings, and its dropout.

    `alignment_head` is the width of the alignment head (0: none). `dropout` falls on
    embeddings, between layers and on the features before the output, `word_dropout` on
    whole tokens of either side (Gal and Ghahramani 2016; Sennrich and Zhang 2019).
    """

    encoder: Encoder
    decoder: Decoder
    attention: Attention
    alignment_head: int
    embedding_std: float
    dropout: float
    word_dropout: float


@dataclass(frozen=True, slots=True)
class Training:
    """The schedule; counts are optimizer steps, batch sizes padded tokens.

    `averaging` is the decay a step of the moving average of the weights, which is what is measured
    and kept (Polyak and Juditsky 1992); 0: the weights as they are. With a `consistency` batches
    have half as many tokens and are read twice, with other units dropped, and it is the weight of
    how far the two readings differ (R-Drop, Wu et al. 2021). `watched` are pairs,
    `source ||| target`, whose attention `explain` shows as it forms.
    """

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
    averaging: float = 0.0
    consistency: float = 0.0
    watched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refinement:
    """How the model learns from its own beam search once it is trained; 0 steps: not at all.

    It translates `pairs` of the training pairs, and the texts in the first column of other
    `files` whose corpus id is one of `corpora`. Those of `back_files` and `back_corpora` are
    of the target language: the bundle of the other direction translates them back, and so it does
    with the targets of `back_pairs` of the training pairs; of each, as many hypotheses are learnt
    from as `back_variants`, at most `beam_size`. Of `lexica`, training corpora of words, each entry
    that other corpora have fewer than `seldom` times is used in so many of these texts, if they
    have its target side. Then the model is trained on for `steps`. What a
    training pair was translated to is learnt if its chrF against the reference is `least_chrf` or
    more. An epoch has training pairs by their share raised to `share_power`: above 1 there is less
    of what training had little of. `consistency` is that of this schedule. `origins` are those of
    all these corpora, from the catalogue where there is one.
    """

    beam_size: int
    pairs: int
    files: tuple[str, ...]
    corpora: tuple[str, ...]
    steps: int
    warmup: int
    learning_rate: float
    back_files: tuple[str, ...] = ()
    back_corpora: tuple[str, ...] = ()
    back_pairs: int = 0
    back_variants: int = 1
    lexica: Mapping[str, int] = field(default_factory=dict)
    seldom: int = 20
    least_chrf: float = 0.0
    share_power: float = 1.0
    consistency: float = 0.0
    origins: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sharpening:
    """How the alignment head is trained on alone; 0 steps: not at all.

    Its links are those of the aligner in both directions, or, of `by_heads` pairs, those of the
    heads of both directions, merged by `symmetrization`. An epoch has pairs by their share raised
    to `share_power`: 1 as in training, 0 every pair once.
    """

    symmetrization: str = "grow-diag"
    by_heads: int = 0
    share_power: float = 0.5
    steps: int = 0
    warmup: int = 100
    learning_rate: float = 2e-3


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Which sets measure the bundle: files, relative to the data folder.

    The link rule is chosen on the first `tuning_lines` of `tuning`, all if 0, and what is left
    of that set measures the bundle like any other; it is of the `rules`, so that both directions
    can have the same one, which merge better. Without gold alignments it is a usual one.
    `remark` stands under the scores in the model card, for what a reader may compare them with.
    """

    translation: tuple[str, ...]
    alignment: tuple[str, ...] = ()
    tuning: str = ""
    tuning_lines: int = 0
    rules: tuple[str, ...] = ("mutual-best", "strong-share")
    remark: str = ""


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
    keeping: Keeping = Keeping()
    sharpening: Sharpening = Sharpening()


def check(model: Model) -> None:
    """Raise `RecipeError` for parts that do not exist or do not fit together."""
    encoder, decoder, attention = model.encoder, model.decoder, model.attention
    for part, kind, known in (
        ("encoder", encoder.kind, RECURRENT | {"transformer"}),
        ("decoder", decoder.kind, RECURRENT | {"transformer"}),
        ("attention", attention.kind, ATTENTIONS),
    ):
        if kind not in known:
            raise RecipeError(f"model.{part}.kind must be one of {', '.join(sorted(known))}")
    for part, layers in (("encoder", encoder.layers), ("decoder", decoder.layers)):
        if layers < 1:
            raise RecipeError(f"model.{part}.layers must be at least 1")
    if decoder.kind in RECURRENT and decoder.layers > 1:
        raise RecipeError("a recurrent decoder has one layer, and another with model.decoder.top")
    if encoder.kind in RECURRENT and encoder.size % 2:
        raise RecipeError("model.encoder.size must be even: half of it is a direction")
    if attention.kind == "dot" and encoder.size != decoder.size:
        raise RecipeError("dot attention needs model.encoder.size = model.decoder.size")
    if attention.kind in {"additive", "concat"} and attention.size < 1:
        raise RecipeError(f"{attention.kind} attention needs model.attention.size")
    if attention.kind == "local-p" and attention.window < 1:
        raise RecipeError("local-p attention needs model.attention.window")
    if model.alignment_head < 0:
        raise RecipeError("model.alignment_head must be a width, or 0 for none")
    _check_transformers(model)


def _check_transformers(model: Model) -> None:
    encoder, decoder, attention = model.encoder, model.decoder, model.attention
    if decoder.kind == "transformer":
        if attention.kind != "multi-head":
            raise RecipeError("a Transformer decoder has multi-head attention")
        if decoder.top or decoder.input_feeding:
            raise RecipeError("model.decoder.top and input_feeding are of recurrent decoders")
    if attention.kind == "multi-head":
        _check_heads("attention", encoder.size, attention.heads)
    for name, part in (("encoder", encoder), ("decoder", decoder)):
        if part.kind == "transformer":
            _check_heads(name, part.size, part.heads)
            if part.size % 2:
                raise RecipeError(f"model.{name}.size must be even: half of a place is sines")
            if part.inner < 1:
                raise RecipeError(f"a Transformer needs model.{name}.inner")
    if encoder.kind == "transformer" and encoder.size > WIDEST_HEAD * encoder.heads:
        raise RecipeError(f"a head of model.encoder may be at most {WIDEST_HEAD} wide")


def _check_heads(part: str, size: int, heads: int) -> None:
    if heads < 1 or size % heads:
        raise RecipeError(f"model.{part}.heads must divide its size, {size}")
