"""What may follow: stand-ins exactly as often as they are owed, and no endless circles."""

import dataclasses

import numpy as np
import pytest

from service.guard import ASKS_FROM, ENDS_FROM, Written, _likeliest, begin, best
from service.hypotheses import Source

EOS, FIRST, SECOND, WORD, OTHER = 0, 1, 2, 3, 4
STAND_INS = frozenset({FIRST, SECOND})


ROOM = 100


def source(*owed: int, copies: int = 1 << 30) -> Source:
    return Source(3, EOS, 9, {}, copies, owed, STAND_INS)


def follow(about: Source, tokens: list[int]) -> Written | None:
    written: Written | None = begin(about)
    for token in tokens:
        assert written is not None
        written = written.after(token, about)
    return written


@pytest.mark.parametrize("copies", [4, 1 << 30])
def test_a_stand_in_is_written_as_often_as_it_is_owed(copies: int) -> None:
    about = source(FIRST, SECOND, FIRST, copies=copies)
    written = follow(about, [FIRST, WORD, FIRST])
    assert written is not None
    assert written.owed == (SECOND,)
    assert written.after(FIRST, about) is None
    assert written.after(EOS, about) is None
    done = written.after(SECOND, about)
    assert done is not None
    assert done.after(EOS, about) is not None


def test_a_stand_in_that_is_not_owed_is_never_written() -> None:
    about = source()
    assert begin(about).after(FIRST, about) is None
    assert begin(about).after(WORD, about) is not None


def test_circles_end() -> None:
    about = source(copies=2)
    assert follow(about, [WORD, WORD]) is not None
    assert follow(about, [WORD, WORD, WORD]) is None


def test_the_likeliest_token_that_may_follow_is_taken() -> None:
    about = source(SECOND)
    scores = np.array([-5, -1, -9, -2, -3], np.float32)
    assert best(begin(about), scores, FIRST, about, ROOM)[0] == WORD
    token, _, written = best(begin(about), scores, WORD, about, ROOM)
    assert (token, written.owed) == (WORD, (SECOND,))


def test_the_likeliest_stand_in_comes_in_the_place_of_an_early_end() -> None:
    about = source(FIRST, SECOND)
    scores = np.array([-1, -7, -6, -2, -3], np.float32)
    token, _, written = best(begin(about), scores, EOS, about, ROOM)
    assert (token, written.owed) == (SECOND, (FIRST,))
    token, _, written = best(written, scores, EOS, about, ROOM)
    assert (token, written.owed) == (FIRST, ())
    assert best(written, scores, EOS, about, ROOM)[0] == EOS


def test_what_is_owed_comes_before_there_is_no_room_for_it() -> None:
    about = source(FIRST, SECOND)
    scores = np.array([-1, -6, -7, -2, -3], np.float32)
    assert best(begin(about), scores, WORD, about, 3)[0] == WORD
    token, _, written = best(begin(about), scores, WORD, about, 2)
    assert token == FIRST
    assert best(written, scores, WORD, about, 1)[0] == SECOND


def test_paying_often_in_a_row_is_no_circle() -> None:
    about = source(*[FIRST] * 7, copies=2)
    written = follow(about, [FIRST] * 7)
    assert written is not None
    assert written.owed == ()


def test_what_is_filled_in_turn_keeps_its_order() -> None:
    about = dataclasses.replace(source(FIRST, SECOND), in_turn=STAND_INS)
    scores = np.array([-9, -7, -1, -2, -3], np.float32)
    assert begin(about).after(SECOND, about) is None
    token, _, written = best(begin(about), scores, SECOND, about, ROOM)
    assert (token, written.owed) == (WORD, (FIRST, SECOND))
    assert best(written, scores, EOS, about, ROOM)[0] == FIRST


def test_what_is_banned_is_never_written() -> None:
    about = dataclasses.replace(source(), banned=frozenset({WORD}))
    scores = np.array([-9, -7, -8, -1, -3], np.float32)
    assert best(begin(about), scores, WORD, about, ROOM)[0] == OTHER
    assert begin(about).after(WORD, about) is None


def test_a_label_ends_where_a_mark_would_end_it() -> None:
    about = dataclasses.replace(source(copies=9), ending=frozenset({WORD}))
    scores = np.array([-5, -7, -8, -1, -3], np.float32)
    token, score, _ = best(begin(about), scores, WORD, about, ROOM)
    assert (token, score) == (EOS, -1.0)
    unlikely = scores.copy()
    unlikely[EOS] = ENDS_FROM - 0.1
    token, score, written = best(begin(about), unlikely, WORD, about, ROOM)
    assert (token, score) == (WORD, -1.0), "as in an abbreviation"
    assert best(written, scores, WORD, about, ROOM)[0] == EOS, "which has no two in a row"
    token, _, written = best(written, scores, OTHER, about, ROOM)
    assert best(written, scores, WORD, about, ROOM)[0] == WORD, "which may have two"


