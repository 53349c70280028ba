"""Device runner: to the last bit what the plain runner says, with state left on the device."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path as File

import numpy as np
import pytest

from service.admission import Job
from service.beam import Beam
from service.bundle import Bundle
from service.device import HOST
from service.device_runner import DeviceRunner, open_runner
from service.engine import Capacity, Engine
from service.errors import StepFailed
from service.hypotheses import Path, Source
from service.runner import Encoded, Runner
from service.search import Forced, Greedy, Search
from service.slots import AnySlots
from tests.architectures import ARCHITECTURES, FIRST_WORD, PIECES, exported, reader
from tests.crowds import check_equal, gathered
from tests.devices import StandIn

BOS, EOS = 2, 3
TENSORS = 4  # of a sentence: memory, keys, mask; state


@pytest.fixture
def device() -> StandIn:
    return StandIn()


@pytest.fixture
def plain(toy_bundle: Bundle) -> Runner:
    return Runner(toy_bundle.read, toy_bundle.manifest.model)


@pytest.fixture
def bound(toy_bundle: Bundle, device: StandIn) -> Runner:
    return open_runner(toy_bundle.read, toy_bundle.manifest.model, device)


def source(length: int) -> list[int]:
    rng = np.random.default_rng(length)
    return [*rng.integers(300, 8000, length - 1).tolist(), EOS]


def test_the_host_has_the_plain_runner(toy_bundle: Bundle, bound: Runner) -> None:
    assert type(open_runner(toy_bundle.read, toy_bundle.manifest.model, HOST)) is Runner
    assert isinstance(bound, DeviceRunner)


class Batch:
    """One worker's rows on one runner, as a script says."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.slots: AnySlots = runner.slots(8)

    def put(self, encoded: Encoded, rows: Sequence[int]) -> None:
        self.slots.put(encoded.memory, encoded.state, rows)

    def step(
        self, tokens: Sequence[int], parents: list[int] | None
    ) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
        stepped = self.runner.step(tokens, *self.slots.gather())
        self.slots.scatter(stepped.state, None if parents is None else np.array(parents))
        return {"scores": stepped.scores, **stepped.attention}


def test_through_joins_leaves_moves_and_reorderings_every_bit_is_the_same(
    plain: Runner, bound: Runner
) -> None:
    both = [Batch(plain), Batch(bound)]
    sources = [source(length) for length in (1, 3, 5, 9, 14, 30)]
    encoded = plain.encode(sources)
    for first, second in zip(encoded, bound.encode(sources), strict=True):
        assert all((first.memory[name] == second.memory[name]).all() for name in first.memory)
        assert all((first.state[name] == second.state[name]).all() for name in first.state)
    used, random = 0, np.random.default_rng(5)
    for _ in range(300):
        if used == 0 or (used < 8 and random.random() < 0.2):
            rows = list(range(used, int(random.integers(used + 1, 9))))
            sentence = encoded[int(random.integers(len(encoded)))]
            for batch in both:
                batch.put(sentence, rows)
            used = rows[-1] + 1
        moves: list[tuple[int, int]] = []
        if used > 1 and random.random() < 0.2:
            gap, used = int(random.integers(used)), used - 1
            moves = [(used, gap)] if gap < used else []
        tokens = random.integers(300, 8000, used).tolist()
        parents = random.integers(0, used, used).tolist() if random.random() < 0.3 else None
        for batch in both:
            batch.slots.move(moves, used)
        one, other = (batch.step(tokens, parents) for batch in both)
        for name, rows_of in one.items():
            assert rows_of.shape[0] == used
            assert (rows_of == other[name]).all()


def test_a_sentence_alone_goes_up_once_and_only_its_tokens_follow(
    bound: Runner, device: StandIn
) -> None:
    (path,) = decode(bound, lambda: [greedy(7)])[0]
    steps = len(path.tokens) + (not path.finished)
    up, home = device.copied()
    assert (up, home) == (TENSORS + steps, 0)


def greedy(length: int) -> Job:
    return job(length, lambda about: Greedy(about, 2 * length + 10))


def job(length: int, search: Callable[[Source], Search]) -> Job:
    about = Source(length, EOS, BOS, {"cross": 0, "alignment": 1})
    return Job(source(length), search(about))


def decode(runner: Runner, jobs: Callable[[], list[Job]]) -> list[list[Path]]:
    engine = Engine(runner, Capacity(workers=1, slots=12, batch_tokens=400, queue=100))
    try:
        return asyncio.run(engine.run(jobs()))
    finally:
        engine.close(1.0)


def mixed() -> list[Job]:
    """Sentences of many lengths, with one beam and several, and a forced one now and then."""
    jobs = []
    for length in [3, 9, 1, 30, 5, 14, 2, 7, 140, 21, 4, 11, 6, 8, 10]:
        jobs.append(greedy(length))
        size = 2 + length % 4
        jobs.append(job(length, lambda about, size=size: Beam(about, 30, size, size)))  # type: ignore[misc]
        jobs.append(job(length, lambda about: Forced(about, source(12)[:-1])))
    return jobs


def test_through_the_engine_every_answer_is_the_same(
    plain: Runner, bound: Runner, device: StandIn
) -> None:
    for one, other in zip(decode(plain, mixed), decode(bound, mixed), strict=True):
        assert len(one) == len(other)
        for path, same in zip(one, other, strict=True):
            assert path.tokens == same.tokens
            assert (path.scores == same.scores).all()
            for kind, matrix in path.attention.items():
                assert (matrix == same.attention[kind]).all()
    assert device.downloaded  # some did leave or reorder


@pytest.mark.parametrize("name", ["transformer2-transformer-multi-head", "gru1-lstm-none-headless"])
def test_so_it_is_of_a_state_that_grows_and_without_attention(tmp_path: File, name: str) -> None:
    made, device = exported(ARCHITECTURES[name], tmp_path), StandIn()
    folder, about = made.folders["int8"], made.about["int8"]
    rng = np.random.default_rng(3)
    sources = [(*rng.integers(FIRST_WORD, PIECES, n).tolist(), EOS) for n in range(1, 30)]
    with gathered(made.runner("int8"), sources) as plain:
        expected = plain.together()
    with gathered(DeviceRunner(reader(folder), about, device), sources) as bound:
        for found, paths in zip(bound.together(), expected, strict=True):
            check_equal(found, paths, 0.0)
    assert device.downloaded


def test_a_step_that_fails_has_a_type(bound: Runner) -> None:
    slots = bound.slots(1)
    (encoded,) = bound.encode([source(4)])
    slots.put(encoded.memory, encoded.state, [0])
    slots.move([], 1)
    with pytest.raises(StepFailed):
        bound.step([10**6], *slots.gather())
    assert bound.step([BOS], *slots.gather()).scores.shape == (1, 8000)


def test_in_float32_the_binding_changes_nothing_either(toy_bundle: Bundle) -> None:
    floats = StandIn(floats=True)
    model = toy_bundle.manifest.model
    runners = (
        Runner(toy_bundle.read, model, floats),
        DeviceRunner(toy_bundle.read, model, floats),
    )
    one, other = (decode(runner, lambda: [greedy(9)])[0][0] for runner in runners)
    assert one.tokens == other.tokens
    assert (one.scores == other.scores).all()
