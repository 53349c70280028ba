"""A bundle's graphs are tried before they serve: two sentences, some steps, and the best of each.

Where there is a graph for given targets, it reads two of these too.

What the manifest says and a session does not (`contract`) shows only when graphs run: whether
every piece has a place in their tables, and whether what comes out has the shape that it should.
"""

import numpy as np

from service.errors import DamagedBundle
from service.runner import Runner, Scored, Stepped


def try_out(runner: Runner, source_pieces: int, target_pieces: int) -> None:
    """Run every graph with the first and the last piece of both sides.

    Raises `DamagedBundle` for what comes out wrong, `StepFailed` where a graph fails, and
    ValueError where arrays do not fit together.
    """
    if runner.pieces != target_pieces:
        raise DamagedBundle(
            f"the decoder knows {runner.pieces} pieces, the target's tokenizer {target_pieces}"
        )
    eos = runner.model.special.eos
    slots = runner.slots(2)
    encoded = [runner.encode([source])[0] for source in ([source_pieces - 1, eos], [eos])]
    for row, one in enumerate(encoded):
        slots.put(one.memory, one.state, [row])
    slots.move([], 2)
    for parents in (np.array([1, 0]), None, None):
        stepped = runner.step([runner.model.special.bos, target_pieces - 1], *slots.gather())
        _check(runner, stepped, (2, runner.pieces))
        _check_top(runner, stepped)
        slots.scatter(stepped.state, parents)
    if runner.forces:
        targets = [target_pieces - 1, eos], [eos]
        for target, scored in zip(targets, runner.force(encoded, targets), strict=True):
            _check(runner, scored, (len(target),))


def _check(runner: Runner, said: Stepped | Scored, scores: tuple[int, ...]) -> None:
    """Hold scores of this shape, and as many rows of attention, against the manifest."""
    _check_array("log_probabilities", said.scores, scores)
    for kind in runner.model.attention:
        rows = said.attention[kind.kind]
        heads = () if rows.ndim == 2 and kind.heads == 1 else (kind.heads,)
        _check_array(kind.output, rows, (scores[0], *heads, runner.width(2)))


def _check_top(runner: Runner, stepped: Stepped) -> None:
    """Hold the best few of a step of two rows against what there is."""
    scores, tokens = runner.top(stepped.scores, 3)
    best = min(3, runner.pieces)
    _check_array("top_scores", scores, (2, best))
    if tokens.shape != (2, best) or tokens.min() < 0 or tokens.max() >= runner.pieces:
        raise DamagedBundle("the candidates are no pieces")


def _check_array(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise DamagedBundle(f"{name} comes out in shape {array.shape}, not {shape}")
    if not np.isfinite(array).any(axis=-1).all() or np.isnan(array).any():
        raise DamagedBundle(f"{name} holds numbers that are not finite")
