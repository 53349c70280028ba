"""What fixed scales cost: the decoder with its own, with scales taken anew, and in float32.

A scale that is taken over a whole batch makes a sentence depend on its batch-mates; one that was
fixed at export does not. Both are timed here in the same step, and looked at in a crowd.
"""

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks import fixed, graphs, interleave, ours, report, results
from benchmarks.interleave import Candidate, Samples
from benchmarks.plain_loop import SCORES, PlainLoop
from benchmarks.sessions import Array, Session
from service.bundle import Bundle
from service.dequantise import dequantise

SOURCE = 12
BATCHES = (1, 8, 32, 64)
FIXED, DYNAMIC, FLOAT = "int8, fixed scales (ours)", "int8, dynamic scales", "float32"
MICRO = 1e6

Feeds = Mapping[str, Array]


def run(quick: bool) -> None:
    """Measure, print and write `results/scales.json`."""
    report.show_machine()
    bundle = ours.shipped()
    sessions = {name: Session(graph, 1) for name, graph in forms(bundle).items()}
    effort = interleave.QUICK if quick else interleave.FULL
    samples = {}
    for batch in BATCHES:
        report.progress(f"{batch} rows")
        samples[batch] = _time(sessions, first_step(bundle, batch), effort)
    crowd = first_step(bundle, BATCHES[-1])
    moved = {name: moved_by_strangers(session, crowd) for name, session in sessions.items()}
    _show(samples, moved)
    results.write(
        "scales",
        {
            "source_tokens": SOURCE + 1,
            "rounds": effort.rounds,
            "microseconds_a_step_of_one_thread": {
                name: {batch: _micro(found[name]) for batch, found in samples.items()}
                for name in sessions
            },
            "times_as_long_as_with_fixed_scales": {
                name: {
                    batch: round(interleave.ratio(found[name], found[FIXED]), 3)
                    for batch, found in samples.items()
                }
                for name in sessions
            },
            "log_probabilities_moved_by_strangers": moved,
        },
    )


def forms(bundle: Bundle) -> dict[str, bytes]:
    """Return the decoder as shipped, with dynamic scales, and in float32."""
    path = bundle.path(bundle.manifest.model.graph("decoder").file)
    shipped = path.read_bytes()
    return {FIXED: shipped, DYNAMIC: graphs.dynamic(path), FLOAT: dequantise(shipped)}


def first_step(bundle: Bundle, batch: int) -> dict[str, Array]:
    """Return what the first step of `batch` random sentences reads."""
    model = bundle.manifest.model
    pieces = graphs.pieces(bundle.path(model.graph("encoder").file))
    sources = fixed.sources(batch, SOURCE, pieces, model.special.eos)
    return {"token": np.full(batch, model.special.bos), **PlainLoop(bundle, 1).encode(sources)}


def moved_by_strangers(session: Session, feeds: Feeds) -> float:
    """Return how far a sentence's log-probabilities in this batch are from those alone, at most."""
    alone = {name: array[:1] for name, array in feeds.items()}
    ours_alone, in_crowd = (session.run([SCORES], fed)[SCORES][0] for fed in (alone, feeds))
    return float(np.abs(np.subtract(in_crowd, ours_alone, dtype=np.float64)).max())


def _time(sessions: Mapping[str, Session], feeds: Feeds, effort: interleave.Effort) -> Samples:
    bound = {name: session.bind(dict(feeds)) for name, session in sessions.items()}
    return interleave.measure([Candidate(name, one.run) for name, one in bound.items()], effort)


def _micro(seconds: Sequence[float]) -> float:
    return round(MICRO * statistics.median(seconds), 1)


def _show(samples: Mapping[int, Samples], moved: Mapping[str, float]) -> None:
    rows = []
    for name, most in moved.items():
        times = [_micro(found[name]) for found in samples.values()]
        ratios = [interleave.ratio(found[name], found[FIXED]) for found in samples.values()]
        cells = [f"{t:,.0f} ({r:.2f})" for t, r in zip(times, ratios, strict=True)]
        rows.append([name, *cells, f"{most:.1g}"])
    header = ["", *(f"{batch} rows" for batch in samples), "moved by strangers"]
    report.show_table("µs a step of one thread (times as long as ours)", header, rows)
