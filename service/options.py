"""What a caller may choose of a translation or an alignment, and the pairs that it gives."""

from dataclasses import dataclass
from typing import Literal

from service.deadline import Deadline

AttentionKind = Literal["cross", "alignment", "none"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may choose; `max_length` is in target tokens, None: by the source.

    `attention` None is `cross` of a translation and `alignment` of an alignment, where the
    model has it; `heads` asks for that attention head by head, beside their mean. `deadline`
    None is a usual one from the call on. `script` is how a Chinese target is written, as
    `scripts.variant` says it.
    """

    beam_size: int = 1
    n_best: int = 1
    attention: AttentionKind | None = None
    unit: Literal["token", "word"] = "token"
    split_sentences: bool = True
    max_length: int | None = None
    length_penalty: float = 1.0
    deadline: Deadline | None = None
    diagnostics: bool = False
    heads: bool = False
    script: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """A source and its translation: texts, or lists of words; None is translated first."""

    source: str | tuple[str, ...]
    target: str | tuple[str, ...] | None
