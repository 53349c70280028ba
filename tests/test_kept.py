"""What is kept comes over, whatever the model thinks of it: here it has never seen a stand-in."""

import asyncio
import dataclasses
from collections.abc import Iterator

import pytest

from service.bundle import Bundle
from service.keeping import FOR_NUMBERS, STAND_INS
from service.options import Options, Pair
from service.translation import SentenceDone, TokenChosen, Translation
from service.translator import Translator
from tests.conftest import CAPACITY

TEXTS = (
    "the cat sees {name}.",
    "x@y.fr and x@y.fr and https://a.org/?q=1",
    "<b>the black cat</b> 😀",
    "{0}{1}{2} sees {3}",
    "the tree",
)
KEPT = (
    ("{name}",),
    ("x@y.fr", "x@y.fr", "https://a.org/?q=1"),
    ("<b>", "</b>", "😀"),
    ("{0}{1}{2}", "{3}"),
    (),
)


@pytest.fixture(scope="module")
def keeper(toy_bundle: Bundle) -> Iterator[Translator]:
    manifest = dataclasses.replace(toy_bundle.manifest, stand_ins=STAND_INS)
    made = Translator(dataclasses.replace(toy_bundle, manifest=manifest), CAPACITY)
    yield made
    made.close(0.0)


def translate(keeper: Translator, *texts: str, beam_size: int = 1) -> list[Translation]:
    options = Options(beam_size=beam_size, n_best=beam_size)
    return asyncio.run(keeper.translate(texts, options))


@pytest.mark.parametrize("beam_size", [1, 4])
def test_everything_comes_over_once(keeper: Translator, beam_size: int) -> None:
    for made, kept in zip(translate(keeper, *TEXTS, beam_size=beam_size), KEPT, strict=True):
        (sentence,) = made.sentences
        for hypothesis in (sentence.best, *sentence.alternatives):
            words = [word.text for word in hypothesis.target.words]
            tokens = [token.text for token in hypothesis.target.tokens]
            assert sorted(word for word in words if word in kept) == sorted(kept)
            assert sorted(token for token in tokens if token in kept) == sorted(kept)
        assert not any(stand_in in made.text for stand_in in STAND_INS)
        assert sentence.best.target.span.of(made.text) == sentence.best.target.text


@pytest.mark.parametrize("beam_size", [1, 3])
def test_it_comes_over_even_if_there_is_room_for_nothing_else(
    keeper: Translator, beam_size: int
) -> None:
    options = Options(beam_size=beam_size, max_length=3)
    (made,) = asyncio.run(keeper.translate(["the cat {a} sees {b} and {c}."], options))
    assert sorted(made.text.replace(" ", "")) == sorted("{a}{b}{c}")


def test_alone_and_in_a_crowd_it_is_the_same(keeper: Translator) -> None:
    alone = [translate(keeper, text)[0].text for text in TEXTS]
    assert [made.text for made in translate(keeper, *TEXTS)] == alone


def test_a_stream_tells_what_is_kept_not_what_stands_for_it(keeper: Translator) -> None:
    async def follow() -> tuple[str, str]:
        told, whole = "", ""
        async for progress in keeper.stream(TEXTS[1:2], Options()):
            if isinstance(progress, TokenChosen):
                told += progress.delta
            elif isinstance(progress, SentenceDone):
                whole = progress.translated.best.target.text
        return told, whole

    told, whole = asyncio.run(follow())
    assert told == whole
    assert told.count("x@y.fr") == 2


def test_a_given_pair_is_aligned_with_what_both_have(keeper: Translator) -> None:
    pair = Pair("the cat {n} {m}", "le chat {n}")
    (made,) = asyncio.run(keeper.align([pair], Options(attention="alignment")))
    assert "{n}" in [token.text for token in made.source.tokens]
    assert "{n}" in [token.text for token in made.target.tokens]
    assert "{m}" not in [token.text for token in made.source.tokens]
    assert (made.source.text, made.target.text) == (pair.source, pair.target)


def test_a_pair_without_target_keeps_everything(keeper: Translator) -> None:
    (made,) = asyncio.run(keeper.align([Pair("the cat {n} {m}", None)], Options()))
    assert made.target.text.count("{n}") == made.target.text.count("{m}") == 1


@pytest.mark.parametrize("beam_size", [2, 3, 4])
def test_no_hypothesis_comes_twice(keeper: Translator, beam_size: int) -> None:
    for made in translate(keeper, "Mail x@y.fr and x@y.fr today.", *TEXTS, beam_size=beam_size):
        (sentence,) = made.sentences
        found = [sentence.best, *sentence.alternatives]
        assert len({tuple(t.text for t in one.target.tokens) for one in found}) == len(found)


def test_what_comes_often_comes_as_often(keeper: Translator) -> None:
    text = ", ".join(f"{{a}} is {word}" for word in ("big", "small", "old", "new", "red", "blue"))
    for limit in (6, 20):
        options = Options(max_length=limit)
        (made,) = asyncio.run(keeper.translate([text], options))
        assert made.text.count("{a}") == 6


def test_numbers_of_few_digits_come_over_where_the_bundle_has_stand_ins_for_them(
    toy_bundle: Bundle, keeper: Translator
) -> None:
    text = "the cat sees 25 trees and 25 dogs, 3 of {a}, by 10:30."
    manifest = dataclasses.replace(
        toy_bundle.manifest, stand_ins=STAND_INS, number_stand_ins=FOR_NUMBERS
    )
    counting = Translator(dataclasses.replace(toy_bundle, manifest=manifest), CAPACITY)
    try:
        (made,) = translate(counting, text)
        (pair,) = asyncio.run(counting.align([Pair(text, "25 {a} 10:30")], Options()))
    finally:
        counting.close(0.0)
    assert (made.text.count("25"), made.text.count("10:30"), made.text.count("{a}")) == (2, 1, 1)
    words = [word.text for word in made.sentences[0].best.target.words]
    assert (words.count("25"), words.count("10:30")) == (2, 1)
    assert "10:30" in [token.text for token in pair.target.tokens]
    (plain,) = translate(keeper, text)
    assert "10:30" not in [token.text for token in plain.sentences[0].source.tokens]
