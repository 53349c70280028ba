"""Tags from one end of a translation to the other, by a shipped bundle: text, matrices, streams."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from service import units as rooms
from service.bundle import open_bundle
from service.keeping import StandIns
from service.options import Options, Pair
from service.shelf import EMBEDDED
from service.translation import Progress, SentenceDone, TokenChosen, Translation
from service.translator import Translator
from tests.conftest import CAPACITY

TEXTS = [
    "<p>The cat is <b>very small</b>.</p>",
    "I have <b>two cats</b> and <i>one dog</i>.",
    "Read <a href='a'>this</a>, {name}, or <a href='b'>that</a>.",
    "The old man<wbr/>sleeps.",
    "<ul><li>The cat sleeps.</li><li>The dog sleeps.</li></ul>",
]


@pytest.fixture(scope="module")
def english() -> Iterator[Translator]:
    translator = Translator(open_bundle(EMBEDDED / "en-fr"), CAPACITY)
    yield translator
    translator.close(1.0)


def translated(
    translator: Translator, texts: Sequence[str], options: Options | None = None
) -> list[Translation]:
    return asyncio.run(translator.translate(texts, options or Options()))


def test_tags_go_with_the_words_they_were_around(english: Translator) -> None:
    made = [one.text for one in translated(english, TEXTS)]
    assert made == [
        "<p>Le chat est <b>très petit</b>.</p>",
        "J'ai <b>deux chats</b> et <i>un chien</i>.",
        "Lis <a href='a'>ceci</a>, {name}, ou <a href='b'>ça</a>.",
        "Le vieil homme<wbr/>dort.",
        "<ul><li>Le chat dort.</li><li>Le chien dort.</li></ul>",
    ]


@pytest.mark.parametrize("beam", [1, 4])
def test_every_tag_is_a_token_and_a_word_with_its_link(english: Translator, beam: int) -> None:
    options = Options(beam_size=beam, n_best=beam, attention="cross")
    for text, made in zip(TEXTS, translated(english, TEXTS, options), strict=True):
        for sentence in made.sentences:
            source = sentence.source
            assert source.text == text[source.span.start : source.span.end]
            for best in (sentence.best, *sentence.alternatives):
                words = [word.text for word in best.target.words]
                tags = [word.text for word in source.words if word.text.startswith("<")]
                assert sorted(word for word in words if word.startswith("<")) == sorted(tags)
                tokens = [token.text for token in best.target.tokens]
                assert all(tokens.count(tag) == tags.count(tag) for tag in tags)
                assert best.attention is not None
                assert best.attention.shape == (len(tokens), len(source.tokens))
                np.testing.assert_allclose(best.attention.sum(axis=1), 1, atol=1e-3)
            best = sentence.best
            for token in best.target.tokens:
                assert made.text[token.span.start : token.span.end] == token.text
            links = {(source.words[x.source].text, x.target) for x in best.alignment}
            told = {best.target.words[target].text for word, target in links if word[0] == "<"}
            assert told == {word.text for word in source.words if word.text[0] == "<"}


def test_a_stream_tells_all_of_a_sentence_with_tags_when_it_is_whole(english: Translator) -> None:
    async def told() -> list[Progress]:
        return [one async for one in english.stream(TEXTS, Options(attention="alignment"))]

    *progress, whole = asyncio.run(told())
    assert isinstance(whole, list)
    assert [one.text for one in whole] == [one.text for one in translated(english, TEXTS)]
    done = {(x.text, x.sentence): x.translated for x in progress if isinstance(x, SentenceDone)}
    for (text, number), sentence in done.items():
        tokens = [
            x
            for x in progress
            if isinstance(x, TokenChosen) and (x.text, x.sentence) == (text, number)
        ]
        assert [x.step for x in tokens] == list(range(len(tokens)))
        assert "".join(x.delta for x in tokens) == sentence.best.target.text
        assert tokens[-1].special == "</s>"
        assert [x.score for x in tokens] == [
            pytest.approx(token.score) for token in sentence.best.target.tokens
        ]
        assert set(tokens[0].attention) == {"cross"}
        assert set(tokens[1].attention) == {"cross", "alignment"}
        assert whole[text].sentences[number].best.target.words


def test_what_is_cut_stays_cut(english: Translator) -> None:
    (made,) = translated(english, TEXTS[1:2], Options(max_length=3))
    best = made.sentences[0].best
    assert best.finish_reason == "length"
    assert best.target.tokens[-1].special is None
    assert best.attention is not None
    assert len(best.attention) == len(best.target.tokens)
    assert "</i>" in made.text


def test_where_tags_make_it_too_long_they_go_as_stand_ins(
    english: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["The <b>cat</b> sleeps."]
    plain = translated(english, texts)[0].sentences[0].best
    monkeypatch.setitem(english._units.limits, "target", len(plain.target.tokens) - 3)
    (made,) = translated(english, texts)
    assert (made.text.count("<b>"), made.text.count("</b>")) == (1, 1)


def test_a_pair_without_a_target_gets_the_same_tags(english: Translator) -> None:
    pairs = [Pair(TEXTS[0], None), Pair(("The", "<b>", "cat", "</b>"), None)]
    first, second = asyncio.run(english.align(pairs, Options(attention="none")))
    assert first.target.text == "<p>Le chat est <b>très petit</b>.</p>"
    assert [word.text for word in second.source.words] == ["The", "<b>", "cat", "</b>"]


def test_a_model_without_stand_ins_reads_tags_like_any_text(
    english: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = english._units.text(TEXTS[0], 0, "source")
    assert isinstance(english._units.untagged(unit), rooms.Bare)
    assert english._units.untagged(replace(unit, text="no tags")) is None
    monkeypatch.setattr(english._units, "_stand_ins", StandIns(""))
    assert english._units.untagged(unit) is None
