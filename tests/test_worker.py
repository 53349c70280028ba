"""Worker: given targets are read at once, between steps, and nobody else notices."""

import asyncio
from collections.abc import Iterator

import pytest

from service.admission import Job
from service.deadline import Deadline
from service.engine import Capacity, Engine
from service.errors import DeadlineExceeded, InterlineaError, StepFailed
from service.hypotheses import Chosen, Path
from service.pairs import FORCE_TOKENS, LONGEST, TOKENS_A_STEP
from service.search import Forced
from tests.counting import EOS, CountingRunner, ForcingRunner, about, job, wait_for

CAPACITY = Capacity(workers=1, slots=4, batch_tokens=4096, queue=10_000)


@pytest.fixture
def runner() -> ForcingRunner:
    return ForcingRunner()


@pytest.fixture
def engine(runner: ForcingRunner) -> Iterator[Engine]:
    made = Engine(runner, CAPACITY)
    yield made
    runner.gate.set()
    made.close(2.0)


def given(*numbers: int, target: tuple[int, ...] | None = None) -> Job:
    """A pair; the target is what the model would say, if it is not another."""
    source = (*numbers, EOS)
    return Job(source, Forced(about(source), numbers if target is None else target))


def run(engine: Engine, *jobs: Job) -> list[Path]:
    return [paths[0] for paths in asyncio.run(engine.run(jobs))]


def calls(runner: ForcingRunner) -> list[list[int]]:
    return [one for one in runner.asked if isinstance(one, list)]


def read(runner: ForcingRunner) -> list[int]:
    """The lengths of all targets that were read at once."""
    return sorted(length for call in calls(runner) for length in call)


def pair_of(length: int) -> Job:
    """A pair whose target has so many tokens, `</s>` included."""
    return given(*[2] * (length - 1))


def test_pairs_are_read_in_one_call_without_a_step(engine: Engine, runner: ForcingRunner) -> None:
    paths = run(engine, given(2, 3), given(4, 5, 6), given(5, target=(6,)))
    assert [path.tokens for path in paths] == [(2, 3, 0), (4, 5, 6, 0), (5 + 1, 0)]
    assert paths[0].scores.tolist() == [-0.5] * 3
    assert paths[2].scores.tolist() == [-5.0, -0.5]
    assert read(runner) == [2, 3, 4]
    assert not [one for one in runner.asked if isinstance(one, int)]
    assert engine.pending == 0


def test_the_answer_is_that_of_the_steps(engine: Engine) -> None:
    plain = Engine(CountingRunner(), CAPACITY)
    jobs = [(2, 3), (4,), (5, 6, 7, 2, 3), ()]
    both = [run(one, *(given(*numbers) for numbers in jobs)) for one in (engine, plain)]
    plain.close(1.0)
    for found, expected in zip(*both, strict=True):
        assert found.tokens == expected.tokens
        assert found.finished == expected.finished
        assert (found.scores == expected.scores).all()
        assert (found.attention["cross"] == expected.attention["cross"]).all()


def test_pairs_and_sentences_share_a_worker(engine: Engine, runner: ForcingRunner) -> None:
    found = run(engine, job(2, 3), given(4, 5), job(6, beams=3), given(7))
    assert [path.tokens for path in found] == [(2, 3, 0), (4, 5, 0), (6, 0), (7, 0)]
    assert read(runner) == [2, 3]


def test_a_target_that_is_watched_or_very_long_goes_step_by_step(
    engine: Engine, runner: ForcingRunner
) -> None:
    async def watched() -> list[int]:
        pair = given(2, 3)
        pair.watched = True
        events = [event async for _, event in engine.stream([pair])]
        return [event.token for event in events if isinstance(event, Chosen)]

    assert asyncio.run(watched()) == [2, 3, 0]
    (path,) = run(engine, pair_of(LONGEST + 1))
    assert len(path.tokens) == LONGEST + 1
    assert not calls(runner)
    run(engine, pair_of(LONGEST))
    assert calls(runner) == [[LONGEST]]


