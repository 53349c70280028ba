"""What a request spent its time on: phases, sums, and the stamps that the engine makes."""

import asyncio
import time
from contextvars import copy_context

import pytest

from service.options import Options, Pair
from service.timing import Times, calls, length, merged, phases
from service.translator import Translator
from service.visit import CURRENT, Visit, arrival

STATIONS = ("admitted", "taken", "encoding", "encoded", "boarded", "done")


def times(*stations: float, source: int = 1, steps: int = 0, target: int = 0) -> Times:
    one = Times(source, stations[0], steps=steps, target=target)
    for name, at in zip(STATIONS, stations, strict=False):
        setattr(one, name, at)
    return one


def test_a_request_came_when_its_visit_began() -> None:
    def within() -> float:
        CURRENT.set(Visit("me", started=0.5))
        return arrival()

    before = time.monotonic()
    assert copy_context().run(within) == 0.5
    assert before <= arrival() <= time.monotonic(), "outside of all visits it is now"


def test_intervals_that_meet_become_one() -> None:
    found = merged([(5.0, 6.0), (1.0, 3.0), (2.0, 2.5), (3.0, 4.0)])
    assert found == [(1.0, 4.0), (5.0, 6.0)]
    assert length(found) == 4.0
    assert merged([]) == []


def test_a_sentence_alone_goes_from_phase_to_phase() -> None:
    found = phases([times(1.0, 2.0, 2.5, 4.0, 5.0, 9.0)], 10.0)
    assert (found.queue, found.encode, found.decode) == ([(1.0, 2.0)], [(2.5, 4.0)], [(5.0, 9.0)])


def test_of_several_sentences_the_first_ends_the_queue_and_company_counts_once() -> None:
    together = [times(1.0, 4.0, 4.0, 5.0, 5.0, 8.0), times(1.0, 2.0, 2.0, 3.0, 3.0, 6.0)]
    found = phases(together, 10.0)
    assert found.queue == [(1.0, 2.0)]
    assert found.encode == [(2.0, 3.0), (4.0, 5.0)]
    assert found.decode == [(3.0, 8.0)]


def test_what_is_not_over_ends_now() -> None:
    assert phases([times(1.0)], 5.0).queue == [(1.0, 5.0)]
    assert phases([times(1.0, 2.0, 3.0)], 5.0).encode == [(3.0, 5.0)]
    unfinished = phases([times(1.0, 2.0, 3.0, 4.0, 4.5)], 5.0)
    assert (unfinished.encode, unfinished.decode) == ([(3.0, 4.0)], [(4.5, 5.0)])
    assert phases([], 5.0).queue == []


def test_each_call_of_an_engine_has_a_queue_of_its_own() -> None:
    twice = [times(1.0, 2.0), times(1.0, 3.0), times(7.0, 7.5)]
    assert calls(twice) == [twice[:2], twice[2:]]
    assert phases(twice, 9.0).queue == [(1.0, 2.0), (7.0, 7.5)]


def test_a_visit_tells_its_times_until_it_was_answered() -> None:
    visit = Visit("me", started=0.5)
    visit.times = [
        times(1.0, 2.0, 2.0, 3.0, 3.0, 6.0, source=4, steps=5, target=6),
        times(1.0, 2.0, 2.0, 3.0, 3.0, 7.0, source=1, steps=2, target=3),
    ]
    visit.answered = 7.5
    timing = visit.timing()
    assert (timing.queue, timing.encode, timing.decode) == (1.0, 1.0, 4.0)
    assert (timing.serialise, timing.total) == (0.5, 7.0)
    assert (timing.steps, timing.source_tokens, timing.target_tokens) == (7, 5, 9)
    visit.ended = 9.0
    assert visit.timing() is timing


def test_a_visit_without_sentences_took_its_time_elsewhere() -> None:
    visit = Visit("me", started=0.5)
    visit.answered = 1.5
    timing = visit.timing()
    assert (timing.queue, timing.decode, timing.serialise, timing.total) == (0.0, 0.0, 0.0, 1.0)


def visited(work: object) -> Visit:
    """Run a coroutine for a visit, as a server would."""
    visit = Visit("me")

    async def serve() -> None:
        CURRENT.set(visit)
        assert asyncio.iscoroutine(work)
        await work

    copy_context().run(asyncio.run, serve())
    return visit


@pytest.mark.parametrize("beams", [1, 3])
def test_the_engine_stamps_every_sentence_at_every_station(
    translator: Translator, beams: int
) -> None:
    texts = ["The cat sees the dog.", "The old king likes the red house."] * 20
    visit = visited(translator.translate(texts, Options(beam_size=beams)))
    assert len(visit.times) == 40
    for one in visit.times:
        stamps = [getattr(one, station) for station in STATIONS]
        assert stamps == sorted(stamps)
        assert stamps[0] > visit.started
        if beams == 1:
            assert one.steps == one.target
    assert 0 < visit.source_tokens < visit.target_tokens * 4
    timing = visit.timing()
    spent = (timing.queue, timing.encode, timing.decode, timing.serialise)
    assert all(0 < one < timing.total for one in spent)
    assert timing.steps >= timing.target_tokens if beams == 1 else timing.steps > 0


def test_a_pair_without_a_target_goes_to_the_engine_twice(translator: Translator) -> None:
    pairs = [Pair("The cat sees the dog.", None), Pair("The cat.", "Le chat.")]
    visit = visited(translator.align(pairs, Options()))
    assert [len(call) for call in calls(visit.times)] == [1, 2]


def test_without_a_visit_nothing_is_kept(translator: Translator) -> None:
    assert CURRENT.get() is None
    asyncio.run(translator.translate(["The cat."], Options()))
    assert CURRENT.get() is None
