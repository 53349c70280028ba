"""Damaged pairs: what is done to them, and that it is written down rightly."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_export.corpus import Pair
from model_export.damage import KINDS, Damaged, hallucinations, omissions, swaps
from service.manifest import Language
from service.words import words

FRENCH = Language("fr", "French", "target.model", " ", "uax29-elision")
TARGETS = ["Le chat dort.", "Qu'il est beau !", "Non", "Nous avons vu l'homme de la maison.", "Oui"]
PAIRS = [Pair(f"source {n}", target, "") for n, target in enumerate(TARGETS)]


def spelled(text: str) -> list[str]:
    return [span.of(text) for span in words(text, FRENCH.words)]


def letters(words: list[str]) -> str:
    """What is written, whatever its words are: "Qu'" before a space is two of them."""
    return "".join(words)


@given(st.integers(0, 10_000))
def test_an_omission_cuts_a_stretch_out(seed: int) -> None:
    found = list(omissions(PAIRS, FRENCH, random.Random(seed)))
    assert [one.index for one in found] == [0, 1, 3], "a single word is left alone"
    for one in found:
        before = spelled(TARGETS[one.index])
        kept = [word for index, word in enumerate(before) if index not in one.hurt]
        assert letters(spelled(one.target)) == letters(kept) != ""
        assert max(one.hurt) - min(one.hurt) + 1 == len(one.hurt)
        assert 1 <= len(one.hurt) <= round(len(before) / 2)


@given(st.integers(0, 10_000))
def test_a_hallucination_puts_a_stretch_in(seed: int) -> None:
    found = list(hallucinations(PAIRS, FRENCH, random.Random(seed)))
    assert [one.index for one in found] == list(range(len(PAIRS)))
    for one in found:
        after = spelled(one.target)
        kept = [word for index, word in enumerate(after) if index not in one.hurt]
        assert letters(kept) == letters(spelled(TARGETS[one.index]))
        assert 3 <= len(one.hurt) <= 7
        added = letters([after[index] for index in sorted(one.hurt)])
        others = [t for index, t in enumerate(TARGETS) if index != one.index]
        assert any(added in letters(spelled(text)) for text in others)


def test_a_swap_takes_the_target_of_another_pair() -> None:
    for one in swaps(PAIRS, FRENCH, random.Random(1)):
        assert one.target != TARGETS[one.index]
        assert one.target in TARGETS
        assert one.hurt == frozenset()


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_makes_the_same_damage_again(kind: str) -> None:
    def made(seed: int) -> list[Damaged]:
        return list(KINDS[kind](PAIRS, FRENCH, random.Random(seed)))

    assert made(5) == made(5)
    assert any(made(5) != made(seed) for seed in range(6, 12))