def test_a_call_that_fails_fails_its_own_pairs(engine: Engine, runner: ForcingRunner) -> None:
    async def scenario() -> None:
        runner.gate.clear()
        sentence = asyncio.create_task(engine.run([job(2, 3, 4)]))
        await wait_for(runner.stepping)
        runner.fail_force = True
        pairs = asyncio.create_task(engine.run([given(5), given(6)]))
        await asyncio.sleep(0)
        runner.gate.set()
        with pytest.raises(StepFailed):
            await pairs
        assert (await sentence)[0][0].tokens == (2, 3, 4, 0)
        assert (await engine.run([given(7)]))[0][0].tokens == (7, 0)

    asyncio.run(scenario())
    assert engine.pending == 0


@pytest.mark.parametrize("what", ["poison", "poisoned_attention"])
def test_numbers_that_are_not_finite_fail_their_pair_alone(
    engine: Engine, runner: ForcingRunner, what: str
) -> None:
    setattr(runner, what, 5)

    async def scenario() -> list[object]:
        runner.gate.clear()
        first = asyncio.create_task(engine.run([given(2)]))
        await wait_for(runner.stepping)
        made = [asyncio.create_task(engine.run([given(*n)])) for n in ((3, 4), (5, 4), (6, 4))]
        await asyncio.sleep(0)
        runner.gate.set()
        await first
        return list(await asyncio.gather(*made, return_exceptions=True))

    good, bad, other = asyncio.run(scenario())
    assert isinstance(bad, StepFailed)
    assert isinstance(good, list)
    assert isinstance(other, list)
    assert calls(runner)[1:] == [[3, 3, 3]], "they were in one call"


