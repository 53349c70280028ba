"""Rarity: pairs with rare words are drawn more often, as often as is needed, and no others."""

import numpy as np
import pytest

from model_export.config import RareWords
from model_export.rarity import raised

USUAL, LAW = 1.0, 0.01
TEXTS = [
    *["The cat sleeps."] * 5,
    *["An appeal may be lodged."] * 4,
    "The Minister may lodge an appeal.",
    "Typpo.",
    "The cat may sleep on appeal " + "and on " * 20,
]
SHARES = np.array([USUAL] * 5 + [LAW] * 7, np.float32)


def drawn(word: str, shares: np.ndarray) -> float:
    having = [word in text.lower() for text in TEXTS]
    return float(shares[having].sum())


def test_an_epoch_has_each_word_that_is_known_often_enough() -> None:
    found = raised(SHARES, TEXTS, RareWords(times=2, known=3))
    assert drawn("lodged", found) == pytest.approx(2, abs=0.1)
    assert drawn("appeal", found) >= 2
    assert found[10] == SHARES[10], "a word of one pair is no word"
    assert found[11] == SHARES[11], "a long text is not drawn for a word"
    assert (found[:5] == USUAL).all()


def test_no_pair_is_drawn_more_than_once_for_its_words() -> None:
    found = raised(SHARES, TEXTS, RareWords(times=50, known=1))
    assert found.max() == 1.0
    assert found[10] == 1.0


def test_words_that_are_frequent_enough_change_nothing() -> None:
    found = raised(SHARES, TEXTS, RareWords(times=0.01, known=1))
    assert (found == SHARES).all()


def test_without_times_shares_are_as_they_were() -> None:
    assert raised(SHARES, TEXTS, RareWords()) is SHARES
