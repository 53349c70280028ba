"""The laws of a translation, on a model that was trained for this test session."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.deadline import Deadline
from service.errors import (
    DeadlineExceeded,
    EmptyWord,
    InvalidBeam,
    InvalidEncoding,
    QueueFull,
    RequestError,
    SentenceTooLong,
)
from service.options import Options, Pair
from service.translation import (
    Alignment,
    Hypothesis,
    Progress,
    SentenceDone,
    Side,
    TokenChosen,
    Translation,
)
from service.translator import Translator
from tests import toy

Kind = Literal["cross", "alignment"]
Unit = Literal["token", "word"]
ONCE = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def translate(
    translator: Translator, *texts: str, options: Options | None = None
) -> list[Translation]:
    return asyncio.run(translator.translate(texts, options or Options()))


def align(translator: Translator, *pairs: Pair, kind: Kind = "alignment") -> list[Alignment]:
    return asyncio.run(translator.align(pairs, Options(attention=kind)))


def sentences(count: int) -> list[str]:
    rng = random.Random(5)
    return [toy.text(toy.pair(rng).source) for _ in range(count)]


def check_side(side: Side, whole: str) -> None:
    assert side.span.of(whole) == side.text
    assert [token.span.of(whole) for token in side.tokens] == [t.text for t in side.tokens]
    assert [word.span.of(whole) for word in side.words] == [word.text for word in side.words]
    for token in side.tokens:
        assert (token.special is None) or (token.special == "</s>" and token.text == "")


def check_hypothesis(made: Hypothesis, source: Side, unit: str) -> None:
    attention = made.attention
    assert attention is not None
    if unit == "token":
        assert attention.shape == (len(made.target.tokens), len(source.tokens))
    else:
        assert attention.shape == (len(made.target.words) + 1, len(source.words) + 1)
    assert attention.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert (attention >= 0).all()
    for link in made.alignment:
        assert 0 <= link.source < len(source.words)
        assert 0 <= link.target < len(made.target.words)
        assert 0 <= link.score <= 1
    scores = [token.score for token in made.target.tokens]
    assert all(score is not None and score <= 1e-6 for score in scores)
    assert made.score == pytest.approx(np.mean([s for s in scores if s is not None]), abs=1e-6)


def check(translation: Translation, text: str, unit: str = "token") -> None:
    for one in translation.sentences:
        check_side(one.source, text)
        check_side(one.best.target, translation.text)
        check_hypothesis(one.best, one.source, unit)


def test_it_translates_and_links(translator: Translator) -> None:
    (made,) = translate(translator, "The black cat sees the old house.")
    assert made.text == "Le chat noir voit le maison vieux."
    (one,) = made.sentences
    assert one.best.finish_reason == "stop"
    named = {
        (one.source.words[x.source].text, one.best.target.words[x.target].text)
        for x in one.best.alignment
    }
    assert {("black", "noir"), ("cat", "chat"), ("sees", "voit"), ("house", "maison")} <= named
    check(made, "The black cat sees the old house.")


@pytest.mark.parametrize("unit", ["token", "word"])
@pytest.mark.parametrize("kind", ["cross", "alignment"])
def test_shapes_and_sums_of_both_attentions(translator: Translator, unit: Unit, kind: Kind) -> None:
    texts = sentences(5)
    for made, text in zip(
        translate(translator, *texts, options=Options(unit=unit, attention=kind)),
        texts,
        strict=True,
    ):
        check(made, text, unit)


def test_without_attention_the_links_are_still_there(translator: Translator) -> None:
    (made,) = translate(translator, "The cat sees the dog.", options=Options(attention="none"))
    assert made.sentences[0].best.attention is None
    assert made.sentences[0].best.alignment


@ONCE
@given(text=TEXTS)
def test_any_text_keeps_the_laws(translator: Translator, text: str) -> None:
    (made,) = translate(translator, text, options=Options(max_length=12))
    check(made, text)
    if not text.strip():
        assert made.text == text
        assert made.sentences == ()


@pytest.mark.parametrize(
    "text", ["👩‍👩‍👧", "e\u0301", "שלום עולם", "\x00", "▁", "\u200b", "\n\n", "a\r\n\r\nb", "🇫🇷"]
)
def test_odd_texts_keep_the_laws(translator: Translator, text: str) -> None:
    (made,) = translate(translator, text, options=Options(max_length=12))
    check(made, text)


def test_gaps_survive_as_they_were(translator: Translator) -> None:
    text = "  The cat sees the dog.\n\n\tThe bird likes the tree.  The dog sees the cat. \n"
    (made,) = translate(translator, text)
    assert len(made.sentences) == 3
    assert made.text.startswith("  Le chat")
    assert made.text.endswith(" \n")
    assert ".\n\n\tLe oiseau" in made.text
    check(made, text)


def fingerprint(made: Translation) -> list[object]:
    return [
        made.text,
        made.score,
        *(
            (
                hypothesis.target,
                hypothesis.score,
                hypothesis.alignment,
                None if hypothesis.attention is None else hypothesis.attention.tobytes(),
            )
            for one in made.sentences
            for hypothesis in (one.best, *one.alternatives)
        ),
    ]


@pytest.mark.parametrize("beam", [1, 3])
def test_alone_or_in_a_crowd_the_answer_is_the_same(translator: Translator, beam: int) -> None:
    texts = [*sentences(40), "The cat.", " ".join(sentences(3)).replace(".", ""), "Zebra 😀 ▁?"]
    together = translate(translator, *texts, options=Options(beam_size=beam, n_best=beam))

    async def at_once() -> list[Translation]:
        options = Options(beam_size=beam, n_best=beam)
        mixed = Options(beam_size=4 - beam, n_best=1)
        noise = [translator.translate([text], mixed) for text in texts]
        asked = [translator.translate([text], options) for text in reversed(texts)]
        answers = await asyncio.gather(*asked, *noise)
        return [made for (made,) in reversed(answers[: len(texts)])]

    joined = asyncio.run(at_once())
    for text, crowd, mix in zip(texts, together, joined, strict=True):
        (alone,) = translate(translator, text, options=Options(beam_size=beam, n_best=beam))
        assert fingerprint(alone) == fingerprint(crowd)
        assert fingerprint(alone) == fingerprint(mix)


def test_n_best_hypotheses_have_their_own_everything(translator: Translator) -> None:
    text = "The small bird hears the red dog."
    (made,) = translate(translator, text, options=Options(beam_size=4, n_best=4))
    (one,) = made.sentences
    ranked = [one.best, *one.alternatives]
    assert len({hypothesis.target.text for hypothesis in ranked}) == len(ranked) > 1
    assert [h.score for h in ranked] == sorted((h.score for h in ranked), reverse=True)
    for hypothesis in ranked:
        check_hypothesis(hypothesis, one.source, "token")
        start = hypothesis.target.span.start
        check_side(hypothesis.target, made.text[:start] + hypothesis.target.text)


def test_a_cut_sentence_says_so(translator: Translator) -> None:
    (made,) = translate(
        translator, "The black cat sees the old house.", options=Options(max_length=3)
    )
    best = made.sentences[0].best
    assert best.finish_reason == "length"
    assert len(best.target.tokens) == 3
    assert all(token.special is None for token in best.target.tokens)
    check_hypothesis(best, made.sentences[0].source, "token")


def test_a_sentence_too_long_is_refused_with_its_place(translator: Translator) -> None:
    limit = translator.manifest.model.limits.source_tokens
    with pytest.raises(SentenceTooLong) as refusal:
        translate(translator, "The cat sees the dog. The cat.", "cat " * (limit + 1))
    assert refusal.value.detail == {
        "side": "source",
        "index": 2,
        "text": 1,
        "count": limit + 1,
        "limit": limit,
    }


def test_the_score_of_a_text_is_weighted_by_tokens(translator: Translator) -> None:
    (made,) = translate(translator, "The cat. The black dog likes the small old tree.")
    tokens = [t.score for one in made.sentences for t in one.best.target.tokens]
    assert made.score == pytest.approx(np.mean([s for s in tokens if s is not None]))


@pytest.mark.parametrize(("beam", "best"), [(0, 1), (1, 2), (2, 0)])
def test_a_wrong_beam_is_refused(translator: Translator, beam: int, best: int) -> None:
    with pytest.raises(InvalidBeam):
        translate(translator, "The cat.", options=Options(beam_size=beam, n_best=best))


def test_a_lone_surrogate_is_refused(translator: Translator) -> None:
    with pytest.raises(InvalidEncoding):
        translate(translator, "a \ud800")


def test_a_given_pair_is_aligned(translator: Translator) -> None:
    pair = toy.pair(random.Random(11)).as_written()
    (made,) = align(translator, Pair(pair.source, pair.target))
    found = {(link.source, link.target) for link in made.alignment}
    assert found == set(pair.links)
    assert made.pharaoh == " ".join(f"{s}-{t}" for s, t in sorted(pair.links))
    assert [word.text for word in made.source.words] == list(pair.source)
    assert made.source.text == " ".join(pair.source)
    check_side(made.source, made.source.text)
    check_side(made.target, made.target.text)


def test_forcing_the_own_translation_gives_its_own_score(translator: Translator) -> None:
    text = "The black cat sees the old house."
    (translated,) = translate(translator, text)
    (aligned,) = align(translator, Pair(text, translated.text), kind="cross")
    best = translated.sentences[0].best
    assert aligned.score == pytest.approx(best.score, abs=1e-6)
    assert best.attention is not None
    assert aligned.attention == pytest.approx(best.attention, abs=1e-6)
    assert aligned.alignment == best.alignment


def test_a_pair_without_a_target_is_translated_first(translator: Translator) -> None:
    text = "The black cat sees the old house."
    (translated,) = translate(translator, text)
    given, open_pair = align(translator, Pair(text, translated.text), Pair(text, None))
    assert open_pair.target.text == translated.text
    assert open_pair.pharaoh == given.pharaoh


def test_a_pair_is_one_unit(translator: Translator) -> None:
    text = "The cat sees the dog. The bird likes the tree."
    target = "Le chat voit le chien. Le oiseau aime le arbre."
    (made,) = align(translator, Pair(text, target))
    assert made.source.text == text
    assert made.target.text == target
    assert made.attention is not None
    assert len(made.attention) == len(made.target.tokens)


def test_word_lists_keep_their_indices(translator: Translator) -> None:
    (made,) = align(translator, Pair(("The", "black cat", "sees"), ("Le", "chat noir", "voit")))
    assert [word.text for word in made.source.words] == ["The", "black cat", "sees"]
    assert made.pharaoh == "0-0 1-1 2-2"


@pytest.mark.parametrize("source", [("The", "", "cat"), ("The", "  ", "cat")])
def test_an_empty_word_is_refused(translator: Translator, source: Sequence[str]) -> None:
    with pytest.raises(EmptyWord) as refusal:
        align(translator, Pair(tuple(source), "Le chat"))
    assert refusal.value.detail == {"side": "source", "index": 1}


@pytest.mark.parametrize("pair", [Pair("", "x"), Pair("x", " \n"), Pair((), "x"), Pair("x", ())])
def test_an_empty_pair_is_refused(translator: Translator, pair: Pair) -> None:
    with pytest.raises(RequestError):
        align(translator, pair)


def told(translator: Translator, texts: Sequence[str], options: Options) -> list[Progress]:
    async def collect() -> list[Progress]:
        return [event async for event in translator.stream(texts, options)]

    return asyncio.run(collect())


def same(one: Any, other: Any) -> bool:
    """Equality with matrices, which have no truth of their own."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    return bool(one == other)


