"""Links of both directions merged: by hand, against the definition, and by their laws."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.alignment import Link
from service.symmetrization import (
    METHODS,
    Method,
    grow_diag,
    grow_diag_final_and,
    intersection,
    merge,
    symmetrize,
    union,
)

Links = set[tuple[int, int]]

LINKS = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)))

FORWARD = {(0, 0), (1, 1), (2, 2), (2, 3), (4, 0)}
BACKWARD = {(0, 0), (1, 1), (1, 2), (3, 2), (4, 0), (5, 5)}


def defined(forward: Links, backward: Links, final: bool) -> Links:
    """Koehn's definition, word for word: rows and columns again and again, until nothing changes.

    Its "english" words are the target's, and e2f, whose turn is first, links each of them.
    """
    steps = [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]
    found = {(t, s) for s, t in forward & backward}
    either = {(t, s) for s, t in forward | backward}
    while True:
        before = len(found)
        for t in range(6):
            for s in range(6):
                if (t, s) in found:
                    for dt, ds in steps:
                        near = (t + dt, s + ds)
                        new = near[0] not in {x for x, _ in found} or near[1] not in {
                            y for _, y in found
                        }
                        if new and near in either:
                            found.add(near)
        if len(found) == before:
            break
    for links in (forward, backward) if final else ():
        for t in range(6):
            for s in range(6):
                free = t not in {x for x, _ in found} and s not in {y for _, y in found}
                if free and (s, t) in links:
                    found.add((t, s))
    return {(s, t) for t, s in found}


def test_intersection_keeps_what_both_directions_made() -> None:
    assert intersection(FORWARD, BACKWARD) == {(0, 0), (1, 1), (4, 0)}


def test_union_keeps_everything() -> None:
    assert union({(0, 0), (1, 1)}, {(1, 1), (2, 0)}) == {(0, 0), (1, 1), (2, 0)}


def test_grow_diag_adds_neighbours_that_bring_a_new_word() -> None:
    # (1, 2) brings target 2, (2, 2) source 2, (2, 3) target 3, (3, 2) source 3.
    grown = {(1, 2), (2, 2), (2, 3), (3, 2)}
    assert grow_diag(FORWARD, BACKWARD) == {(0, 0), (1, 1), (4, 0)} | grown


def test_grow_diag_leaves_links_out_whose_words_are_linked() -> None:
    assert grow_diag({(0, 0), (0, 1), (1, 0), (1, 1)}, {(0, 0), (1, 1)}) == {(0, 0), (1, 1)}


def test_grow_diag_leaves_out_what_touches_nothing() -> None:
    assert grow_diag({(0, 0), (2, 2)}, {(0, 0)}) == {(0, 0)}


def test_grow_diag_starts_from_agreement() -> None:
    assert grow_diag({(0, 0)}, {(0, 1)}) == set()


def test_of_two_neighbours_the_first_in_the_order_of_moses_wins() -> None:
    # From (1, 1) both (0, 1) and (1, 0) bring one word; then (0, 0) has no new word to bring.
    assert grow_diag({(1, 1), (0, 0), (1, 0), (0, 1)}, {(1, 1)}) == {(1, 1), (1, 0), (0, 1)}


def test_final_and_adds_only_what_joins_two_free_words() -> None:
    # Both words of (5, 5) are free; source 4 of (4, 5) is linked to target 0.
    forward, backward = FORWARD | {(4, 5)}, BACKWARD
    assert grow_diag_final_and(forward, backward) - grow_diag(forward, backward) == {(5, 5)}


def test_final_and_asks_forward_first() -> None:
    assert grow_diag_final_and({(0, 2)}, {(0, 0)}) == {(0, 2)}
    assert grow_diag_final_and({(0, 0)}, {(0, 2)}) == {(0, 0)}
    assert grow_diag_final_and({(0, 2), (1, 0)}, {(0, 1)}) == {(0, 2), (1, 0)}


@given(LINKS, LINKS)
def test_it_is_what_the_definition_says(forward: Links, backward: Links) -> None:
    assert grow_diag(forward, backward) == defined(forward, backward, final=False)
    assert grow_diag_final_and(forward, backward) == defined(forward, backward, final=True)


@given(LINKS, LINKS)
def test_every_method_lies_within_the_next(forward: Links, backward: Links) -> None:
    names: list[Method] = ["intersection", "grow-diag", "grow-diag-final-and", "union"]
    found = [symmetrize(forward, backward, name) for name in names]
    assert found[0] == forward & backward
    assert found[3] == forward | backward
    for inner, outer in itertools.pairwise(found):
        assert inner <= outer
    for link in found[1] - found[0]:
        near = {(s, t) for s, t in found[1] if max(abs(s - link[0]), abs(t - link[1])) == 1}
        assert near, "what was added touches another link"
    for name in names:
        assert symmetrize(forward, forward, name) == forward


@pytest.mark.parametrize("name", METHODS)
def test_inputs_stay_as_they_were(name: Method) -> None:
    forward, backward = set(FORWARD), set(BACKWARD)
    symmetrize(forward, backward, name).clear()
    assert (forward, backward) == (FORWARD, BACKWARD)


def test_a_long_chain_grows_against_the_order() -> None:
    size = 400
    chain = {(i, i) for i in range(size)} | {(i, i + 1) for i in range(size)}
    assert grow_diag(chain, {(size - 1, size - 1)}) == chain


def test_a_score_is_the_mean_of_both_directions() -> None:
    forward = [Link(0, 0, 0.9), Link(1, 1, 0.8)]
    backward = [Link(2, 1, 0.6), Link(0, 0, 0.5)]
    merged = merge(forward, backward, "union")
    assert [(x.source, x.target) for x in merged] == [(0, 0), (1, 1), (2, 1)]
    assert [x.score for x in merged] == pytest.approx([0.7, 0.4, 0.3])
    (agreed,) = merge(forward, backward, "intersection")
    assert (agreed.source, agreed.target, agreed.score) == pytest.approx((0, 0, 0.7))
    assert merge([], [], "grow-diag") == []
