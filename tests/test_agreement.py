"""Links of a second round: what the heads of both directions say together, in pieces."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from model_export import corpus
from model_export.agreement import _piece_links, agreed_links
from model_export.carrying import carried
from model_export.config import Sharpening
from model_export.run import Run, load_corpus
from service.alignment import Link
from service.bundle import Bundle
from service.keeping import STAND_INS
from service.segmentation import Span
from service.translation import Alignment, Side, Token, Word

COUNT = 40


@pytest.fixture
def run(toy_run: Run, tmp_path: Path) -> Run:
    """The trained toy run, whose recipe asks for links by the heads of some pairs."""
    folder = Path(shutil.copytree(toy_run.folder, tmp_path / "toy"))
    options = Sharpening(steps=1, by_heads=COUNT, symmetrization="union")
    recipe = dataclasses.replace(toy_run.recipe, sharpening=options)
    return Run(recipe, toy_run.data, folder)


def test_a_sample_of_the_pairs_is_linked_in_pieces(run: Run, toy_bundle: Bundle) -> None:
    told: list[str] = []
    links = agreed_links(run, toy_bundle, told.append)
    pairs = load_corpus(run)
    assert len(links) == len(pairs.source)
    linked = np.flatnonzero(links.lengths)
    assert COUNT // 2 < len(linked) <= COUNT
    assert told == [f"{COUNT} of {COUNT} pairs linked by both heads"]
    texts = carried(corpus.training_pairs(run.data, run.recipe.corpus), run.recipe)
    right = found = 0
    for i in linked.tolist():
        assert not set(STAND_INS) & set(texts[i].source + texts[i].target)
        packed = links[i]
        assert (packed >> 16).max() < len(pairs.source[i])
        assert (packed & 0xFFFF).max() < len(pairs.target[i])
        right += len(set(packed.tolist()) & set(pairs.links[i].tolist()))
        found += len(packed)
    assert right > found / 3, "the forward head knows the toy language; the other one guesses"


def test_the_sample_is_the_same_again(run: Run, toy_bundle: Bundle) -> None:
    first, second = (agreed_links(run, toy_bundle, lambda _: None) for _ in range(2))
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.starts, second.starts)


def side(text: str, pieces: list[tuple[int, int]], words: list[tuple[int, int]]) -> Side:
    tokens = [Token(text[a:b], Span(a, b)) for a, b in pieces]
    end = Token("", Span(len(text), len(text)), "</s>")
    named = tuple(Word(text[a:b], Span(a, b)) for a, b in words)
    return Side(text, Span(0, len(text)), (*tokens, end), named)


def test_a_piece_is_linked_to_the_piece_that_it_looks_at_within_a_linked_word() -> None:
    source = side("red cats", [(0, 3), (3, 7), (7, 8)], [(0, 3), (4, 8)])
    target = side("chats roux", [(0, 3), (3, 5), (5, 10)], [(0, 5), (6, 10)])
    links = (Link(0, 1, 1.0), Link(1, 0, 1.0))
    attention = np.array([[0.5, 0.4, 0.1, 0], [0.6, 0.1, 0.3, 0], [0.1, 0.9, 0, 0], [0, 0, 0, 1.0]])
    made = Alignment(source, target, attention.astype(np.float32), links, "", 0.0)
    found = {(packed >> 16, packed & 0xFFFF) for packed in _piece_links(made)}
    assert found == {(0, 2), (1, 0), (2, 1)}


def test_a_word_without_pieces_of_its_own_has_no_links() -> None:
    source = side("l'ami", [(0, 5)], [(0, 2), (2, 5)])
    target = side("friend", [(0, 6)], [(0, 6)])
    made = Alignment(source, target, np.eye(2, dtype=np.float32), (Link(0, 0, 1.0),), "", 0.0)
    assert list(_piece_links(made)) == []
