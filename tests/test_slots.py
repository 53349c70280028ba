"""Slots: memory and state follow their sentence through joins, moves and reordering."""

import numpy as np
import pytest

from service.slots import ROOM, SPARE, Slots


def put(slots: Slots, value: float, width: int, rows: int = 1) -> None:
    """Put a sentence onto the next free rows at the end."""
    memory = {"memory": np.full((width, 2), value, np.float32), "mask": np.ones(width, bool)}
    places = list(range(slots.used, slots.used + rows))
    slots.put(memory, {"state": np.full(3, value, np.float32)}, places)


def test_rows_are_packed_views_and_padding_is_empty() -> None:
    slots = Slots(4)
    put(slots, 1.0, 4)
    put(slots, 2.0, 8, rows=2)
    memory, state = slots.gather()
    assert memory["memory"].shape == (3, 8, 2)
    assert memory["memory"][0, 4:].max() == 0.0
    assert not memory["mask"][0, 4:].any()
    assert memory["mask"][1].all()
    assert state["state"][:, 0].tolist() == [1.0, 2.0, 2.0]
    assert np.shares_memory(memory["memory"], slots.gather()[0]["memory"])


def test_a_move_fills_the_gap() -> None:
    slots = Slots(4)
    for value in (1.0, 2.0, 3.0):
        put(slots, value, 4)
    slots.move([(2, 0)], used=2)
    memory, state = slots.gather()
    assert memory["memory"][:, 0, 0].tolist() == [3.0, 2.0]
    assert state["state"][:, 0].tolist() == [3.0, 2.0]


def test_scatter_follows_the_parents() -> None:
    slots = Slots(4)
    put(slots, 1.0, 4, rows=3)
    new = np.arange(9, dtype=np.float32).reshape(3, 3)
    slots.scatter({"state": new}, None)
    assert (slots.gather()[1]["state"] == new).all()
    slots.scatter({"state": new}, np.array([2, 0, 0]))
    assert (slots.gather()[1]["state"] == new[[2, 0, 0]]).all()


def test_width_shrinks_when_long_sentences_have_left() -> None:
    slots = Slots(4)
    put(slots, 1.0, 4)
    put(slots, 2.0, 64)
    assert slots.width == 64
    slots.move([], used=1)
    put(slots, 3.0, 8)
    memory, _ = slots.gather()
    assert slots.width == 8
    assert memory["memory"][:, 0, 0].tolist() == [1.0, 3.0]
    assert memory["memory"][0, 4:].max() == 0.0


def test_rows_are_hardly_wider_than_those_in_use_need() -> None:
    slots = Slots(64)
    rng = np.random.default_rng(1)
    widths = [0] * 64
    for _ in range(300):
        used, row = slots.used, int(rng.integers(0, min(64, slots.used + 1)))
        widths[row] = 4 * int(rng.integers(1, 130))
        memory = {"memory": np.full((widths[row], 1), row + 1.0, np.float32)}
        slots.move((), max(used, row + 1))
        slots.put(memory, {"state": np.zeros(3, np.float32)}, [row])
        assert slots.width >= max(widths)
        assert (slots.width - max(widths)) * slots.used <= SPARE
        (held,) = slots.gather()[0].values()
        for at, width in enumerate(widths[: slots.used]):
            assert (held[at, :width] == at + 1).all()
            assert not held[at, width:].any()


def test_a_row_used_again_keeps_nothing_of_its_last_sentence() -> None:
    slots = Slots(1)
    put(slots, 1.0, 8)
    slots.move([], used=0)
    put(slots, 2.0, 4)
    memory, _ = slots.gather()
    assert memory["memory"][0, 4:].size == 0 or memory["memory"][0, 4:].max() == 0.0


