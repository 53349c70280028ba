"""Device slots: what `Slots` holds is held on the device, and nothing is copied for nothing."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from service.device import Tensor
from service.device_slots import DeviceSlots
from service.errors import StepFailed
from service.slots import ROOM, Slots
from tests.devices import StandIn

Arrays = dict[str, NDArray[np.generic]]


class Pair:
    """Slots of both kinds that live through the same; their state may grow."""

    def __init__(self, capacity: int, growing: bool = False) -> None:
        self.device = StandIn()
        names = {"past"} if growing else set()
        self.plain = Slots(capacity, names)
        self.bound = DeviceSlots(capacity, self.device, names)
        self.growing = growing
        self.random = np.random.default_rng(capacity)

    def put(self, width: int, rows: list[int]) -> None:
        memory: Arrays = {
            "memory": self.random.random((width, 2), np.float32),
            "mask": self.random.random(width) < 0.5,
        }
        state: Arrays = {"state": self.random.random(3, np.float32)}
        if self.growing:
            state["past"] = np.zeros((0, 2), np.float32)
        self.plain.put(memory, state, rows)
        self.bound.put(memory, state, rows)

    def move(self, moves: list[tuple[int, int]], used: int) -> None:
        self.plain.move(moves, used)
        self.bound.move(moves, used)

    def step(self, parents: list[int] | None = None) -> None:
        """Compare what a step would read, and let it return twice the state, and an entry."""
        memory, state = self.plain.gather()
        bound_memory, bound_state = self.bound.gather()
        same(memory, bound_memory)
        same(state, bound_state)
        new: Arrays = {"state": state["state"].astype(np.float32) * 2 - 1}
        if self.growing:
            new["past"] = self.random.random((len(new["state"]), 2), np.float32)
        upload = super(StandIn, self.device).upload  # uncounted
        left = {name: upload(array) for name, array in new.items()}
        order = None if parents is None else np.array(parents)
        self.plain.scatter(new, order)
        self.bound.scatter(left, order)


def same(plain: Mapping[str, NDArray[np.generic]], bound: Mapping[str, Tensor]) -> None:
    assert plain.keys() == bound.keys()
    for name, array in plain.items():
        there = bound[name].numpy()
        assert there.dtype == array.dtype
        assert there.shape == array.shape
        assert (there == array).all()


@pytest.fixture
def pair() -> Pair:
    """Two sentences on three rows, which have made a step."""
    made = Pair(4)
    made.put(4, [0])
    made.put(8, [1, 2])
    made.move([], 3)
    made.step()
    made.device.copied()
    return made


def test_the_first_step_takes_everything_up() -> None:
    pair = Pair(4)
    pair.put(4, [0])
    pair.move([], 1)
    pair.step()
    assert pair.device.copied() == (3, 0)


def test_while_the_batch_stays_as_it_is_nothing_is_copied(pair: Pair) -> None:
    for _ in range(5):
        pair.move([], 3)
        pair.step()
    assert pair.device.copied() == (0, 0)


def test_reordering_copies_the_state_alone(pair: Pair) -> None:
    pair.step([0, 2, 1])
    assert pair.device.copied() == (0, 1)
    pair.step([0, 1, 1])
    pair.step()
    pair.step()
    assert pair.device.copied() == (2, 1)


@pytest.mark.parametrize("change", ["join", "take", "leave", "move"])
def test_a_change_of_the_batch_copies_everything_once(pair: Pair, change: str) -> None:
    if change == "join":
        pair.put(4, [3])
        pair.move([], 4)
    elif change == "take":
        pair.put(16, [1])
        pair.put(4, [2])
    elif change == "leave":
        pair.move([], 1)
    else:
        pair.move([(2, 0)], 2)
    pair.step()
    pair.step()
    assert pair.device.copied() == (3, 1)


def test_a_change_after_reordering_brings_nothing_home_twice(pair: Pair) -> None:
    pair.step([2, 1, 0])
    pair.put(4, [3])
    pair.move([(3, 0)], 3)
    pair.step()
    assert pair.device.copied() == (3, 1)


def test_after_a_failure_newcomers_find_the_slots_in_order(pair: Pair) -> None:
    pair.device.failing.append("out of luck")
    with pytest.raises(StepFailed):
        pair.bound.scatter(pair.bound.gather()[1], np.array([1, 0, 2]))
    pair.put(4, [0])
    pair.move([], 1)
    pair.step()
    pair.step()


def test_a_growing_state_comes_home_and_goes_up_at_every_step() -> None:
    """Its entry comes, and all of it goes; memory stays where it is."""
    pair = Pair(4, growing=True)
    pair.put(4, [0])
    pair.put(8, [1, 2])
    pair.move([], 3)
    pair.step()
    assert pair.device.copied() == (2 + 2, 2)
    pair.step()
    pair.step([0, 2, 1])
    assert pair.device.copied() == (2 * 2, 2 * 2)
    pair.put(4, [3])
    pair.move([(3, 0)], 3)
    pair.step()
    assert pair.device.copied() == (2 + 2, 2)


def test_what_grows_goes_up_with_its_room() -> None:
    pair = Pair(2, growing=True)
    pair.put(4, [0])
    pair.move([], 1)
    for _ in range(ROOM + 2):
        pair.step()
    pasts = [array for array in pair.device.uploaded if array.shape[2:] == (2,)]
    memory, *pasts = pasts
    assert memory.shape == (1, 4, 2)
    assert [past.shape[1] for past in pasts] == [ROOM] * ROOM + [2 * ROOM] * 2


@pytest.mark.parametrize("growing", [False, True])
def test_over_a_long_life_both_hold_the_same(growing: bool) -> None:
    pair = Pair(6, growing)
    pair.put(4, [0])
    used, random = 1, np.random.default_rng(2)
    for _ in range(600):
        joins, leaves = random.random(2) < (0.2, 0.2)
        if joins and used < 6:
            rows = list(range(used, int(random.integers(used + 1, 7))))
            pair.put(int(random.choice([4, 8, 12, 40])), rows)
            used = rows[-1] + 1
        if leaves and used > 1:  # and the last row fills the gap
            gap, used = int(random.integers(used)), used - 1
            pair.move([(used, gap)] if gap < used else [], used)
        else:
            pair.move([], used)
        pair.step(random.integers(0, used, used).tolist() if random.random() < 0.3 else None)
    up, home = pair.device.copied()
    assert 0 < up < 3 * 600
    if growing:
        assert home == 2 * 600
    else:
        assert 0 < home < 600
