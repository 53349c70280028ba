"""Demand: what is expected of a request, and what it takes, on a model that was trained here."""

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from service.demand import NOTHING, Demand, Estimator
from service.directions import align_both_ways
from service.errors import QuotaExceeded, TooManyHypotheses, TooManyTokens
from service.manifest import MANIFEST, parse_manifest
from service.options import Options, Pair
from service.segmentation import Span
from service.tokenizer import Encoded
from service.translation import TokenChosen
from service.translator import Translator
from service.units import Role, Unit, UnitPair

SHIPPED = Path(__file__).parents[1] / "service" / "bundles" / "en-fr"
SENTENCE = "The cat sees a tree."


class Till:
    """A meter that notes what it is told, and refuses where it should."""

    def __init__(self, refuses: bool = False, most_rows: int = 1000) -> None:
        self.demands: list[Demand] = []
        self._most_rows = most_rows
        self.work: list[int] = []
        self._refuses = refuses

    def check(self, least: Demand) -> None:
        if least.rows > self._most_rows:
            raise TooManyHypotheses(f"{least.rows} are too many")

    def begin(self, demand: Demand) -> None:
        self.demands.append(demand)
        if self._refuses:
            raise TooManyTokens("too many")

    def spend(self, work: int) -> None:
        self.work.append(work)


def unit(tokens: int) -> Unit:
    """A text of so many tokens."""
    spans = tuple(Span(index, index + 1) for index in range(tokens))
    return Unit("x" * tokens, 0, Encoded(tuple(range(tokens)), spans), ())


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    """Of the shipped model: 800 target tokens at most, one head; padded to a multiple of four."""
    shipped = parse_manifest((SHIPPED / MANIFEST).read_bytes(), MANIFEST)
    return Estimator(shipped.model, lambda length: -(-length // 4) * 4)


@pytest.mark.parametrize(
    ("length", "asked", "limit"), [(10, None, 50), (10, 7, 7), (500, None, 800), (10, 9999, 800)]
)
def test_a_target_has_a_limit(
    estimator: Estimator, length: int, asked: int | None, limit: int
) -> None:
    assert estimator.limit(length, asked) == limit


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(attention="none"), Demand(9, 1, 12 + 25, 0)),
        (Options(attention="cross"), Demand(9, 1, 12 + 25, 25 * 10)),
        (Options(attention="cross", heads=True), Demand(9, 1, 12 + 25, 2 * 25 * 10)),
        (Options(4, 3, "cross"), Demand(9, 4, 12 + 4 * 25, 3 * 25 * 10)),
        (Options(attention="cross", max_length=5), Demand(9, 1, 12 + 5, 5 * 10)),
        (Options(attention="cross", max_length=500), Demand(9, 1, 12 + 25, 25 * 10)),
    ],
)
def test_a_translation_is_expected_to_take_half_of_what_it_may(
    estimator: Estimator, options: Options, expected: Demand
) -> None:
    assert estimator.translation([unit(9)], options) == expected
    both = estimator.translation([unit(9), unit(9)], options)
    assert both == expected + expected
    assert estimator.translation([], options) == NOTHING


def test_what_is_read_again_is_work_for_each_answer(estimator: Estimator) -> None:
    options = Options(beam_size=4, n_best=3, attention="cross")
    once = estimator.translation([unit(9), unit(5)], options)
    again = estimator.translation([unit(9), unit(5)], options, [unit(9)])
    assert (again.tokens, again.rows, again.cells) == (once.tokens, once.rows, once.cells)
    assert again.work - once.work == 3 * (12 + 25)


def test_a_pair_takes_its_target_and_one_without_is_translated_too(estimator: Estimator) -> None:
    options = Options(attention="alignment")
    pair = UnitPair(unit(9), unit(6))
    assert estimator.alignment([pair], options) == Demand(15, 1, 12 + 7, 7 * 10)
    assert estimator.alignment([pair], options, passes=2) == Demand(15, 2, 2 * (12 + 7), 7 * 10)
    alone = estimator.alignment([unit(9)], options)
    assert alone == Demand(9, 2, 2 * (12 + 25), 25 * 10)