def test_a_stream_ends_with_what_translate_says(translator: Translator) -> None:
    texts = ["The black cat sees the dog. The king likes the moon.", "", "The tree?"]
    whole = translate(translator, *texts)
    *_, last = told(translator, texts, Options())
    assert isinstance(last, list)
    assert [same(one, other) for one, other in zip(last, whole, strict=True)] == [True] * 3


def test_tokens_are_told_in_order_and_spell_their_sentence(translator: Translator) -> None:
    text = "The black cat sees the dog. Emoji 🦊 too. The king likes the moon."
    *events, whole = told(translator, [text], Options())
    assert isinstance(whole, list)
    for number, one in enumerate(whole[0].sentences):
        mine = [e for e in events if not isinstance(e, list) and e.sentence == number]
        *tokens, done = mine
        chosen = [e for e in tokens if isinstance(e, TokenChosen)]
        assert len(chosen) == len(tokens) == len(one.best.target.tokens)
        assert [e.step for e in chosen] == list(range(len(chosen)))
        assert "".join(e.delta for e in chosen) == one.best.target.text
        assert [e.score for e in chosen] == [t.score for t in one.best.target.tokens]
        assert [e.special for e in chosen] == [t.special for t in one.best.target.tokens]
        assert isinstance(done, SentenceDone)
        assert done.translated.source == one.source
        assert done.translated.best.target.text == one.best.target.text
        matrix = one.best.attention
        assert matrix is not None
        for event in chosen:
            assert (event.attention["cross"] == matrix[event.step]).all()


