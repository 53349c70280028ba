"""Folding attention to words, and links."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.alignment import RULES, Link, fold, links, membership, pharaoh
from service.errors import DamagedBundle
from service.segmentation import Span


def test_pieces_belong_to_the_word_that_they_lie_in() -> None:
    words = [Span(0, 5), Span(6, 9)]
    tokens = [Span(0, 3), Span(3, 5), Span(5, 6), Span(6, 6), Span(6, 9)]
    assert membership(tokens, words).argmax(axis=1).tolist() == [0, 0, 1, 1, 1, 2]


def test_a_piece_across_a_boundary_is_shared_by_length() -> None:
    shares = membership([Span(0, 4)], [Span(0, 1), Span(1, 4)])
    assert shares[0].tolist() == [0.25, 0.75, 0.0]


def test_pieces_need_not_be_in_the_order_of_the_text() -> None:
    words = [Span(0, 3), Span(4, 6), Span(6, 7)]
    tokens = [Span(4, 4), Span(4, 6), Span(0, 3), Span(6, 7)]
    assert membership(tokens, words).argmax(axis=1).tolist() == [1, 1, 0, 2, 3]


def test_a_trailing_space_belongs_to_the_last_word() -> None:
    assert membership([Span(0, 2), Span(2, 3)], [Span(0, 2)])[1].tolist() == [1.0, 0.0]


def test_folding_sums_over_sources_and_means_over_targets() -> None:
    attention = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.0, 0.0, 1.0]], np.float32)
    one = membership([Span(0, 2), Span(2, 4)], [Span(0, 4)])
    assert fold(attention, one, one).tolist() == [pytest.approx([0.5, 0.5]), [0.0, 1.0]]


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 4), st.booleans())
def test_folded_rows_sum_to_one(sources: int, targets: int, words: int, cut: bool) -> None:
    rng = np.random.default_rng(sources + 10 * targets)
    attention = rng.dirichlet(np.ones(sources + 1), targets + 1).astype(np.float32)
    spans = [Span(2 * w, 2 * w + 2) for w in range(words)]
    left = membership([Span(i, i + 1) for i in range(sources)], spans)
    right = membership([Span(i, i + 1) for i in range(targets)], spans)
    folded = fold(attention[:-1] if cut else attention, left, right)
    assert folded.shape == (words + 1, words + 1)
    assert folded.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


MATRIX = np.array(
    [[0.9, 0.0, 0.1, 0.0], [0.8, 0.1, 0.0, 0.1], [0.0, 0.25, 0.2, 0.55], [0, 0, 0, 1]], np.float32
)


def test_mutual_best_links_each_others_best() -> None:
    found = links(MATRIX, "mutual-best", 0.2)
    assert [(link.source, link.target) for link in found] == [(0, 0), (1, 2)]
    assert found[0].score == pytest.approx(0.9)
    assert len(links(MATRIX, "mutual-best", 0.3)) == 1


def test_best_source_links_every_target_above_the_threshold() -> None:
    found = links(MATRIX, "best-source", 0.5)
    assert [(link.source, link.target) for link in found] == [(0, 0), (0, 1)]


def test_strong_share_needs_row_and_column() -> None:
    scores = {(x.source, x.target): x.score for x in links(MATRIX, "strong-share", 0.3)}
    assert scores[0, 0] == pytest.approx(np.sqrt(0.9 * 0.9 / 1.7), abs=1e-5)
    assert all(0 <= score <= 1 for score in scores.values())


def test_end_of_sentence_is_never_linked() -> None:
    only_end = np.array([[1.0]], np.float32)
    for rule in RULES:
        assert links(only_end, rule, 0.0) == []


def test_without_a_rule_nothing_is_linked() -> None:
    assert links(MATRIX, "none", 0.0) == []
    assert all(links(MATRIX, rule, 0.0) for rule in RULES if rule != "none")


def test_pharaoh_lists_source_first() -> None:
    assert pharaoh([Link(0, 0, 1.0), Link(2, 1, 0.5)]) == "0-0 2-1"


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(DamagedBundle, match="guess"):
        links(MATRIX, "guess", 0.1)
