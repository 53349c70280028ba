"""Tokenizer: nothing is lost, and every span slices its own text."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_export.subwords import FOLD
from service.errors import DamagedBundle, InvalidEncoding
from service.tokenizer import Tokenizer

SHIPPED = Path(__file__).parents[1] / "service" / "bundles" / "en-fr"
SOURCE = Tokenizer(SHIPPED / "source.model")
TARGET = Tokenizer(SHIPPED / "target.model")

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def folded(text: str) -> str:
    return "".join(FOLD.get(character, character) for character in text)


@given(TEXTS)
@example("👩‍👩‍👧 e\u0301 שלום \x00 ▁ \u200b \n")
@example("▁")
@example("▁▁ ▁a")
@example("  two  spaces  ")
@example("\ufffd\U0010ffff")
@example("don’t\u00a0stop")
def test_round_trip_keeps_every_character_but_spaces_too_many(text: str) -> None:
    plain = re.sub(r"(?<=[(\[]) ", "", " ".join(filter(None, folded(text).split(" "))))
    for tokenizer in (SOURCE, TARGET):
        assert tokenizer.decode(tokenizer.encode(text).ids).text == plain


@given(TEXTS)
@example("a▁b 😀")
@example(" \n x")
def test_source_spans_are_in_order_and_cover_everything_but_spaces(text: str) -> None:
    encoded = SOURCE.encode(text)
    assert len(encoded.ids) == len(encoded.spans)
    at = 0
    for span in encoded.spans:
        assert at <= span.start <= span.end <= len(text)
        assert folded(text[at : span.start]).strip(" ") == ""
        at = span.end
    assert folded(text[at:]).strip(" ") == ""


@given(st.lists(st.integers(0, SOURCE.size - 1), max_size=20))
def test_any_ids_spell_a_text_with_a_span_for_each(ids: list[int]) -> None:
    decoded = TARGET.decode(ids)
    assert len(decoded.spans) == len(ids)
    at = 0
    for span in decoded.spans:
        assert at <= span.start <= span.end <= len(decoded.text)
        assert decoded.text[at : span.start].strip(" ") == ""
        at = span.end
    assert at == len(decoded.text)


@given(st.lists(st.integers(0, SOURCE.size - 1), max_size=20))
@example([TARGET.size - 1] * 3)
def test_a_text_that_grows_token_by_token_is_the_text(ids: list[int]) -> None:
    spelling = TARGET.spelling()
    assert "".join(spelling.add(piece) for piece in ids) + spelling.end() == TARGET.decode(ids).text


@given(st.binary(max_size=12), TEXTS)
def test_bytes_that_come_one_by_one_spell_the_same(noise: bytes, text: str) -> None:
    first_byte = TARGET.encode("\u2581").ids[0] - "\u2581".encode()[0]
    ids = [first_byte + value for value in noise + text[:4].encode() + noise]
    spelling = TARGET.spelling()
    assert "".join(spelling.add(piece) for piece in ids) + spelling.end() == TARGET.decode(ids).text


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    return [text[span.start : span.end] for span in tokenizer.encode(text).spans]


def test_a_word_is_the_same_piece_at_the_start_and_inside() -> None:
    start, inside = SOURCE.encode("you").ids, SOURCE.encode("are you").ids
    assert start == inside[-1:]


def test_spans_leave_out_the_space_before_a_word() -> None:
    assert pieces(SOURCE, "How was your day?") == ["How", "was", "your", "day", "?"]


def test_the_last_byte_of_a_character_carries_it() -> None:
    assert pieces(SOURCE, "a 😀")[-4:] == ["", "", "", "😀"]


def test_bytes_that_spell_nothing_become_the_replacement_character() -> None:
    ids = SOURCE.encode("😀").ids
    cut = ids[:-1]
    decoded = SOURCE.decode(cut)
    assert decoded.text == "\ufffd" * 3
    assert [len(span) for span in decoded.spans[-3:]] == [1, 1, 1]


def test_typographic_apostrophes_read_as_plain_ones() -> None:
    assert SOURCE.encode("don’t").ids == SOURCE.encode("don't").ids


@pytest.mark.parametrize("text", ["\ud800", "a \udfff b"])
def test_a_lone_surrogate_is_refused(text: str) -> None:
    with pytest.raises(InvalidEncoding):
        SOURCE.encode(text)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.model"
    path.write_bytes(b"not a model")
    with pytest.raises(DamagedBundle, match=r"broken\.model"):
        Tokenizer(path)


def test_a_language_without_spaces_has_none_at_the_start() -> None:
    joined = Tokenizer(SHIPPED / "source.model", "")
    assert joined.encode("who").ids != SOURCE.encode("who").ids
    for text in ("who", " who", "who are"):
        encoded = joined.encode(text)
        assert joined.decode(encoded.ids).text == text.strip()
