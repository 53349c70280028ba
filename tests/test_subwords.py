"""Subword models: spelling of every text, folding, special ids, and nothing of this machine."""

import random
from pathlib import Path

import pytest

from model_export.config import Language, RecipeError, Subwords
from model_export.subwords import BOS, EOS, FOLD, PAD, UNKNOWN, train_subwords
from service.tokenizer import Tokenizer
from service.words import words

TEXT = "the old house of my small black cat sees two red birds near that tall green tree"
WORDS = TEXT.split()
ENGLISH = Language("en", "English", " ", "uax29")
CHINESE = Language("zh", "Chinese", "", "jieba")
OPTIONS = Subwords(size=302, character_coverage=0.9999, required_characters="éœß€")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, trained on sentences of a few words and numbers."""
    rng = random.Random(0)
    made = tmp_path_factory.mktemp("subwords") / "source.model"
    texts = [f"{' '.join(rng.choices(WORDS, k=8))} isn't {n}." for n in range(1000, 1400)]
    train_subwords(iter(texts), OPTIONS.size, OPTIONS, ENGLISH, made)
    return made


@pytest.fixture(scope="module")
def tokenizer(path: Path) -> Tokenizer:
    return Tokenizer(path)


def test_special_pieces_have_their_ids(tokenizer: Tokenizer) -> None:
    assert (PAD, UNKNOWN, BOS, EOS) == (0, 1, 2, 3)
    assert (tokenizer.pad, tokenizer.bos, tokenizer.eos) == (PAD, BOS, EOS)
    assert tokenizer.size == OPTIONS.size


@pytest.mark.parametrize("text", ["The old house.", "你好 😀", "ЖЖ ñ \U0010ffff", "a  b", " x "])
def test_every_text_has_a_spelling(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text).ids
    assert not {PAD, UNKNOWN, BOS, EOS} & set(ids)
    assert tokenizer.decode(ids).text == " ".join(text.split())


def test_what_was_never_seen_is_spelled_in_bytes(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("你").ids) == 1 + len("你".encode()), "a space and three bytes"
    assert len(tokenizer.encode("house").ids) <= len("house") + 1


def test_required_characters_have_a_piece_though_unseen(tokenizer: Tokenizer) -> None:
    house = tokenizer.encode("house").ids
    for character in OPTIONS.required_characters:
        assert len(tokenizer.encode(f"house{character}").ids) == 1 + len(house)


@pytest.mark.parametrize(("odd", "plain"), FOLD.items(), ids=lambda text: f"U+{ord(text):04X}")
def test_typographic_variants_are_folded(tokenizer: Tokenizer, odd: str, plain: str) -> None:
    one, other = tokenizer.encode(f"isn{odd}t red"), tokenizer.encode(f"isn{plain}t red")
    assert one == other


def test_nothing_else_is_normalised(tokenizer: Tokenizer) -> None:
    for text in ("ﬁne", "ｆｕｌｌ", "cafe\u0301", "½", "HOUSE"):
        assert tokenizer.decode(tokenizer.encode(text).ids).text == text


def small(folder: Path, texts: list[str], size: int) -> Tokenizer:
    """A model of few texts, often repeated."""
    path = folder / "small.model"
    train_subwords(iter(texts * 50), size, Subwords(size, 1.0, ""), ENGLISH, path)
    return Tokenizer(path)


def test_digits_stand_alone(tmp_path: Path) -> None:
    tokenizer = small(tmp_path, ["see 1984", "home 1984", "mouse 1984"], 272)
    text = "home 1984"
    pieces = [span.of(text) for span in tokenizer.encode(text).spans]
    assert [piece for piece in pieces if piece.isdigit()] == ["1", "9", "8", "4"]


def test_a_model_learns_words_as_they_stand_after_a_space(tmp_path: Path) -> None:
    texts = ["house", "home", "mouse", "see"]
    tokenizer = small(tmp_path, texts, 270)
    firsts = [tokenizer.encode(text).spans[0] for text in texts]
    assert any(len(span) > 0 for span in firsts), "a space and a letter share a piece"


def test_a_word_is_spelled_alike_at_the_start_and_inside(tokenizer: Tokenizer) -> None:
    alone = tokenizer.encode("house").ids
    assert tokenizer.encode("the house").ids[-len(alone) :] == alone


def test_the_file_names_no_place_of_this_machine(path: Path) -> None:
    content = path.read_bytes()
    assert str(path.parent).encode() not in content
    assert b"fold.tsv" not in content
    assert Tokenizer(path).encode("isn\u2019t").ids == Tokenizer(path).encode("isn't").ids


def test_too_large_a_vocabulary_is_an_error_of_the_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"subwords.*Vocabulary size too high"):
        train_subwords(["a b c"] * 9, 5000, OPTIONS, ENGLISH, tmp_path / "source.model")
    assert not list(tmp_path.iterdir())


def test_only_the_model_is_left(path: Path) -> None:
    assert [file.name for file in path.parent.iterdir()] == ["source.model"]


@pytest.mark.parametrize(("within_words", "most"), [(False, 287), (True, 273)])
def test_no_piece_crosses_a_word_where_that_is_asked_for(
    tmp_path: Path, within_words: bool, most: int
) -> None:
    rng = random.Random(0)
    texts = [f"{rng.choice('我你她')}看{rng.choice('天地人山水')}的房子" for _ in range(400)]
    options = Subwords(most, 1.0, "", within_words)
    train_subwords(texts, options.size, options, CHINESE, tmp_path / "target.model")
    tokenizer = Tokenizer(tmp_path / "target.model", CHINESE.joiner)
    encoded = tokenizer.encode(texts[0])
    assert encoded.spans[0].start == 0
    assert tokenizer.decode(encoded.ids).text == texts[0]
    borders = {word.start for word in words(texts[0], "jieba")}
    crossing = [s for s in encoded.spans if any(s.start < at < s.end for at in borders)]
    assert (not crossing) == within_words
