"""Worker threads that die, hang or fail at everything: nobody waits for ever, and others follow."""

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from service import crew as room
from service.admission import Admission, Ticket
from service.deadline import Deadline
from service.engine import Capacity, Engine
from service.errors import BundleError, InterlineaError, ShuttingDown, StepFailed, Unavailable
from service.lane import Lane
from service.worker import Worker
from tests.counting import CountingRunner, job, wait_for
from tests.test_engine import run

Escape = Callable[..., Any]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: BaseException) -> None:
    """Let a method raise, before it does anything, the next time that it is called."""
    method = getattr(owner, name)

    def fail(*given: Any) -> Any:
        monkeypatch.setattr(owner, name, method)
        raise error

    monkeypatch.setattr(owner, name, fail)


def refuse(thread: threading.Thread) -> None:
    """Take the place of `Thread.start` where the system has no more threads."""
    raise RuntimeError("can't start new thread")


def outcome(engine: Engine, *numbers: int) -> list[tuple[int, ...]] | InterlineaError:
    try:
        return run(engine, job(*numbers))
    except InterlineaError as error:
        return error


def check_whole(engine: Engine, runner: CountingRunner) -> None:
    """See that an engine has lost neither a thread, nor a row, nor the count of anything."""
    assert engine.pending == 0
    runner.batches.clear()
    assert run(engine, *[job(2, 3) for _ in range(4)]) == [(2, 3, 0)] * 4
    assert max(runner.batches) == 4, "all rows can be had"
    assert engine.pending == 0
    assert engine.trouble() is None


@pytest.mark.parametrize("error", [KeyError("x"), MemoryError(), SystemExit(), KeyboardInterrupt()])
@pytest.mark.parametrize(
    ("owner", "name"),
    [(Lane, "join"), (Lane, "step"), (Lane, "_release"), (Admission, "leave")],
)
def test_what_escapes_from_the_loop_fails_its_sentences_and_another_thread_follows(
    engine: Engine,
    runner: CountingRunner,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    error: BaseException,
) -> None:
    def threads() -> set[threading.Thread]:
        return {one for one in threading.enumerate() if one.name == "interlinea-worker"}

    before = threads()
    once(monkeypatch, owner, name, error)
    found = outcome(engine, 2, 3, 4)
    assert isinstance(found, StepFailed)
    check_whole(engine, runner)
    for thread in before:
        thread.join(5)  # to die was its last act
    assert not threads() & before, "the thread is another one"


