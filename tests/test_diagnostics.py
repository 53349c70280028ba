"""What attentions over words tell, on matrices made by hand."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.alignment import Floats, Link
from service.diagnostics import Diagnostics, Seen, diagnose
from service.options import Options, Pair
from service.translation import Progress, SentenceDone, Translation
from service.translator import Translator
from tests.stand_ins import BOUNDS

ONCE = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

SOURCE = ["The", "old", "house", "stands", "near", "the", "river", "."]
TARGET = ["La", "vieille", "maison", "se", "trouve", "près", "de", "la", "rivière", "."]
LINKED = [(0, 0), (1, 1), (2, 2), (3, 4), (4, 5), (5, 7), (6, 8), (7, 9)]


def attention(target: int, source: int, focus: Sequence[tuple[int, int]]) -> Floats:
    """A matrix whose rows look at one source word each; those that are not named, at all alike."""
    matrix = np.full((target + 1, source + 1), 1 / (source + 1), np.float32)
    for s, t in [*focus, (source, target)]:
        matrix[t] = 0.0
        matrix[t, s] = 1.0
    return matrix


def told(
    source: Sequence[str], target: Sequence[str], linked: Sequence[tuple[int, int]]
) -> Diagnostics:
    links = [Link(s, t, 1.0) for s, t in linked]
    matrix = attention(len(target), len(source), linked)
    return diagnose(Seen(source, target, {"alignment": matrix}, "alignment", links, BOUNDS))


def test_a_faithful_pair_raises_no_warning() -> None:
    found = told(SOURCE, TARGET, LINKED)
    assert found.warnings == ()
    assert found.unattended == ()
    assert found.unsourced == (3, 6)  # "se", "de": no link, and they look everywhere
    assert found.repeated_focus == ()
    assert 0 <= found.evidence.omission < BOUNDS.omission
    assert 0 <= found.evidence.hallucination < BOUNDS.hallucination


def test_entropy_is_in_nats_and_coverage_a_sum() -> None:
    found = told(["a", "b"], ["x", "y"], [(0, 0)])
    assert found.entropy["alignment"].words == pytest.approx((0.0, np.log(3)))
    assert found.entropy["alignment"].mean == pytest.approx(np.log(3) / 2)
    assert found.end_mass["alignment"] == pytest.approx((0.0, 1 / 3))
    first, second = found.coverage
    assert (first.received, first.strongest, first.linked) == pytest.approx((4 / 3, 1.0, True))
    assert (second.received, second.linked) == pytest.approx((1 / 3, False))


def test_words_that_nothing_translates_are_a_possible_omission() -> None:
    target = ["La", "vieille", "maison", "."]
    found = told(SOURCE, target, [(0, 0), (1, 1), (2, 2), (7, 3)])
    (warning,) = found.warnings
    assert (warning.code, warning.words) == ("possible_omission", (3, 4, 5, 6))
    named = '"stands", "near", "the", "river"'
    assert warning.message == f"Nothing in the target seems to translate {named}."
    assert found.unattended == (3, 4, 5, 6)
    assert found.evidence.omission >= BOUNDS.omission


def test_words_without_source_are_a_possible_hallucination() -> None:
    added = ["et", "du", "chocolat", "noir", "partout"]
    found = told(SOURCE, [*TARGET[:9], *added, "."], [*LINKED[:7], (7, 14)])
    (warning,) = found.warnings
    assert (warning.code, warning.words) == ("possible_hallucination", (9, 10, 11, 12, 13))
    assert '"chocolat"' in warning.message
    assert found.unsourced == (3, 6, 9, 10, 11, 12, 13)


def test_what_is_written_after_the_end_is_doubted_more() -> None:
    links = [Link(0, 0, 1.0)]
    aligned = attention(2, 1, [(0, 0), (0, 1)])
    ended = aligned.copy()
    ended[1] = (0.2, 0.8)
    words = ["mountains"], ["montagnes", "sacrées"]
    calm = diagnose(
        Seen(*words, {"cross": aligned, "alignment": aligned}, "alignment", links, BOUNDS)
    )
    found = diagnose(
        Seen(*words, {"cross": ended, "alignment": aligned}, "alignment", links, BOUNDS)
    )
    assert calm.evidence.hallucination < found.evidence.hallucination
    assert (calm.unsourced, found.unsourced) == ((), (1,))
    assert found.end_mass["cross"] == pytest.approx((0.0, 0.8))


@pytest.mark.parametrize("lost", ["of the", "! ? ...", "it is so", "« »"])
def test_punctuation_and_short_words_alone_raise_none(lost: str) -> None:
    words = lost.split()
    found = told([*words, "house"], ["maison"], [(len(words), 0)])
    assert found.warnings == ()
    found = told(["house"], ["maison", *words], [(0, 0)])
    assert found.warnings == ()


def test_a_wide_character_says_more_than_one_letter() -> None:
    found = told(["我们", "看见", "的", "河"], ["we"], [(0, 0)])
    assert [warning.words for warning in found.warnings] == [(1, 2, 3)]
    assert told(["我们", "的"], ["we"], [(0, 0)]).warnings == ()


def test_two_places_are_two_warnings_in_the_order_of_the_text() -> None:
    source = ["Yesterday", "evening", "we", "ate", "bread", "and", "cheese", "beside", "mountains"]
    middle = [(s, t) for t, s in enumerate(range(2, 7))]
    found = told(source, ["nous", "mangions", "pain", "et", "fromage"], middle)
    assert [warning.words for warning in found.warnings] == [(0, 1), (7, 8)]


def test_a_message_names_eight_words_at_most() -> None:
    lost = [f"word{number}" for number in range(11)]
    (warning,) = told([*lost, "end"], ["fin"], [(11, 0)]).warnings
    assert warning.message.endswith('"word7" and 3 more.')
    assert len(warning.words) == 11


def test_a_source_word_in_focus_twice_is_told() -> None:
    target = ["Le", "chat", "dort", "ici", ",", "le", "chat", "dort"]
    focus = [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (0, 5), (1, 6), (2, 7)]
    found = told(["The", "cat", "sleeps", "here", ","], target, focus)
    assert [(one.source, one.targets) for one in found.repeated_focus] == [
        (0, ((0, 1), (5, 6))),
        (1, ((1, 2), (6, 7))),
        (2, ((2, 3), (7, 8))),
    ]


def test_a_word_around_another_is_in_focus_once() -> None:
    focus = [(0, 0), (1, 1), (2, 2), (1, 3)]  # "ne ... pas"
    assert told(["I", "don't", "eat"], ["je", "ne", "mange", "pas"], focus).repeated_focus == ()


@given(st.integers(0, 7), st.integers(0, 7), st.integers(0, 1000))
def test_any_matrix_can_be_read(sources: int, targets: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrices: dict[str, Floats] = {
        kind: rng.dirichlet(np.full(sources + 1, 0.2), targets + 1).astype(np.float32)
        for kind in ("cross", "alignment")
    }
    links = [Link(0, 0, 0.5)] if sources and targets else []
    words = [f"quelque{n}" for n in range(7)]
    found = diagnose(Seen(words[:sources], words[:targets], matrices, "alignment", links, BOUNDS))
    assert len(found.coverage) == sources
    assert {len(one.words) for one in found.entropy.values()} == {targets}
    assert all(0 <= word < sources for word in found.unattended)
    assert all(0 <= word < targets for word in found.unsourced)
    for warning in found.warnings:
        limit = sources if warning.code == "possible_omission" else targets
        assert warning.words == tuple(sorted(set(warning.words)))
        assert all(0 <= word < limit for word in warning.words)
    codes = {warning.code for warning in found.warnings}
    assert ("possible_omission" in codes) == (found.evidence.omission >= BOUNDS.omission)
    assert ("possible_hallucination" in codes) == (
        found.evidence.hallucination >= BOUNDS.hallucination
    )


def translate(translator: Translator, text: str, options: Options) -> Translation:
    (made,) = asyncio.run(translator.translate([text], options))
    return made


DIAGNOSED = Options(diagnostics=True, beam_size=2, n_best=2, attention="none")


def test_diagnostics_are_told_only_when_asked_for(translator: Translator) -> None:
    text = "The black cat sees the old house."
    plain = translate(translator, text, Options())
    assert plain.sentences[0].diagnostics is None
    made = translate(translator, f"{text} The king likes the moon.", DIAGNOSED)
    for one in made.sentences:
        found = one.diagnostics
        assert found is not None
        assert found.attention == "alignment"
        assert set(found.entropy) == set(found.end_mass) == {"cross", "alignment"}
        assert len(found.entropy["cross"].words) == len(one.best.target.words)
        assert [cover.linked for cover in found.coverage] == [
            index in {link.source for link in one.best.alignment}
            for index in range(len(one.source.words))
        ]
        assert found.warnings == ()


def test_damage_to_a_pair_is_told(translator: Translator) -> None:
    text = "The black cat sees the old house."
    given = [
        Pair(text, "Le chat noir."),
        Pair(text, "Le chat noir voit le maison vieux dessine le poisson petit."),
    ]
    short, long = asyncio.run(translator.align(given, Options(diagnostics=True)))
    assert short.diagnostics is not None
    assert long.diagnostics is not None
    (missing,) = short.diagnostics.warnings
    assert missing.code == "possible_omission"
    assert {"sees", "house"} <= {short.source.words[index].text for index in missing.words}
    assert long.diagnostics.evidence.hallucination > short.diagnostics.evidence.hallucination


@ONCE
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_can_be_diagnosed(translator: Translator, text: str) -> None:
    made = translate(translator, text, Options(max_length=12, diagnostics=True))
    for one in made.sentences:
        assert one.diagnostics is not None
        assert len(one.diagnostics.coverage) == len(one.source.words)


def test_a_stream_tells_the_same_diagnostics(translator: Translator) -> None:
    text = "The cat sees the dog. The king likes the moon."

    async def collect() -> list[Progress]:
        return [e async for e in translator.stream([text], Options(diagnostics=True))]

    events = asyncio.run(collect())
    whole = translate(translator, text, Options(diagnostics=True))
    done = {e.sentence: e.translated for e in events if isinstance(e, SentenceDone)}
    for number, one in enumerate(whole.sentences):
        assert done[number].diagnostics == one.diagnostics is not None
