"""Pairs aligned in both directions: the same words either way, and links merged.

The other direction is the toy bundle again, under another manifest: what it links is nonsense, but
it reads, counts and refuses as a bundle of its own.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from service.admission import Job
from service.bundle import Bundle
from service.deadline import Deadline
from service.directions import _together, align_both_ways
from service.engine import Engine
from service.errors import SentenceTooLong, ShuttingDown, StepFailed
from service.hypotheses import Path
from service.options import Options, Pair
from service.symmetrization import METHODS, Method, symmetrize
from service.translation import Alignment
from service.translator import Translator
from tests import toy
from tests.conftest import CAPACITY

OPTIONS = Options(attention="alignment", unit="word")


def turned_round(bundle: Bundle) -> Bundle:
    """The toy bundle as if it were of the other direction, with a simpler word rule for French."""
    manifest = bundle.manifest
    source = replace(manifest.source, code="fr", name="French")
    target = replace(manifest.target, code="en", name="English", words="uax29")
    return replace(bundle, manifest=replace(manifest, source=source, target=target))


@pytest.fixture
def reverse(toy_bundle: Bundle) -> Iterator[Translator]:
    made = Translator(turned_round(toy_bundle), CAPACITY)
    yield made
    made.close(1.0)


def both_ways(
    forward: Translator,
    backward: Translator,
    pairs: Sequence[Pair],
    method: Method = "union",
    options: Options = OPTIONS,
) -> list[Alignment]:
    return asyncio.run(align_both_ways(forward, backward, pairs, options, method))


def links(made: Alignment) -> set[tuple[int, int]]:
    return {(link.source, link.target) for link in made.alignment}


@pytest.mark.parametrize("method", METHODS)
def test_links_are_those_of_each_direction_merged(
    translator: Translator, reverse: Translator, method: Method
) -> None:
    rng = random.Random(3)
    pairs = [toy.pair(rng).as_written() for _ in range(12)]
    given = [Pair(pair.source, pair.target) for pair in pairs]
    found = both_ways(translator, reverse, given, method)
    ahead = asyncio.run(translator.align(given, OPTIONS))
    other = [Pair(pair.target, pair.source) for pair in pairs]
    back = asyncio.run(reverse.align(other, OPTIONS))
    assert any(links(one) for one in back)
    for made, one, two in zip(found, ahead, back, strict=True):
        merged = symmetrize(links(one), {(t, s) for s, t in links(two)}, method)
        assert links(made) == merged
        assert made.pharaoh == " ".join(f"{s}-{t}" for s, t in sorted(merged))
        assert (made.source, made.target, made.score) == (one.source, one.target, one.score)
        assert made.attention is not None
        assert one.attention is not None
        assert made.attention.tobytes() == one.attention.tobytes()
        assert all(0 <= link.score <= 1 for link in made.alignment)


def test_words_are_those_of_the_asked_direction(
    translator: Translator, reverse: Translator
) -> None:
    (made,) = both_ways(translator, reverse, [Pair("The tree.", "L'arbre qu'il voit.")])
    spelled = [word.text for word in made.target.words]
    assert spelled == ["L'", "arbre", "qu'", "il", "voit", "."]
    (turned,) = reverse.turn_pairs(
        asyncio.run(translator.prepare_pairs([Pair("The tree.", "L'arbre qu'il voit.")], OPTIONS))
    )
    assert [span.of(turned.source.text) for span in turned.source.words] == spelled
    assert [span.of(turned.target.text) for span in turned.target.words] == ["The", "tree", "."]
    given = Pair(("The", "black cat"), ("Le", "chat noir", "l'arbre"))
    (listed,) = both_ways(translator, reverse, [given])
    assert all(s < 2 and t < 3 for s, t in links(listed))


def test_a_missing_target_is_translated_once(translator: Translator, reverse: Translator) -> None:
    text = "The black cat sees the old house."
    (alone,) = asyncio.run(translator.align([Pair(text, None)], OPTIONS))
    (made,) = both_ways(translator, reverse, [Pair(text, None)], "union")
    assert (made.target, made.score) == (alone.target, alone.score)
    assert links(alone) <= links(made)


def test_diagnostics_are_of_the_asked_direction(
    translator: Translator, reverse: Translator
) -> None:
    pair = Pair("The cat sees the dog.", "Le chat voit le chien.")
    options = replace(OPTIONS, diagnostics=True)
    (alone,) = asyncio.run(translator.align([pair], options))
    (made,) = both_ways(translator, reverse, [pair], "intersection", options)
    assert made.diagnostics == alone.diagnostics is not None


def test_the_limits_of_both_models_hold(toy_bundle: Bundle, translator: Translator) -> None:
    bundle = turned_round(toy_bundle)
    model = bundle.manifest.model
    tight = replace(model.limits, source_tokens=5)
    manifest = replace(bundle.manifest, model=replace(model, limits=tight))
    backward = Translator(replace(bundle, manifest=manifest), CAPACITY)
    pairs = [Pair("The cat.", "Le chat."), Pair("The cat.", "Le chat voit le chien noir.")]
    with pytest.raises(SentenceTooLong) as refusal:
        both_ways(translator, backward, pairs)
    backward.close(1.0)
    assert refusal.value.detail is not None
    found = {name: refusal.value.detail[name] for name in ("side", "index", "text", "limit")}
    assert found == {"side": "target", "index": 1, "text": 1, "limit": 5}


def test_a_refusal_of_one_direction_is_the_answer(
    toy_bundle: Bundle, translator: Translator
) -> None:
    stopped = Translator(turned_round(toy_bundle), CAPACITY)
    stopped.close(1.0)
    before = translator.load().tally.source_tokens
    for pair in (Pair("The cat.", "Le chat."), Pair("The cat.", None)):
        with pytest.raises(ShuttingDown):
            both_ways(translator, stopped, [pair] * 5)
    assert translator.load().tally.source_tokens == before, "it worked for nothing"
    assert asyncio.run(translator.align([Pair("The cat.", "Le chat.")], OPTIONS))


def test_the_first_failure_cancels_the_other() -> None:
    cancelled: list[bool] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def fail() -> None:
        await asyncio.sleep(0)
        raise StepFailed("the step failed")

    with pytest.raises(StepFailed):
        asyncio.run(_together(wait(), fail()))
    assert cancelled == [True]


@pytest.mark.parametrize("target", [None, "Le chat."])
def test_only_what_was_translated_first_is_let_in_however_much_waits(
    translator: Translator,
    reverse: Translator,
    monkeypatch: pytest.MonkeyPatch,
    target: str | None,
) -> None:
    asked: list[bool] = []
    run = Engine.run

    async def note(
        engine: Engine, jobs: Sequence[Job], deadline: Deadline, begun: bool = False
    ) -> list[list[Path]]:
        asked.append(begun)
        return await run(engine, jobs, deadline, begun)

    monkeypatch.setattr(Engine, "run", note)
    both_ways(translator, reverse, [Pair("The cat.", target), Pair("The cat.", "Le chat.")])
    assert asked == ([False, True, True] if target is None else [False, False])