def test_an_answer_that_cannot_be_posted_is_not_waited_for(
    engine: Engine, runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service import worker

    post = worker.post

    def fail(posts: Any) -> None:
        monkeypatch.setattr(worker, "post", post)
        raise MemoryError

    monkeypatch.setattr(worker, "post", fail)
    assert isinstance(outcome(engine, 2), StepFailed)
    check_whole(engine, runner)


async def two_requests(engine: Engine, runner: CountingRunner) -> list[asyncio.Task[Any]]:
    """Begin two requests, the first of which takes all rows; they go on once the gate is set."""
    runner.gate.clear()
    first = asyncio.create_task(engine.run([job(*[2] * 30, beams=4)]))
    await wait_for(runner.stepping)
    second = asyncio.create_task(engine.run([job(3, 4)]))
    await asyncio.sleep(0)
    return [first, second]


def test_what_waits_is_done_by_the_thread_that_follows(
    engine: Engine, runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        first, second = await two_requests(engine, runner)
        once(monkeypatch, Lane, "step", MemoryError())
        runner.gate.set()
        with pytest.raises(StepFailed, match="thread"):
            await first
        assert (await second)[0][0].tokens == (3, 4, 0)

    asyncio.run(scenario())
    check_whole(engine, runner)


def test_a_thread_that_dies_at_once_is_not_followed_without_end(
    engine: Engine, runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    start = threading.Thread.start

    def counted(thread: threading.Thread) -> None:
        made.append(thread)
        start(thread)

    def fail(self: Admission) -> None:
        raise MemoryError

    monkeypatch.setattr(threading.Thread, "start", counted)
    with monkeypatch.context() as patch:
        patch.setattr(Admission, "sleep", fail)
        outcome(engine, 2)  # wakes the thread, which then sleeps again, and dies of it
        for _ in range(3):
            assert isinstance(outcome(engine, 2), InterlineaError | list)
        assert len(made) < 12
    assert len(run(engine, job(2))) == 1  # who asks next, finds it mended
    check_whole(engine, runner)


def test_who_comes_while_the_last_thread_is_ending_is_not_left_waiting(
    runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has emptied the queue and said its last word, but is still there."""
    over, emptied, died = threading.Event(), threading.Event(), room.Crew._died

    def linger(crew: room.Crew, worker: Worker) -> None:
        died(crew, worker)
        emptied.set()
        over.wait()

    monkeypatch.setattr(room.Crew, "_died", linger)
    once(monkeypatch, Admission, "sleep", MemoryError())
    engine = Engine(runner, Capacity(workers=1, slots=4, batch_tokens=64, queue=6))
    assert emptied.wait(5)
    assert run(engine, job(2, 3)) == [(2, 3, 0)]
    over.set()
    check_whole(engine, runner)
    engine.close(1.0)


def test_who_comes_just_before_the_last_thread_ends_is_not_left_waiting(
    runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there when the request came, and had emptied the queue when that was queued."""
    ending, admit, sleep = threading.Event(), Admission.admit, Admission.sleep

    def fail(self: Admission) -> None:
        ending.wait()
        raise MemoryError

    def late(self: Admission, *given: Any) -> Any:
        monkeypatch.setattr(Admission, "admit", admit)
        ending.set()
        engine._crew._workers[0].join(5)
        monkeypatch.setattr(Admission, "sleep", sleep)
        return admit(self, *given)

    monkeypatch.setattr(Admission, "sleep", fail)
    monkeypatch.setattr(Admission, "admit", late)
    engine = Engine(runner, Capacity(workers=1, slots=4, batch_tokens=64, queue=6))
    assert run(engine, job(2, 3)) == [(2, 3, 0)]
    check_whole(engine, runner)
    engine.close(1.0)


def test_what_waits_for_a_thread_that_cannot_be_had_is_told_at_once(
    engine: Engine, runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        tasks = await two_requests(engine, runner)
        with monkeypatch.context() as patch:
            once(patch, Lane, "step", MemoryError())
            patch.setattr(threading.Thread, "start", refuse)
            runner.gate.set()
            for task in tasks:
                with pytest.raises(StepFailed, match="thread"):
                    await task

    asyncio.run(scenario())
    check_whole(engine, runner)


def test_a_thread_that_ended_without_a_word_is_found_by_who_asks_next(
    runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_live", lambda self: None)
        engine = Engine(runner, Capacity(workers=2, slots=4, batch_tokens=64, queue=6))
    assert run(engine, job(2, 3)) == [(2, 3, 0)]
    assert engine.trouble() is None
    engine.close(1.0)


def test_what_a_thread_without_a_word_has_taken_fails(
    runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = threading.Event()

    def vanish(self: Worker) -> None:
        self._admission.sleep()
        self._take(0, 0, 4, 64)
        taken.set()

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_live", vanish)
        engine = Engine(runner, Capacity(workers=1, slots=4, batch_tokens=64, queue=6))

    async def scenario() -> None:
        lost = asyncio.create_task(engine.run([job(2)]))
        await wait_for(taken)
        while engine.pending:
            assert engine.trouble() is None
        with pytest.raises(StepFailed, match="thread"):
            await lost

    asyncio.run(scenario())
    check_whole(engine, runner)
    engine.close(1.0)


def test_a_thread_that_cannot_be_had_is_a_trouble(
    runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_live", lambda self: None)
        engine = Engine(runner, Capacity(workers=1, slots=4, batch_tokens=64, queue=6))

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert engine.trouble() == "1 of 1 worker threads have died"
    check_whole(engine, runner)
    engine.close(1.0)


def test_memory_that_runs_out_in_a_step_fails_the_step_and_its_state_is_renewed(
    engine: Engine, runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    (worker,) = engine._crew._workers
    slots = worker._lanes[0]._slots
    once(monkeypatch, CountingRunner, "step", MemoryError())
    assert isinstance(outcome(engine, 2, 3), StepFailed)
    assert engine._crew._workers == [worker], "the thread lives"
    assert worker._lanes[0]._slots is not slots
    check_whole(engine, runner)


@pytest.mark.parametrize("how", ["step", "encode", "nan"])
def test_an_engine_that_fails_at_everything_is_in_trouble_until_something_goes_well(
    engine: Engine, runner: CountingRunner, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def fail(*_: object) -> None:
        raise StepFailed("the model failed")

    with monkeypatch.context() as patch:
        if how == "nan":
            runner.poison = 2
        else:
            patch.setattr(runner, how, fail)
        for count in range(3):
            assert engine.trouble() is None, count
            assert isinstance(outcome(engine, 2), StepFailed)
        assert engine.trouble() == "its last steps all failed"
    runner.poison = None
    check_whole(engine, runner)


def test_one_sentence_with_bad_numbers_is_no_trouble(
    engine: Engine, runner: CountingRunner
) -> None:
    runner.poison = 5
    for _ in range(5):
        assert isinstance(outcome(engine, 5, 3), StepFailed)
        assert outcome(engine, 2) == [(2, 0)]
    assert engine.trouble() is None


def test_a_thread_that_hangs_is_left_behind_and_nobody_waits_for_it(
    runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "LAST_SECONDS", 0.01)
    engine = Engine(runner, Capacity(workers=1, slots=1, batch_tokens=64, queue=6))

    async def scenario() -> list[object]:
        runner.gate.clear()
        tasks = [asyncio.create_task(engine.run([job(2, 3)])) for _ in range(3)]
        await wait_for(runner.stepping)
        await asyncio.to_thread(engine.close, 0.0, Unavailable("replaced"))
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    found = asyncio.run(scenario())
    assert [type(one) for one in found] == [Unavailable] * 3
    assert engine.pending == 0
    runner.gate.set()


def test_what_is_on_board_fails_with_the_reason_that_is_given(runner: CountingRunner) -> None:
    engine = Engine(runner, Capacity(workers=1, slots=4, batch_tokens=64, queue=6))

    async def scenario() -> None:
        runner.gate.clear()
        task = asyncio.create_task(engine.run([job(*[2] * 40)]))
        await wait_for(runner.stepping)
        closing = asyncio.create_task(asyncio.to_thread(engine.close, 0.0, Unavailable("gone")))
        while not any(worker._stopped for worker in engine._crew._workers):
            await asyncio.sleep(0)
        runner.gate.set()
        with pytest.raises(Unavailable, match="gone"):
            await task
        await closing
        with pytest.raises(ShuttingDown):
            await engine.run([job(2)])

    asyncio.run(scenario())


def test_nothing_of_a_closed_engine_is_left_for_the_collector(runner: CountingRunner) -> None:
    """Or the sessions of a replaced bundle would stay until some day circles are looked for."""
    engine = Engine(runner, Capacity(workers=2, slots=4, batch_tokens=64, queue=6))
    assert len(run(engine, *[job(2, 3) for _ in range(5)])) == 5
    weak = weakref.ref(engine)
    gc.collect()
    gc.disable()
    try:
        engine.close(1.0)
        del engine
        assert weak() is None
    finally:
        gc.enable()


def test_tickets_know_who_has_taken_them() -> None:
    async def scenario() -> None:
        admission = Admission(2, 10)
        admission.admit([job(2), job(3), job(4)], [4, 4, 4], Deadline(10))
        one, other = object(), object()
        (mine,) = admission.take(one, 0, 0, 1, 9)
        (theirs,) = admission.take(other, 0, 0, 1, 9)
        assert admission.abandon(one) == [mine]
        assert admission.pending == 2
        assert admission.abandon(one) == []
        admission.leave([theirs])
        left: list[Ticket] = admission.empty()
        assert [ticket.index for ticket in left] == [2]
        assert admission.pending == 0

    asyncio.run(scenario())


def test_an_engine_without_all_its_threads_leaves_none_behind(
    runner: CountingRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, start = threading.active_count(), threading.Thread.start
    started: list[threading.Thread] = []

    def start_one(thread: threading.Thread) -> None:
        if started:
            refuse(thread)
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    with pytest.raises(BundleError, match=r"only 1 of 2 worker .* new thread; set INTERLINEA_WORK"):
        Engine(runner, Capacity(workers=2, slots=4, batch_tokens=64, queue=6))
    started[0].join(5)
    assert threading.active_count() == before