def test_who_has_gone_is_not_read(engine: Engine, runner: ForcingRunner) -> None:
    async def scenario() -> None:
        runner.gate.clear()
        first = asyncio.create_task(engine.run([pair_of(200)]))
        await wait_for(runner.stepping)  # in the call; the others are taken after it
        gone = asyncio.create_task(engine.run([pair_of(60), pair_of(60)]))
        stays = asyncio.create_task(engine.run([pair_of(30)]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        runner.gate.set()
        await first
        assert len((await stays)[0][0].tokens) == 30

    asyncio.run(scenario())
    assert calls(runner) == [[200], [30]]
    assert engine.pending == 0


def test_who_goes_while_encoded_is_not_read(engine: Engine, runner: ForcingRunner) -> None:
    async def scenario() -> None:
        runner.gate.clear()
        first = asyncio.create_task(engine.run([pair_of(200), pair_of(190)]))
        await wait_for(runner.stepping)  # both are encoded, and the first is being read
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        runner.gate.set()
        await engine.run([pair_of(30)])

    asyncio.run(scenario())
    assert calls(runner) == [[200], [30]]
    assert engine.pending == 0


def test_a_deadline_holds_for_pairs(engine: Engine, runner: ForcingRunner) -> None:
    async def scenario() -> None:
        runner.gate.clear()
        late = asyncio.create_task(engine.run([pair_of(200), pair_of(190)], Deadline(0.05)))
        with pytest.raises(DeadlineExceeded):
            await late
        runner.gate.set()
        await engine.run([given(3)])

    asyncio.run(scenario())
    assert [190] not in calls(runner)


def test_pairs_that_wait_fail_when_the_grace_period_ends(runner: ForcingRunner) -> None:
    engine = Engine(runner, CAPACITY)

    async def scenario() -> list[object]:
        runner.gate.clear()
        tasks = [asyncio.create_task(engine.run([pair_of(200)])) for _ in range(3)]
        await wait_for(runner.stepping)
        closing = asyncio.create_task(asyncio.to_thread(engine.close, 0.0))
        await asyncio.sleep(0.1)
        runner.gate.set()
        await closing
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    answers = asyncio.run(scenario())
    assert sum(isinstance(answer, list) for answer in answers) <= 2
    assert sum(isinstance(answer, InterlineaError) for answer in answers) >= 1


def test_every_call_is_bounded(engine: Engine, runner: ForcingRunner) -> None:
    lengths = [5, 60, 7, 200, 12, 100, 3, 90, 33] * 5
    run(engine, *map(pair_of, lengths))
    assert read(runner) == sorted(lengths)
    for call in calls(runner):
        assert len(call) == 1 or len(call) * max(call) <= FORCE_TOKENS


async def amid_a_flood(
    engine: Engine, runner: ForcingRunner, sentence: Job
) -> list[int | list[int]]:
    """What was asked of the runner while a sentence was translated amid 200 pairs."""
    runner.gate.clear()
    jobs = [[pair_of(64) for _ in range(200)], [sentence]]
    tasks = [asyncio.create_task(engine.run(jobs[0]))]
    await wait_for(runner.stepping)
    tasks.append(asyncio.create_task(engine.run(jobs[1])))
    await asyncio.sleep(0)
    runner.gate.set()
    await tasks[1]
    during = list(runner.asked)
    assert not tasks[0].done(), "there was a flood all the time"
    await tasks[0]
    return during


def test_between_two_calls_those_on_board_make_their_steps(
    engine: Engine, runner: ForcingRunner
) -> None:
    """However many pairs there are, a sentence never waits for more than a call at a time."""
    during = asyncio.run(amid_a_flood(engine, runner, job(*[5] * 45)))
    steps = [at for at, one in enumerate(during) if isinstance(one, int)]
    assert steps[0] < 10, "it was taken soon"
    runs = [0]
    for one in during[steps[0] : steps[-1]]:
        if isinstance(one, list):
            runs.append(0)
        else:
            runs[-1] += 1
    assert len(runs) > 3, "pairs go on too"
    assert min(runs[1:-1]) == 2 * 64 // TOKENS_A_STEP


def test_sentences_of_the_other_lane_have_their_turn_too(
    engine: Engine, runner: ForcingRunner
) -> None:
    during = asyncio.run(amid_a_flood(engine, runner, job(*[5] * 150)))
    steps = [at for at, one in enumerate(during) if isinstance(one, int)]
    called = sum(isinstance(one, list) for one in during[steps[0] : steps[-1]])
    assert len(steps) >= 50
    assert called <= len(steps) * TOKENS_A_STEP // (2 * 64) + 1


def test_pairs_do_not_starve_under_a_flood_of_sentences(
    engine: Engine, runner: ForcingRunner
) -> None:
    """They get their fair share beside the others, however fast these come again."""
    others, share = 20, 7 * 64  # padded tokens of this request ahead of its last pair

    async def scenario() -> int:
        stop = False

        async def sentences() -> None:
            while not stop:
                await engine.run([job(2, 3)])

        floods = [asyncio.create_task(sentences()) for _ in range(others)]
        await wait_for(runner.stepping)
        before = len(runner.asked)
        await engine.run([pair_of(64) for _ in range(8)])
        steps = len(runner.asked) - before
        stop = True
        await asyncio.gather(*floods)
        return steps

    sentences_before = share * (others + 1) // 4  # each of four padded tokens
    assert asyncio.run(scenario()) < sentences_before * 3 // 4 + 50  # three steps, on four rows


def test_a_few_pairs_spread_over_all_workers(runner: ForcingRunner) -> None:
    engine = Engine(runner, Capacity(workers=2, slots=8, batch_tokens=1000, queue=10))
    run(engine, *[given(2, 3, 4) for _ in range(4)])
    engine.close(1.0)
    assert max(map(len, calls(runner))) == 2


def test_what_is_read_at_once_is_counted(engine: Engine, runner: ForcingRunner) -> None:
    run(engine, given(2, 3), given(2, 3, 4))
    tally = engine.load().tally
    assert sum(tally.readings.counts) == len(calls(runner))
    assert tally.forced_real == 3 + 4 <= tally.forced_tokens
    assert (tally.done, tally.source_tokens, tally.target_tokens) == (2, 7, 7)
    assert sum(tally.steps.counts) == 0
    runner.fail_force = True
    with pytest.raises(StepFailed):
        run(engine, given(2, 3))
    assert (engine.load().tally.failed_readings, engine.load().tally.failed) == (1, 1)