def test_a_label_that_asks_ends_in_a_question_mark() -> None:
    about = dataclasses.replace(
        source(copies=9), ending=frozenset({WORD}), asking=frozenset({OTHER})
    )
    scores = np.array([-0.1, -9, -9, -4, -2.5], np.float32)
    token, score, written = best(begin(about), scores, EOS, about, ROOM)
    assert (token, score) == (OTHER, -2.5)
    assert best(written, scores, EOS, about, ROOM)[:2] == (EOS, float(scores[EOS])), "in one"
    for stating, asking in ((-2, -2.5), (-9, ASKS_FROM - 0.1)):
        other = np.array([-0.1, -9, -9, stating, asking], np.float32)
        assert best(begin(about), other, EOS, about, ROOM)[0] == EOS
    assert best(begin(about), scores, EOS, about, 1)[0] == EOS, "or it would be cut off"


def test_what_a_label_owes_comes_before_its_question_mark() -> None:
    about = dataclasses.replace(source(FIRST), asking=frozenset({OTHER}))
    scores = np.array([-0.1, -9, -9, -4, -2.5], np.float32)
    token, _, written = best(begin(about), scores, EOS, about, ROOM)
    assert (token, written.owed) == (FIRST, ())
    assert best(written, scores, EOS, about, ROOM)[0] == OTHER


def test_a_label_owes_what_any_text_does() -> None:
    about = dataclasses.replace(source(FIRST), ending=frozenset({WORD}))
    scores = np.array([-5, -7, -8, -1, -3], np.float32)
    token, score, written = best(begin(about), scores, WORD, about, ROOM)
    assert (token, score, written.owed) == (FIRST, -7.0, ())


def test_what_is_owed_comes_before_the_final_mark_and_after_a_space() -> None:
    about = dataclasses.replace(source(FIRST), closing=frozenset({WORD}), gap=OTHER, spaces=True)
    scores = np.array([-9, -7, -8, -1, -3], np.float32)
    token, _, written = best(begin(about), scores, WORD, about, ROOM)
    assert (token, written.last, written.due) == (OTHER, OTHER, True)
    token, _, written = best(written, scores, WORD, about, ROOM)
    assert (token, written) == (FIRST, Written(written.loops, (), FIRST))
    assert best(written, scores, WORD, about, ROOM)[0] == WORD
    assert best(begin(about), scores, WORD, about, 1)[0] == FIRST  # no room for the space


def test_a_space_of_the_model_is_followed_by_what_it_likes_best() -> None:
    about = dataclasses.replace(source(FIRST), closing=frozenset({EOS}), gap=OTHER, spaces=True)
    scores = np.array([-9, -7, -8, -1, -3], np.float32)
    token, _, written = best(begin(about), scores, OTHER, about, ROOM)
    assert (token, written.last, written.due) == (OTHER, OTHER, False)
    token, score, after = best(written, scores, WORD, about, ROOM)
    assert (token, score, after.owed) == (WORD, -1.0, (FIRST,)), "as in 1994, where 1 is a word"
    assert best(written, scores, EOS, about, ROOM)[0] == FIRST, "without a second space"


def test_a_space_comes_between_a_letter_and_a_stand_in() -> None:
    about = dataclasses.replace(
        source(FIRST, SECOND), gap=OTHER, joining=frozenset({WORD}), joined=STAND_INS
    )
    scores = np.array([-9, -1, -2, -3, -4], np.float32)
    written = begin(about).after(WORD, about)
    assert written is not None
    token, score, after = best(written, scores, FIRST, about, ROOM)
    assert (token, score) == (OTHER, -4.0)
    token, _, after = best(after, scores, WORD, about, ROOM)
    assert (token, after.owed) == (FIRST, (SECOND,))
    assert best(after, scores, SECOND, about, ROOM)[0] == SECOND, "no letter stands before it"
    assert best(written, scores, FIRST, about, 2)[0] == FIRST, "no room for the space"


@pytest.mark.parametrize("owed", [(FIRST,), (FIRST, SECOND)])
def test_a_space_comes_between_a_stand_in_and_a_digit(owed: tuple[int, ...]) -> None:
    narrow = frozenset({FIRST, WORD})
    about = dataclasses.replace(source(*owed), gap=OTHER, joining=narrow, joined=narrow)
    scores = np.array([-9, -7, -8, -1, -3], np.float32)
    written = begin(about).after(FIRST, about)
    assert written is not None
    token, score, after = best(written, scores, WORD, about, ROOM)
    assert (token, score, after.due) == (OTHER, -3.0, False)
    token, _, after = best(after, scores, WORD, about, ROOM)
    assert token == WORD
    assert best(after, scores, WORD, about, ROOM)[0] == WORD, "digits stand close to each other"
    assert best(written, scores, SECOND if len(owed) > 1 else EOS, about, ROOM)[0] != OTHER


def test_tokens_come_in_the_order_of_a_stable_sort() -> None:
    scores = np.random.default_rng(1).integers(-5, 0, 50).astype(np.float32)
    scores[[7, 20]] = -np.inf
    first = int(scores.argmax())
    order = [token for token in np.argsort(-scores, kind="stable").tolist() if token not in (7, 20)]
    assert list(_likeliest(scores, first)) == order
