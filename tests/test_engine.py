"""Engine: joins and leaves, cancellation, failure and shutdown, with a stand-in for the model."""

import asyncio
import logging
import time
from contextlib import aclosing
from typing import Any

import pytest

from service.admission import Job
from service.beam import Beam
from service.deadline import Deadline
from service.engine import Capacity, Engine
from service.errors import (
    DeadlineExceeded,
    InterlineaError,
    ShuttingDown,
    StepFailed,
)
from service.hypotheses import Chosen
from service.pace import Pace
from service.runner import Stepped
from service.search import Greedy
from service.visit import CURRENT, Visit
from tests.counting import CountingRunner, job, wait_for


def run(engine: Engine, *jobs: Job) -> list[tuple[int, ...]]:
    return [paths[0].tokens for paths in asyncio.run(engine.run(jobs))]


def test_every_job_gets_its_own_answer(engine: Engine) -> None:
    jobs = [job(2, 3), job(4), job(5, 6, 7, 2, 3), job(3, beams=2), job(2, 2)]
    assert run(engine, *jobs) == [(2, 3, 0), (4, 0), (5, 6, 7, 2, 3, 0), (3, 0), (2, 2, 0)]
    assert engine.pending == 0


def test_sentences_join_and_leave_between_steps(engine: Engine, runner: CountingRunner) -> None:
    run(engine, job(2, 3, 4, 5, 6, 7), job(2), job(3), job(4), job(5), job(6))
    assert max(runner.batches) == 4
    assert sum(runner.batches) == 7 + 5 * 2  # a row is run only while it has something to say
    assert len(runner.batches) < 10


def test_a_cancelled_job_leaves_within_one_step(engine: Engine, runner: CountingRunner) -> None:
    async def scenario() -> None:
        runner.gate.clear()
        task = asyncio.create_task(engine.run([job(*[2] * 40)]))
        await wait_for(runner.stepping)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        runner.gate.set()
        assert [p[0].tokens for p in await engine.run([job(3)])] == [(3, 0)]

    asyncio.run(scenario())
    assert sum(runner.batches) <= 1 + 2  # the step that was under way, then the second job


def test_a_job_cancelled_in_the_queue_never_runs(engine: Engine, runner: CountingRunner) -> None:
    async def scenario() -> None:
        runner.gate.clear()
        first = asyncio.create_task(engine.run([job(2, beams=4)]))
        await wait_for(runner.stepping)
        second = asyncio.create_task(engine.run([job(*[3] * 30)]))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        runner.gate.set()
        assert (await first)[0][0].tokens == (2, 0)

    asyncio.run(scenario())
    assert len(runner.batches) == 2


def test_a_failed_step_fails_its_own_jobs_and_the_loop_lives(
    engine: Engine, runner: CountingRunner
) -> None:
    runner.fail_step = True
    with pytest.raises(StepFailed):
        run(engine, job(2), job(3))
    assert run(engine, job(4)) == [(4, 0)]
    assert engine.pending == 0


