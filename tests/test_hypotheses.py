"""Paths read off a trail: attention rows follow their hypothesis, with one head or several."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from service.beam import Beam
from service.hypotheses import Node, Outputs, Path, Source, Trail, whole_path
from service.search import Forced, Greedy, Search

HEADS, LENGTH, WIDTH, ROWS, PIECES = 3, 4, 8, 5, 6
EOS, BOS = 0, 1
Floats = NDArray[np.float32]
SOURCE = Source(LENGTH, EOS, BOS, {"cross": 0, "alignment": 1})


def row_of(step: int, row: int, head: int, place: int) -> float:
    """A number that names where it stands; padding is zero."""
    return step + row / 10 + head / 100 + place / 1000 if place < LENGTH else 0.0


def said(step: int) -> dict[str, Floats]:
    """What a step says of all rows: several heads of one kind, one of the other."""
    shape = (ROWS, HEADS, WIDTH)
    cross = np.array([row_of(step, *at) for at in np.ndindex(shape)], np.float32).reshape(shape)
    return {"cross": cross, "alignment": cross[:, 0]}


def trail(steps: int) -> Trail:
    made = Trail(SOURCE)
    made.steps.extend(said(step) for step in range(steps))
    return made


def chain(rows: Sequence[int], end: int = 5) -> Node:
    """A hypothesis whose tokens were chosen from these rows."""
    node: Node | None = None
    for number, row in enumerate(rows):
        last = number == len(rows) - 1
        node = Node(end if last else 5, -0.5 * number, node, row)
    assert node is not None
    return node


def heads_at(step: int, row: int) -> Floats:
    return said(step)["cross"][row, :, :LENGTH]


def test_every_row_comes_from_where_its_token_was_chosen() -> None:
    path = trail(4).path(chain([2, 0, 4], end=EOS), finished=True)
    assert path.attention["cross"].shape == (3, HEADS, LENGTH)
    for step, row in enumerate([2, 0, 4]):
        assert (path.attention["cross"][step] == heads_at(step, row)).all()


def test_a_delayed_row_comes_from_where_its_token_was_read() -> None:
    path = trail(4).path(chain([2, 0, 4], end=EOS), finished=True)
    assert path.attention["alignment"].shape == (3, LENGTH)
    for step, row in ((1, 0), (2, 4)):
        assert (path.attention["alignment"][step - 1] == heads_at(step, row)[0]).all()
    assert path.attention["alignment"][-1].tolist() == [0, 0, 0, 1]


def test_where_a_hypothesis_was_cut_its_last_token_was_read_too() -> None:
    path = trail(4).path(chain([2, 0, 4]), finished=False, last_row=3)
    assert not path.finished
    assert (path.attention["cross"][2] == heads_at(2, 4)).all()
    assert (path.attention["alignment"][2] == heads_at(3, 3)[0]).all()


def test_delayed_heads_all_point_at_the_end_of_the_source() -> None:
    made = trail(2)
    made.source = Source(LENGTH, EOS, BOS, {"cross": 1})
    path = made.path(chain([0, 1], end=EOS), finished=True)
    assert (path.attention["cross"][0] == heads_at(1, 1)).all()
    assert path.attention["cross"][1].tolist() == [[0, 0, 0, 1]] * HEADS


def test_a_token_is_told_with_its_heads() -> None:
    made = trail(1)
    first = made.chosen(chain([2]))
    assert first.attention.keys() == {"cross"}, "nothing was read before the first"
    assert first.attention["cross"].shape == (HEADS, LENGTH)
    made.steps.append(said(1))
    second = made.chosen(chain([2, 4]))
    assert (second.step, second.token) == (1, 5)
    assert (second.attention["cross"] == heads_at(1, 4)).all()
    assert (second.attention["alignment"] == heads_at(1, 4)[0]).all()


def test_what_is_told_is_not_written_over_later() -> None:
    made = trail(1)
    told = made.chosen(chain([2])).attention["cross"]
    before = told.copy()
    made.steps[0]["cross"][...] = 0
    assert (told == before).all()


def drive(search: Search, rows: Sequence[int]) -> list[Path]:
    """Run a search to its end; the best token depends on step and row."""
    for step in range(50):
        scores = np.random.default_rng(step).normal(0, 2, (ROWS, PIECES)).astype(np.float32)
        scores[:, EOS] = -2.0 if step < 4 else 9.0
        order = np.argsort(-scores, axis=1, kind="stable")[:, : search.candidates]
        top = np.take_along_axis(scores, order, 1)
        outputs = Outputs.of(scores, said(step), top, order)
        search.advance(outputs, rows)
        if search.paths is not None:
            return search.paths
    raise AssertionError("the search does not end")


@pytest.mark.parametrize(
    "search", [Greedy(SOURCE, 9), Beam(SOURCE, 9, 2, 2), Forced(SOURCE, [4, 3])]
)
def test_every_search_hands_out_heads(search: Search) -> None:
    rows = [1, 3][: search.beams]
    for path in drive(search, rows):
        tokens = len(path.tokens)
        assert path.attention["cross"].shape == (tokens, HEADS, LENGTH)
        assert path.attention["alignment"].shape == (tokens, LENGTH)
        for step, matrix in enumerate(path.attention["cross"]):
            assert any((matrix == heads_at(step, row)).all() for row in rows)


def test_a_path_of_all_steps_at_once_has_heads_too() -> None:
    steps = [said(step) for step in range(3)]
    cross = np.stack([one["cross"][2] for one in steps])
    rows = {"cross": cross, "alignment": cross[:, 0]}
    scores = np.array([-0.1, -0.2, -0.3], np.float32)
    path = whole_path(SOURCE, [5, 4, EOS], scores, rows)
    expected = trail(3).path(chain([2, 2, 2], end=EOS), finished=True)
    assert (path.tokens, path.finished) == ((5, 4, EOS), True)
    assert path.attention.keys() == expected.attention.keys()
    for kind, matrix in expected.attention.items():
        assert path.attention[kind].shape == matrix.shape
        assert (path.attention[kind] == matrix).all()
    cross[...] = scores[...] = 0
    assert path.scores.all(), "it holds what it was given, not where it lay"
    assert path.attention["cross"][1].any()


def test_a_score_is_the_mean_of_its_tokens() -> None:
    path = trail(3).path(chain([0, 0, 0], end=EOS), finished=True)
    assert path.scores.tolist() == [0.0, -0.5, -1.0]
    assert path.score == -0.5
    assert Path((), np.zeros(0, np.float32), {}, False).score == 0.0