def test_a_sentence_takes_the_rows_that_others_have_left() -> None:
    slots = Slots(4)
    for value in (1.0, 2.0, 3.0):
        put(slots, value, 8)
    memory = {"memory": np.full((4, 2), 9.0, np.float32), "mask": np.ones(4, bool)}
    slots.put(memory, {"state": np.full(3, 9.0, np.float32)}, [3, 1])
    slots.move([], used=4)
    shown, state = slots.gather()
    assert shown["memory"][:, 0, 0].tolist() == [1.0, 9.0, 3.0, 9.0]
    assert shown["memory"][1, 4:].max() == 0.0
    assert state["state"][:, 0].tolist() == [1.0, 9.0, 3.0, 9.0]


def growing(capacity: int = 4) -> Slots:
    """Slots of a state whose entries are two numbers, beside one that is as it is."""
    return Slots(capacity, {"past"})


def join(slots: Slots, *rows: int) -> None:
    """Let a sentence take rows; it begins without an entry."""
    state = {"past": np.zeros((0, 2), np.float32), "position": np.array(0)}
    slots.put({"memory": np.ones((4, 1), np.float32)}, state, list(rows))


def step(slots: Slots, *entries: float, parents: list[int] | None = None) -> None:
    """Make a step in which each row gives an entry of this value."""
    positions = slots.gather()[1]["position"] + 1
    state = {"past": np.array(entries, np.float32)[:, None].repeat(2, 1), "position": positions}
    slots.scatter(state, None if parents is None else np.array(parents))


def entries(slots: Slots) -> list[list[float]]:
    """Return the entries of every row so far, by its position."""
    _, state = slots.gather()
    past, positions = state["past"], state["position"]
    assert (past[..., 0] == past[..., 1]).all()
    return [row[:count, 0].tolist() for row, count in zip(past, positions.tolist(), strict=True)]


def test_every_entry_lands_at_the_place_of_its_own_row() -> None:
    slots = growing()
    join(slots, 0)
    step(slots, 1.0)
    step(slots, 2.0)
    join(slots, 1)
    assert entries(slots) == [[1.0, 2.0], []]
    step(slots, 3.0, 10.0)
    join(slots, 2)
    step(slots, 4.0, 11.0, 20.0)
    assert entries(slots) == [[1.0, 2.0, 3.0, 4.0], [10.0, 11.0], [20.0]]
    assert slots.gather()[1]["position"].tolist() == [4, 2, 1]


