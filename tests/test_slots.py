"""Slots: memory and state follow their sentence through joins, moves and reordering."""

import numpy as np

from service.slots import Slots


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