def test_a_failed_encoding_fails_only_those_that_join(
    engine: Engine, runner: CountingRunner
) -> None:
    async def scenario() -> None:
        runner.gate.clear()
        first = asyncio.create_task(engine.run([job(2, 3, 4)]))
        await wait_for(runner.stepping)
        runner.fail_encode = True
        second = asyncio.create_task(engine.run([job(5), job(6)]))
        await asyncio.sleep(0)
        runner.gate.set()
        with pytest.raises(StepFailed):
            await second
        assert (await first)[0][0].tokens == (2, 3, 4, 0)
        assert (await engine.run([job(7)]))[0][0].tokens == (7, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("what", ["poison", "poisoned_attention", "poisoned_memory"])
def test_a_number_that_is_not_finite_fails_its_sentence_alone(
    engine: Engine, runner: CountingRunner, what: str
) -> None:
    setattr(runner, what, 5)

    async def scenario() -> list[object]:
        made = await asyncio.gather(
            engine.run([job(2, 3)]), engine.run([job(5, 3)]), return_exceptions=True
        )
        return list(made)

    good, bad = asyncio.run(scenario())
    assert isinstance(bad, StepFailed)
    assert isinstance(good, list)
    assert good[0][0].tokens == (2, 3, 0)


def test_closing_finishes_what_is_on_board_and_refuses_the_rest(runner: CountingRunner) -> None:
    engine = Engine(runner, Capacity(workers=2, slots=4, batch_tokens=64, queue=6))
    assert run(engine, job(2), job(3, 4)) == [(2, 0), (3, 4, 0)]
    engine.close(1.0)
    with pytest.raises(ShuttingDown):
        run(engine, job(2))


def test_after_the_grace_period_nobody_waits_forever(runner: CountingRunner) -> None:
    engine = Engine(runner, Capacity(workers=1, slots=1, batch_tokens=64, queue=6))

    async def scenario() -> list[object]:
        runner.gate.clear()
        tasks = [asyncio.create_task(engine.run([job(*[2] * 30)])) for _ in range(3)]
        await wait_for(runner.stepping)
        closing = asyncio.create_task(asyncio.to_thread(engine.close, 0.05))
        await asyncio.sleep(0.2)
        runner.gate.set()
        await closing
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    for answer in asyncio.run(scenario()):
        assert isinstance(answer, InterlineaError)


def test_a_deadline_drops_the_work_within_one_step(engine: Engine, runner: CountingRunner) -> None:
    async def scenario() -> None:
        runner.gate.clear()
        late = asyncio.create_task(engine.run([job(*[2] * 40), job(*[3] * 40)], Deadline(0.05)))
        with pytest.raises(DeadlineExceeded) as caught:
            await late
        assert caught.value.detail == {"timeout": 0.05}
        runner.gate.set()
        assert (await engine.run([job(3)]))[0][0].tokens == (3, 0)

    asyncio.run(scenario())
    assert sum(runner.batches) <= 2 + 2
    assert engine.pending == 0


def test_a_deadline_drops_the_work_though_nobody_reads(
    engine: Engine, runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = runner.step

    def slow(*given: Any) -> Stepped:
        time.sleep(0.02)
        return quick(*given)

    monkeypatch.setattr(runner, "step", slow)

    async def scenario() -> None:
        long = job(*[2] * 40)
        long.watched = True
        async with aclosing(engine.stream([long], Deadline(0.1))) as events:
            await anext(events)
            await asyncio.sleep(0.4)  # as one that waits for its client
            made = len(runner.batches)
            assert made < 15
            assert engine.pending == 0
            with pytest.raises(DeadlineExceeded):
                assert [event async for event in events]
        assert len(runner.batches) == made

    asyncio.run(scenario())


def test_what_was_dropped_does_not_count_as_done(
    engine: Engine, runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[int] = []
    monkeypatch.setattr(Pace, "finished", lambda _, cost, *about: costs.append(cost))

    async def scenario() -> None:
        runner.gate.clear()
        with pytest.raises(DeadlineExceeded):
            await engine.run([job(2, 3), job(4)], Deadline(0.05))
        runner.gate.set()
        await engine.run([job(3)])

    asyncio.run(scenario())
    assert sum(costs) == 4


def test_events_come_as_they_happen_and_are_the_answer(engine: Engine) -> None:
    async def scenario() -> None:
        watched = [job(2, 3), job(4)]
        for one in watched:
            one.watched = True
        told: dict[int, list[int]] = {0: [], 1: []}
        async for index, event in engine.stream([*watched, job(5)]):
            if isinstance(event, Chosen):
                assert event.step == len(told[index])
                told[index].append(event.token)
            elif index < 2:
                assert told[index] == list(event[0].tokens)
        assert told == {0: [2, 3, 0], 1: [4, 0]}

    asyncio.run(scenario())


def test_closing_a_stream_drops_the_rest(engine: Engine) -> None:
    async def scenario() -> None:
        events = engine.stream([job(2), job(*[3] * 40)])
        async for index, _ in events:
            assert index == 0
            break
        await events.aclose()
        assert (await engine.run([job(4)]))[0][0].tokens == (4, 0)
        assert engine.pending == 0

    asyncio.run(scenario())


def test_a_long_sentence_waits_a_bounded_time_under_a_flood_of_short_ones(
    runner: CountingRunner,
) -> None:
    """The flood never ends, yet the long sentence needs few more steps than its own."""
    engine = Engine(runner, Capacity(workers=1, slots=4, batch_tokens=64, queue=10_000))

    async def scenario() -> int:
        stop = False

        async def flood() -> None:
            while not stop:
                await engine.run([job(2, 3)])

        floods = [asyncio.create_task(flood()) for _ in range(40)]
        await wait_for(runner.stepping)
        before = len(runner.batches)
        (answer,) = await engine.run([job(*[5] * 150)])
        steps = len(runner.batches) - before
        stop = True
        await asyncio.gather(*floods)
        assert len(answer[0].tokens) == 50
        return steps

    steps = asyncio.run(scenario())
    engine.close(1.0)
    assert steps < 4 * 51  # its own 51 steps take turns with those of the short ones' lane


def test_a_few_sentences_spread_over_all_workers(runner: CountingRunner) -> None:
    engine = Engine(runner, Capacity(workers=2, slots=8, batch_tokens=1000, queue=10))
    assert run(engine, *[job(2, 3, 4, 5) for _ in range(4)]) == [(2, 3, 4, 5, 0)] * 4
    engine.close(1.0)
    assert max(runner.batches) == 2


def test_sentences_with_many_beams_and_one_share_a_batch(
    engine: Engine, runner: CountingRunner
) -> None:
    assert run(engine, job(2, 3, beams=3), job(4, 5)) == [(2, 3, 0), (4, 5, 0)]
    assert max(runner.batches) == 4


def test_an_engine_tells_what_it_did(engine: Engine, runner: CountingRunner) -> None:
    run(engine, job(2, 3), job(4, 5, 6, 7, 2), job(3, beams=2))
    load = engine.load()
    assert (load.waiting, load.running) == (0, 0)
    tally = load.tally
    assert (tally.done, tally.failed, tally.dropped) == (3, 0, 0)
    assert (tally.source_tokens, tally.target_tokens) == (11, 11)
    assert sum(tally.waits.counts) == 3
    assert sum(tally.steps.counts) == len(runner.batches)
    assert tally.fill.total == pytest.approx(sum(runner.batches) / 4)
    assert (tally.encoder_real, tally.encoder_tokens) == (11, 3 * 8)
    assert tally.decoder_real == 3 * 3 + 6 * 6 + 2 * 2 * 2
    assert tally.decoder_tokens >= tally.decoder_real


def test_an_engine_tells_what_it_has_in_hand_and_what_it_dropped(
    engine: Engine, runner: CountingRunner
) -> None:
    async def scenario() -> None:
        runner.gate.clear()
        jobs = [job(2, 2, 2) for _ in range(21)]
        task = asyncio.create_task(engine.run(jobs))
        await wait_for(runner.stepping)
        load = engine.load()
        assert (load.waiting, load.running) == (21 - 16, 16)  # taken ahead of their rows
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.load().tally.dropped == 5
        runner.gate.set()

    asyncio.run(scenario())
    engine.close(2.0)  # when its threads have ended, all is noted
    load = engine.load()
    assert (load.waiting, load.running, load.tally.dropped, load.tally.done) == (0, 0, 21, 0)


def test_failed_batches_are_counted_and_their_log_lines_name_the_requests(
    engine: Engine, runner: CountingRunner, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask(name: str) -> object:
        CURRENT.set(Visit(name))
        (failure,) = await asyncio.gather(engine.run([job(2), job(3)]), return_exceptions=True)
        return failure

    for name in ("encode", "step"):
        setattr(runner, f"fail_{name}", True)
        assert isinstance(asyncio.run(ask(name)), StepFailed)
    told = [vars(one)["facts"] for one in caplog.records if one.levelno == logging.ERROR]
    assert told == [{"request_ids": ["encode"]}, {"request_ids": ["step"]}]
    tally = engine.load().tally
    assert (tally.failed_encodings, tally.failed_steps, tally.failed) == (1, 1, 4)
    assert run(engine, job(2)) == [(2, 0)]
    assert engine.load().tally.decoder_real == 2 * 2 + 2 * 2


@pytest.mark.parametrize("beams", [1, 2])
def test_a_search_that_is_over_keeps_its_answer_and_not_the_batch(
    engine: Engine, runner: CountingRunner, beams: int
) -> None:
    async def scenario() -> None:
        done, dropped = job(2, 3, beams=beams), job(*[4] * 40, beams=beams)
        (paths,) = await engine.run([done])
        assert done.search.paths == paths
        runner.stepping.clear()
        late = asyncio.create_task(engine.run([dropped]))
        await wait_for(runner.stepping)
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)
        while engine.load().running:
            await asyncio.sleep(0.01)
        for search in (done.search, dropped.search):
            assert isinstance(search, Greedy | Beam)
            assert search._trail.steps == []

    asyncio.run(scenario())
