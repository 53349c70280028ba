"""Search: greedy, beam and forced decoding against a plain reference over a toy distribution."""

import dataclasses
import itertools

import numpy as np
import pytest

from service.beam import Beam
from service.hypotheses import Chosen, Outputs, Path, Source
from service.search import Forced, Greedy, Search

EOS, BOS, PIECES = 0, 1, 6
SOURCE = Source(length=3, eos=EOS, bos=BOS, delays={"cross": 0, "alignment": 1})


def logits(history: tuple[int, ...]) -> np.ndarray:
    """A distribution that depends on all that was read."""
    rng = np.random.default_rng([len(history), *history])
    row = rng.normal(0, 2, PIECES).astype(np.float32)
    row[BOS] = -30
    row[EOS] += 0.7 * len(history) - 2.5
    return row


def attention(history: tuple[int, ...], kind: str) -> np.ndarray:
    """Rows that name their history, so that a swap shows; padded by one column."""
    rng = np.random.default_rng([9, kind == "cross", *history])
    row = rng.random(4).astype(np.float32)
    row[3] = 0
    shares: np.ndarray = row / row.sum()
    return shares


def say(histories: list[tuple[int, ...]], candidates: int) -> Outputs:
    """What a model would say of these hypotheses."""
    raw = np.stack([logits(history) for history in histories])
    scores = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :candidates]
    attentions = {
        kind: np.stack([attention(history, kind) for history in histories])
        for kind in ("cross", "alignment")
    }
    top = np.take_along_axis(scores, order, 1)
    return Outputs.of(scores, attentions, top, order)


def drive(search: Search, first_row: int = 2) -> list[Path]:
    """Run a search on rows `first_row` on, as the engine would."""
    rows = list(range(first_row, first_row + search.beams))
    total = first_row + search.beams + 1
    histories: list[tuple[int, ...]] = [()] * total
    for _ in range(100):
        for row, token in zip(rows, search.tokens, strict=True):
            histories[row] = (*histories[row], token)
        outputs = say(histories, search.candidates)
        parents = search.advance(outputs, rows)
        if search.paths is not None:
            return search.paths
        before = list(histories)
        for row, parent in zip(rows, rows if parents is None else parents, strict=True):
            histories[row] = before[parent]
    raise AssertionError("the search does not end")


def log_probability(tokens: tuple[int, ...]) -> list[float]:
    scores = []
    for at, token in enumerate(tokens):
        row = logits((BOS, *tokens[:at])).astype(np.float64)
        scores.append(float(row[token] - np.log(np.exp(row).sum())))
    return scores


def check_path(path: Path) -> None:
    """Scores and attention of a path are those of its own history."""
    assert path.scores == pytest.approx(log_probability(path.tokens), abs=1e-5)
    length = len(path.tokens)
    for at in range(length):
        cross = attention((BOS, *path.tokens[:at]), "cross")[:3]
        assert path.attention["cross"][at] == pytest.approx(cross)
        if path.tokens[at] == EOS:
            assert path.attention["alignment"][at].tolist() == [0, 0, 1]
        else:
            read = attention((BOS, *path.tokens[: at + 1]), "alignment")[:3]
            assert path.attention["alignment"][at] == pytest.approx(read)


def plain_beam(size: int, limit: int, penalty: float = 1.0) -> list[tuple[tuple[int, ...], float]]:
    """The same search written as plainly as can be, on whole histories."""
    beams: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    finished: list[tuple[tuple[int, ...], float]] = []
    for _ in range(limit):
        extended = [
            ((*tokens, token), total + log_probability((*tokens, token))[-1])
            for tokens, total in beams
            for token in range(PIECES)
        ]
        extended.sort(key=lambda item: -item[1])
        beams = []
        for rank, (tokens, total) in enumerate(extended[: 2 * size]):
            if tokens[-1] == EOS:
                if rank < size:
                    finished.append((tokens, total / len(tokens) ** penalty))
            elif len(beams) < size:
                beams.append((tokens, total))
        if len(finished) >= size or not beams:
            break
    if not finished:
        finished = [(tokens, total / len(tokens) ** penalty) for tokens, total in beams]
    return sorted(finished, key=lambda item: -item[1])


def test_greedy_takes_the_best_token_until_the_end() -> None:
    (path,) = drive(Greedy(SOURCE, limit=20))
    assert path.finished
    for at, token in enumerate(path.tokens):
        assert token == int(logits((BOS, *path.tokens[:at])).argmax())
    check_path(path)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_cut_hypothesis_has_every_attention_row(limit: int) -> None:
    for search in (Greedy(SOURCE, limit), Beam(SOURCE, limit, 3, 1)):
        path = drive(search)[0]
        assert len(path.tokens) <= limit
        check_path(path)


def test_beam_of_one_is_greedy() -> None:
    (greedy,) = drive(Greedy(SOURCE, limit=12))
    (beam,) = drive(Beam(SOURCE, 12, 1, 1))
    assert greedy.tokens == beam.tokens
    assert greedy.score == pytest.approx(beam.score, abs=1e-5)


@pytest.mark.parametrize(("size", "limit"), list(itertools.product((2, 3, 4), (2, 4, 12))))
def test_beam_is_the_plain_search(size: int, limit: int) -> None:
    paths = drive(Beam(SOURCE, limit, size, size))
    expected = plain_beam(size, limit)[:size]
    assert [path.tokens for path in paths] == [tokens for tokens, _ in expected]
    assert [path.score for path in paths] == pytest.approx([s for _, s in expected], abs=1e-5)
    for path in paths:
        check_path(path)