def test_a_beam_tells_sentences_only(translator: Translator) -> None:
    text = "The black cat sees the dog. The king likes the moon."
    events = told(translator, [text], Options(beam_size=3, n_best=2))
    assert [type(event) for event in events] == [SentenceDone, SentenceDone, list]


def test_no_attention_streams_no_rows(translator: Translator) -> None:
    events = told(translator, ["The cat sees the dog."], Options(attention="none"))
    assert not any(e.attention for e in events if isinstance(e, TokenChosen))


def test_a_text_of_nothing_streams_the_answer_alone(translator: Translator) -> None:
    assert [type(event) for event in told(translator, ["  "], Options())] == [list]


def test_a_request_that_comes_too_late_is_not_looked_at(translator: Translator) -> None:
    late = Deadline(5, time.monotonic() - 6)
    with pytest.raises(DeadlineExceeded) as caught:
        translate(translator, "\ud800", options=Options(deadline=late))
    assert caught.value.detail == {"timeout": 5}
    with pytest.raises(DeadlineExceeded):
        asyncio.run(translator.align([Pair("\ud800", None)], Options(deadline=late)))


def test_a_deadline_is_kept(translator: Translator) -> None:
    texts = sentences(200)
    with pytest.raises((DeadlineExceeded, QueueFull)):
        translate(translator, *texts, options=Options(beam_size=4, deadline=Deadline(0.001)))
    assert translate(translator, "The tree?", options=Options(deadline=Deadline(30)))
