"""Trains the two SentencePiece models of a bundle.

Unigram (Kudo 2018) with byte fallback, so that every text has a spelling. Nothing is
normalised but what `FOLD` lists: characters that mean the same to a translator and that
keyboards and editors exchange freely. The table is stored inside the model file.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from model_export.config import Language, RecipeError, Subwords
from service.words import words

FOLD = {
    "\u2019": "'",
    "\u2018": "'",
    "\u02bc": "'",
    "\u00a0": " ",
    "\u202f": " ",
    "\u2009": " ",
    "\u3000": " ",
    "\t": " ",
    "\n": " ",
    "\r": " ",
}
PAD, UNKNOWN, BOS, EOS = 0, 1, 2, 3
SPACE = "\u2581"
BORDER = "\u241f"
"""Stands between words in what a model is trained on, and in no piece."""
Arrival = tuple[int, int, float]
"""The start of a piece, its id, and the log of the weight of all splits that end in it."""


def train_subwords(
    texts: Iterable[str], size: int, options: Subwords, language: Language, path: Path
) -> None:
    """Train a model of `size` pieces on `texts` and write it to `path` (a `.model` file).

    Raises `RecipeError`, say where the texts are too few for so many pieces.
    """
    rules = path.with_suffix(".fold.tsv")
    rules.write_text("".join(_rule(a, b) for a, b in FOLD.items()), encoding="utf-8")
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_opened(texts, options, language),
            pretokenization_delimiter=BORDER if options.within_words else "",
            model_prefix=str(path.with_suffix("")),
            model_type="unigram",
            vocab_size=size,
            character_coverage=options.character_coverage,
            required_chars=options.required_characters,
            byte_fallback=True,
            normalization_rule_tsv=str(rules),
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_digits=True,
            pad_id=PAD,
            unk_id=UNKNOWN,
            bos_id=BOS,
            eos_id=EOS,
            max_sentence_length=8192,
            num_threads=2,
            minloglevel=1,
        )
    except RuntimeError as error:
        raise RecipeError(f"the subwords cannot be trained: {error}") from error
    finally:
        rules.unlink()
    path.with_suffix(".vocab").unlink(missing_ok=True)
    _forget_paths(path)


class Splitter:
    """Splits text into pieces in the best way or by chance; knows what pieces cover.

    Text is as pieces spell it, with the space that opens every text.
    """

    def __init__(self, path: Path) -> None:
        self._model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        count = range(self._model.get_piece_size())
        self._pieces = [str(self._model.id_to_piece(i)).replace(SPACE, " ") for i in count]
        self._opaque = {i for i in count if self._model.is_byte(i) or self._model.is_unknown(i)}
        hidden = {i for i in count if self._model.is_control(i) or self._model.is_unused(i)}
        self._scores = {
            self._pieces[i]: (i, float(self._model.get_score(i)))
            for i in count
            if i not in self._opaque | hidden
        }
        self._longest = max(map(len, self._scores))

    def text(self, ids: Sequence[int]) -> str | None:
        """Return what `ids` spell; None if bytes are among them."""
        if self._opaque.intersection(ids):
            return None
        return "".join(self._pieces[i] for i in ids)

    def widths(self, ids: Sequence[int]) -> list[int]:
        """Return how many characters each piece covers."""
        return [len(self._pieces[i]) for i in ids]

    def split(self, text: str) -> list[int]:
        """Return the best split into pieces."""
        return list(self._model.encode(text))

    def sample(self, text: str, smoothness: float, rng: np.random.Generator) -> list[int]:
        """Return a split drawn in proportion to its probability to the power `smoothness`.

        Forward filtering and backward sampling over all splits (Kudo 2018, section 3.2).
        The library's own sampling cannot be repeated in another process. A text with
        characters that no piece spells keeps its best split.
        """
        mass: list[float] = [0.0]
        arrivals: list[list[Arrival]] = [[]]
        for end in range(1, len(text) + 1):
            arriving = [
                (start, piece[0], mass[start] + smoothness * piece[1])
                for start in range(max(0, end - self._longest), end)
                if (piece := self._scores.get(text[start:end])) and mass[start] > -math.inf
            ]
            arrivals.append(arriving)
            mass.append(_log_sum([weight for *_, weight in arriving]))
        if mass[-1] == -math.inf:
            return self.split(text)
        ids, end = [], len(text)
        while end > 0:
            end, piece_id, _ = _drawn(arrivals[end], mass[end], rng.random())
            ids.append(piece_id)
        return ids[::-1]


def _drawn(arriving: list[Arrival], mass: float, chance: float) -> Arrival:
    for arrival in arriving:
        chance -= math.exp(arrival[2] - mass)
        if chance < 0:
            return arrival
    return arriving[-1]


def _log_sum(weights: Sequence[float]) -> float:
    top = max(weights, default=-math.inf)
    return top + math.log(sum(math.exp(w - top) for w in weights)) if weights else top


def _forget_paths(path: Path) -> None:
    """Blank the file names of this machine, which the trainer writes into the model."""
    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    model.ParseFromString(path.read_bytes())
    model.trainer_spec.model_prefix = ""
    model.normalizer_spec.normalization_rule_tsv = ""
    path.write_bytes(model.SerializeToString())


def _opened(texts: Iterable[str], options: Subwords, language: Language) -> Iterator[str]:
    """Yield texts as the tokenizer encodes them, with the borders that no piece may cross."""
    opening = " " if language.joiner else ""
    for text in texts:
        yield opening + (_bordered(text, language.words) if options.within_words else text)


def _bordered(text: str, rule: str) -> str:
    parts, at = [], 0
    for word in words(text, rule):
        parts += [BORDER if word.start == at and at else text[at : word.start], word.of(text)]
        at = word.end
    return "".join([*parts, text[at:]])


def _rule(source: str, target: str) -> str:
    return f"{ord(source):04X}\t{ord(target):04X}\n"