def test_there_is_always_room_for_one_entry_more() -> None:
    slots = growing()
    join(slots, 0)
    for count in range(3 * ROOM):
        past = slots.gather()[1]["past"]
        assert past.shape == (1, (count // ROOM + 1) * ROOM, 2)
        assert not past[0, count:].any()
        step(slots, float(count))
    assert entries(slots) == [[float(count) for count in range(3 * ROOM)]]


def test_room_shrinks_when_the_longest_have_left() -> None:
    slots = growing()
    join(slots, 0)
    for count in range(4 * ROOM):
        if count == 4 * ROOM - 3:
            join(slots, 1)
        step(slots, *([float(count)] if count < 4 * ROOM - 3 else [float(count), 9.0 + count]))
    assert slots.gather()[1]["past"].shape[1] == 5 * ROOM
    kept = entries(slots)[1]
    slots.move([(1, 0)], used=1)
    assert slots.gather()[1]["past"].shape == (1, ROOM, 2)
    assert entries(slots) == [kept]
    assert len(kept) == 3
    step(slots, 5.0)
    assert entries(slots) == [[*kept, 5.0]]


def test_room_stays_while_it_is_not_far_too_much() -> None:
    slots = growing()
    join(slots, 0)
    for count in range(ROOM):
        step(slots, float(count))
    assert slots.gather()[1]["past"].shape[1] == 2 * ROOM
    join(slots, 1)
    step(slots, 0.0, 7.0)
    slots.move([(1, 0)], used=1)
    before = slots.gather()[1]["past"]
    assert before.shape[1] == 2 * ROOM
    assert np.shares_memory(before, slots.gather()[1]["past"]), "nothing is copied for nothing"
    assert entries(slots) == [[7.0]]


def test_a_row_that_moves_takes_its_entries_along() -> None:
    slots = growing()
    for row in range(3):
        join(slots, row)
    step(slots, 1.0, 2.0, 3.0)
    slots.move([(2, 0)], used=2)
    join(slots, 2)
    step(slots, 30.0, 20.0, 10.0)
    assert entries(slots) == [[3.0, 30.0], [2.0, 20.0], [10.0]]


def test_beams_go_on_from_the_entries_of_their_parents() -> None:
    slots = growing()
    join(slots, 0)
    step(slots, 1.0)
    join(slots, 1, 2, 3)
    step(slots, 2.0, 10.0, 11.0, 12.0, parents=[0, 3, 1, 1])
    assert entries(slots) == [[1.0, 2.0], [12.0], [10.0], [10.0]]
    step(slots, 3.0, 20.0, 21.0, 22.0, parents=[0, 2, 3, 2])
    assert entries(slots) == [[1.0, 2.0, 3.0], [10.0, 21.0], [10.0, 22.0], [10.0, 21.0]]
    step(slots, 4.0, 30.0, 31.0, 32.0)
    assert entries(slots)[1:] == [[10.0, 21.0, 30.0], [10.0, 22.0, 31.0], [10.0, 21.0, 32.0]]


def test_who_takes_a_used_row_finds_it_empty() -> None:
    """Also of numbers that are none: whatever weighs nothing must still be finite."""
    slots = growing()
    join(slots, 0)
    join(slots, 1)
    for _ in range(3):
        step(slots, 1.0, float("nan"))
    join(slots, 1)
    past = slots.gather()[1]["past"]
    assert not past[1].any()
    assert entries(slots) == [[1.0] * 3, []]
    step(slots, 1.0, 7.0)
    assert entries(slots) == [[1.0] * 4, [7.0]]


def test_all_rows_may_be_taken_and_no_more() -> None:
    slots = growing(2)
    join(slots, 0, 1)
    step(slots, 1.0, 2.0)
    assert entries(slots) == [[1.0], [2.0]]
    with pytest.raises(AssertionError):
        join(slots, 2)


def test_over_a_long_life_every_row_keeps_its_own_entries() -> None:
    slots, random = growing(6), np.random.default_rng(1)
    rows: list[list[float]] = []
    value = 0.0
    for _ in range(500):
        if not rows or (len(rows) < 6 and random.random() < 0.2):
            join(slots, len(rows))
            rows.append([])
        if len(rows) > 1 and random.random() < 0.1:
            gap, last = int(random.integers(len(rows))), len(rows) - 1
            rows[gap] = rows[last]
            rows.pop()
            slots.move([(last, gap)] if gap < last else [], used=last)
        new = [value + row for row in range(len(rows))]
        value += len(rows)
        grown = [[*row, entry] for row, entry in zip(rows, new, strict=True)]
        parents = None
        if random.random() < 0.2:
            parents = random.integers(0, len(rows), len(rows)).tolist()
            grown = [grown[parent] for parent in parents]
        step(slots, *new, parents=parents)
        rows = grown
        assert entries(slots) == rows


def test_what_does_not_fit_is_not_taken() -> None:
    slots = Slots(4)
    put(slots, 1.0, 4, rows=2)
    slots.scatter({"state": np.full((2, 3), 0.5)}, None)  # of another type
    assert (slots.gather()[1]["state"] == 0.5).all()
    for shape in ((2, 2), (1, 3), (3, 3)):
        with pytest.raises(AssertionError):
            slots.scatter({"state": np.ones(shape, np.float32)}, None)
    with pytest.raises(AssertionError):
        slots.put({"memory": np.ones((4, 3), np.float32)}, {}, [2])
    assert (slots.gather()[1]["state"][:2] == 0.5).all()


def test_a_tensor_may_be_empty() -> None:
    slots = Slots(4)
    slots.put({"memory": np.ones((4, 0), np.float32)}, {"state": np.ones(0, np.float32)}, [0, 1])
    slots.scatter({"state": np.ones((2, 0), np.float32)}, None)
    memory, state = slots.gather()
    assert memory["memory"].shape == (2, 4, 0)
    assert state["state"].shape == (2, 0)
