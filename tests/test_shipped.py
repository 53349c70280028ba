"""The embedded bundle, as a new user meets it: sensible French, links where a reader would."""

import asyncio
from collections.abc import Iterator

import pytest

from service.bundle import open_bundle
from service.options import Options, Pair
from service.shelf import EMBEDDED
from service.translation import TranslatedSentence
from service.translator import Translator
from tests.conftest import CAPACITY


@pytest.fixture(scope="module")
def shipped() -> Iterator[Translator]:
    made = Translator(open_bundle(EMBEDDED / "en-fr"), CAPACITY)
    yield made
    made.close(1.0)


def linked(one: TranslatedSentence) -> set[tuple[str, str]]:
    source, target = one.source.words, one.best.target.words
    return {(source[x.source].text, target[x.target].text) for x in one.best.alignment}


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("How was your day?", {("How", "Comment"), ("day", "journée"), ("?", "?")}),
        (
            "The cat is sleeping on the chair.",
            {("cat", "chat"), ("on", "sur"), ("chair", "chaise")},
        ),
        (
            "I bought a red car yesterday.",
            {("red", "rouge"), ("car", "voiture"), ("yesterday", "hier")},
        ),
    ],
)
def test_everyday_sentences(shipped: Translator, text: str, links: set[tuple[str, str]]) -> None:
    (made,) = asyncio.run(shipped.translate([text], Options()))
    assert links <= linked(made.sentences[0])


def test_the_bundle_is_small_and_verified(shipped: Translator) -> None:
    manifest = shipped.manifest
    assert manifest.parameters < 14_000_000
    assert sum(file.bytes for file in manifest.files) < 20_000_000
    assert manifest.verification["int8"]["crowd"] == 0.0


def test_given_words_are_linked(shipped: Translator) -> None:
    pair = Pair(("Who", "are", "you", "?"), ("Qui", "êtes", "vous", "?"))
    (made,) = asyncio.run(shipped.align([pair], Options(attention="alignment")))
    assert made.pharaoh == "0-0 1-1 2-2 3-3"


SENTENCES = [
    "How was your day?",
    "Who are you?",
    "He didn't say anything, did he?",
    "We'll meet at 8:30 in front of the station.",
    "Tom has known Mary since 2013.",
    "Can you lend me 20 euros?",
    "It's raining again.",
    "Where can I buy a ticket?",
    "My grandmother speaks three languages.",
    "I don't know 你好 😀.",
]


@pytest.mark.parametrize("beam", [1, 4])
def test_one_by_one_or_in_a_list_the_answer_is_the_same(shipped: Translator, beam: int) -> None:
    options = Options(beam_size=beam)
    together = asyncio.run(shipped.translate(SENTENCES, options))
    for text, crowd in zip(SENTENCES, together, strict=True):
        (alone,) = asyncio.run(shipped.translate([text], options))
        assert alone.text == crowd.text
        assert alone.score == crowd.score
        for one, other in zip(alone.sentences, crowd.sentences, strict=True):
            assert one.best.target == other.best.target
            assert one.best.alignment == other.best.alignment
            assert one.best.attention is not None
            assert other.best.attention is not None
            assert (one.best.attention == other.best.attention).all()