def test_work_is_the_padded_source_and_a_step_of_every_row(translator: Translator) -> None:
    till = Till()
    options = Options(attention="none")
    (made,) = asyncio.run(translator.translate([SENTENCE], options, till))
    (sentence,) = made.sentences
    source, target = len(sentence.source.tokens), len(sentence.best.target.tokens)
    width = -(-source // 4) * 4
    assert till.work == [width + target]
    (demand,) = till.demands
    assert (demand.tokens, demand.rows, demand.cells) == (source - 1, 1, 0)
    assert till.work[0] <= demand.work


def test_a_beam_works_on_all_its_rows(translator: Translator) -> None:
    till = Till()
    asyncio.run(translator.translate([SENTENCE], Options(beam_size=3), till))
    greedy = Till()
    asyncio.run(translator.translate([SENTENCE], Options(), greedy))
    assert till.demands[0].rows == 3
    assert till.work[0] > 2 * greedy.work[0]


def test_what_is_refused_takes_no_work(translator: Translator) -> None:
    till = Till(refuses=True)
    with pytest.raises(TooManyTokens):
        asyncio.run(translator.translate([SENTENCE], Options(), till))
    with pytest.raises(TooManyTokens):
        asyncio.run(translator.align([Pair(SENTENCE, None)], Options(), till))
    assert till.work == []


def test_a_stream_that_is_left_takes_what_was_decoded(translator: Translator) -> None:
    whole, left = Till(), Till()

    async def read(till: Till, tokens: int) -> None:
        async with aclosing(translator.stream([SENTENCE] * 3, Options(), till)) as events:
            async for event in events:
                if isinstance(event, TokenChosen) and event.step == tokens:
                    break

    asyncio.run(read(whole, 10_000))
    asyncio.run(read(left, 0))
    assert len(whole.work) == len(left.work) == 1
    assert 0 < left.work[0] <= whole.work[0]


def test_pairs_pay_for_their_translation_and_for_each_pass(translator: Translator) -> None:
    given, lone, both = Till(), Till(), Till()
    pair = Pair(SENTENCE, "Le chat voit un arbre.")
    asyncio.run(translator.align([pair], Options(), given))
    asyncio.run(translator.align([Pair(SENTENCE, None)], Options(), lone))
    asyncio.run(align_both_ways(translator, translator, [pair], Options(), "union", both))
    assert given.work[0] == given.demands[0].work, "of a given target the work is known"
    assert len(lone.work) == 2
    assert len(both.work) == 2
    assert both.demands[0].work == 2 * given.demands[0].work
    assert [len(till.demands) for till in (given, lone, both)] == [1, 1, 1]


def test_too_many_sentences_are_refused_before_any_is_looked_at(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    till, ready = Till(most_rows=11), translator._units.text
    looked: list[str] = []

    def look(text: str, start: int, role: Role) -> Unit:
        looked.append(text)
        return ready(text, start, role)

    monkeypatch.setattr(translator._units, "text", look)
    asyncio.run(translator.translate([SENTENCE] * 2, Options(beam_size=5), till))
    assert looked == [SENTENCE] * 2
    with pytest.raises(TooManyHypotheses, match="15 are"):
        asyncio.run(translator.translate([f"{SENTENCE} {SENTENCE}", SENTENCE], Options(5), till))
    assert len(looked) == 2
    assert len(till.demands) == 1


@pytest.mark.parametrize("rows", [1, 4])
def test_what_is_asked_at_least_is_never_more_than_what_is_asked(
    estimator: Estimator, rows: int
) -> None:
    least = estimator.least(2, rows)
    assert (least.tokens, least.rows, least.work) == (2, 2 * rows, 2 * (1 + rows))
    pairs = [UnitPair(unit(1), unit(1))] * 2
    for found in (
        estimator.translation([unit(1)] * 2, Options(rows, max_length=1)),
        estimator.alignment(pairs, Options(), passes=rows),
        estimator.alignment([unit(1)] * 2, Options(max_length=1), passes=rows),
    ):
        assert least.tokens <= found.tokens
        assert least.rows <= found.rows
        assert least.work <= found.work
        assert least.cells <= found.cells


def test_who_has_nothing_left_is_refused_before_the_texts_are_looked_at(
    translator: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Spent(Till):
        def check(self, least: Demand) -> None:
            raise QuotaExceeded("nothing is left")

    def look(*_: object) -> None:
        raise AssertionError("nobody should look")

    monkeypatch.setattr(translator, "_segment", look)
    for name in ("text", "given", "pair"):
        monkeypatch.setattr(translator._units, name, look)
    with pytest.raises(QuotaExceeded):
        asyncio.run(translator.translate([SENTENCE], Options(), Spent()))
    for pair in (Pair(SENTENCE, None), Pair(SENTENCE, "Le chat")):
        with pytest.raises(QuotaExceeded):
            asyncio.run(translator.align([pair], Options(), Spent()))
