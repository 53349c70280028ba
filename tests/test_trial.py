"""Graphs are tried before they serve: what comes out of them is held against the manifest."""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from service.bundle import Bundle
from service.errors import DamagedBundle, StepFailed
from service.runner import Encoded, Runner, Scored, Stepped
from service.trial import try_out
from tests.architectures import ARCHITECTURES, PIECES, exported

SIZE = 8000


@pytest.fixture
def runner(toy_bundle: Bundle) -> Runner:
    return Runner(toy_bundle.read, toy_bundle.manifest.model)


def test_a_bundle_passes(runner: Runner) -> None:
    try_out(runner, SIZE, SIZE)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if "multi-head" in name])
def test_heads_and_a_growing_state_pass(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = exported(ARCHITECTURES[name], tmp_path_factory.mktemp("graphs"))
    try_out(made.runner("int8"), PIECES, PIECES)


def test_a_tokenizer_with_more_pieces_than_the_encoder_is_refused(runner: Runner) -> None:
    with pytest.raises(StepFailed):
        try_out(runner, SIZE + 1, SIZE)


def test_a_tokenizer_with_other_pieces_than_the_decoder_is_refused(runner: Runner) -> None:
    with pytest.raises(DamagedBundle, match="knows 8000 pieces, the target's tokenizer 7999"):
        try_out(runner, SIZE, SIZE - 1)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("scores", lambda a: a[:-1], r"log_probabilities comes out in shape \(1,\), not \(2,\)"),
        ("scores", lambda a: a * np.nan, "log_probabilities holds numbers that are not finite"),
        ("cross", lambda a: a[:, :-1], "cross comes out in shape"),
        ("cross", lambda a: a * np.nan, "cross holds numbers that are not finite"),
    ],
)
def test_what_comes_out_wrong_of_a_given_target_is_named(
    runner: Runner,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    change: Callable[[np.ndarray], np.ndarray],
    says: str,
) -> None:
    force = runner.force

    def changed(encoded: list[Encoded], targets: list[list[int]]) -> list[Scored]:
        told = force(encoded, targets)
        if name == "scores":
            return [replace(one, scores=change(one.scores)) for one in told]
        return [
            replace(one, attention={**one.attention, name: change(one.attention[name])})
            for one in told
        ]

    monkeypatch.setattr(runner, "force", changed)
    with pytest.raises(DamagedBundle, match=says):
        try_out(runner, SIZE, SIZE)


def scores(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Stepped], Stepped]:
    return lambda stepped: replace(stepped, scores=change(stepped.scores))


def cross(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Stepped], Stepped]:
    def changed(stepped: Stepped) -> Stepped:
        return replace(
            stepped,
            attention=MappingProxyType(
                {**stepped.attention, "cross": change(stepped.attention["cross"])}
            ),
        )

    return changed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (scores(lambda a: a[:1]), r"log_probabilities comes out in shape \(1, 8000\)"),
        (scores(lambda a: a[:, :-1]), "log_probabilities comes out in shape"),
        (scores(lambda a: a * np.nan), "log_probabilities holds numbers that are not finite"),
        (scores(lambda a: a - np.inf), "log_probabilities holds numbers that are not finite"),
        (cross(lambda a: a[:, :-1]), "cross comes out in shape"),
        (cross(lambda a: a[:, None, None]), "cross comes out in shape"),
        (cross(lambda a: np.stack([a, a], axis=1)), "cross comes out in shape"),
        (cross(lambda a: a * np.nan), "cross holds numbers that are not finite"),
    ],
)
def test_what_comes_out_wrong_is_named(
    runner: Runner,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Stepped], Stepped],
    says: str,
) -> None:
    step = runner.step
    monkeypatch.setattr(runner, "step", lambda *given: change(step(*given)))
    with pytest.raises(DamagedBundle, match=says):
        try_out(runner, SIZE, SIZE)


def test_a_state_of_another_shape_does_not_fit(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = runner.step

    def wider(*given: object) -> Stepped:
        stepped = step(*given)  # type: ignore[arg-type]
        return replace(stepped, state={k: np.hstack([v, v]) for k, v in stepped.state.items()})

    monkeypatch.setattr(runner, "step", wider)
    with pytest.raises(ValueError, match="broadcast"):
        try_out(runner, SIZE, SIZE)


@pytest.mark.parametrize("token", [-1, SIZE])
def test_candidates_that_are_no_pieces_are_refused(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, token: int
) -> None:
    best = np.zeros((2, 3), np.float32), np.full((2, 3), token)
    monkeypatch.setattr(runner, "top", lambda *_: best)
    with pytest.raises(DamagedBundle, match="no pieces"):
        try_out(runner, SIZE, SIZE)