def test_hypotheses_are_ranked_by_the_score_returned_and_n_best_bounds_them() -> None:
    paths = drive(Beam(SOURCE, 12, 4, 2))
    assert len(paths) == 2
    assert paths[0].score >= paths[1].score


def test_forced_scores_the_given_target() -> None:
    (path,) = drive(Forced(SOURCE, [3, 4, 2]))
    assert path.tokens == (3, 4, 2, EOS)
    assert path.finished
    check_path(path)


@pytest.mark.parametrize("target", [[], [4], [3, 4, 2]])
def test_a_target_that_is_read_at_once_gives_the_same_path(target: list[int]) -> None:
    (stepped,) = drive(Forced(SOURCE, target))
    search = Forced(SOURCE, target)
    assert list(search.target) == [*target, EOS]
    read = [(BOS, *target[:at]) for at in range(len(target) + 1)]
    said = say(read, 0)
    scores = said.scores[np.arange(len(read)), search.target]
    (path,) = search.settle(scores, said.attention)
    assert search.paths is not None
    assert search.paths[0] is path
    assert (path.tokens, path.finished) == (stepped.tokens, True)
    assert (path.scores == stepped.scores).all()
    for kind, rows in stepped.attention.items():
        assert (path.attention[kind] == rows).all()
    check_path(path)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.4])
def test_length_penalty_ranks_but_the_score_stays_a_mean(penalty: float) -> None:
    paths = drive(Beam(SOURCE, 12, 4, 4, penalty))
    expected = plain_beam(4, 12, penalty)[:4]
    assert [path.tokens for path in paths] == [tokens for tokens, _ in expected]
    for path in paths:
        assert path.score == pytest.approx(np.mean(log_probability(path.tokens)), abs=1e-5)


def circling(rows: int) -> Outputs:
    """A step in which every row would say 3, or else 0."""
    scores = np.log(np.array([[0.1, 1e-9, 1e-9, 0.8, 1e-9, 0.05]] * rows, np.float32))
    order = np.argsort(-scores, axis=1, kind="stable")
    blank = {kind: np.zeros((rows, 4), np.float32) for kind in SOURCE.delays}
    return Outputs.of(scores, blank, np.take_along_axis(scores, order, 1), order)


@pytest.mark.parametrize("beams", [1, 2])
def test_a_hypothesis_may_not_run_in_circles(beams: int) -> None:
    """A model that would say 3 for ever is made to say its second best after some copies."""
    about = Source(length=3, eos=EOS, bos=BOS, delays=SOURCE.delays, copies=4)
    search: Search = Greedy(about, 30) if beams == 1 else Beam(about, 30, beams, 1)
    while search.paths is None:
        search.advance(circling(beams), list(range(beams)))
    tokens = search.paths[0].tokens
    assert len(tokens) < 30
    assert "3, 3, 3, 3, 3" not in str(tokens)


@pytest.mark.parametrize("beams", [1, 2, 3])
def test_a_label_ends_where_a_mark_would_come(beams: int) -> None:
    about = dataclasses.replace(SOURCE, eos=5, ending=frozenset({3}))
    search: Search = Greedy(about, 30) if beams == 1 else Beam(about, 30, beams, 1)
    while search.paths is None:
        search.advance(circling(beams), list(range(beams)))
    assert search.paths[0].tokens == (5,)
    assert search.paths[0].score == pytest.approx(np.log(0.8))


@pytest.mark.parametrize("beams", [1, 2, 3])
def test_a_label_that_asks_ends_in_a_question_mark(beams: int) -> None:
    about = dataclasses.replace(
        SOURCE, eos=3, copies=4, ending=frozenset({2}), asking=frozenset({0})
    )
    search: Search = Greedy(about, 30) if beams == 1 else Beam(about, 30, beams, 1)
    while search.paths is None:
        search.advance(circling(beams), list(range(beams)))
    assert search.paths[0].tokens == (0, 3)
    assert search.paths[0].finished


def test_a_watched_search_tells_each_token_and_the_row_of_the_one_before() -> None:
    search = Greedy(SOURCE, limit=20)
    told: list[Chosen] = []
    history: tuple[int, ...] = (BOS,)
    while search.paths is None:
        search.advance(say([history], 0), [0])
        chosen = search.chosen()
        assert chosen is not None
        told.append(chosen)
        history = (*history, *search.tokens)
    path = search.paths[0]
    assert [c.token for c in told] == list(path.tokens)
    assert [c.score for c in told] == path.scores.tolist()
    assert [c.step for c in told] == list(range(len(told)))
    for chosen in told:
        assert (chosen.attention["cross"] == path.attention["cross"][chosen.step]).all()
        if chosen.step:
            before = path.attention["alignment"][chosen.step - 1]
            assert (chosen.attention["alignment"] == before).all()
    assert "alignment" not in told[0].attention


def test_a_search_cut_by_length_tells_no_token_twice() -> None:
    search = Greedy(SOURCE, limit=2)
    told = 0
    history: tuple[int, ...] = (BOS,)
    while search.paths is None:
        search.advance(say([history], 0), [0])
        told += search.chosen() is not None
        history = (*history, *search.tokens)
    assert told == len(search.paths[0].tokens) == 2
