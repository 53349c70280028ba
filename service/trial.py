"""A bundle's graphs are tried before they serve: two sentences, two steps, and the best of each.

What the manifest says and a session does not (`contract`) shows only when graphs run: whether
every piece has a place in their tables, and whether what comes out has the shape that it should.
"""

import numpy as np

from service.errors import DamagedBundle
from service.runner import Runner, Stepped

STEPS = 2


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
    for row, source in enumerate(([source_pieces - 1, eos], [eos])):
        (encoded,) = runner.encode([source])
        slots.put(encoded.memory, encoded.state, [row])
    slots.move([], 2)
    for _ in range(STEPS):
        stepped = runner.step([runner.model.special.bos, target_pieces - 1], *slots.gather())
        _check(runner, stepped)
        slots.scatter(stepped.state, np.array([1, 0]))


def _check(runner: Runner, stepped: Stepped) -> None:
    """Hold shapes and numbers of a step of two rows against the manifest."""
    _check_array("log_probabilities", stepped.scores, (2, runner.pieces))
    for kind in runner.model.attention:
        rows = stepped.attention[kind.kind]
        heads = () if rows.ndim == 2 and kind.heads == 1 else (kind.heads,)
        _check_array(kind.output, rows, (2, *heads, runner.width(2)))
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
