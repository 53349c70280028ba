"""The share of a step that is spent in matrix products, at the speed that they have alone.

A step's products, each timed with nothing around it on as many threads as the engine has
workers, over the engine's own time for that step. A step's time is the difference between
long and short outputs of the same batch: all of the loop, without encoding and admission.
"""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks import fixed, interleave, ours, products, profiles, report, results
from benchmarks.interleave import Candidate
from benchmarks.ours import Ours
from benchmarks.report import Bar
from service import cores
from service.bundle import Bundle
from service.engine import Capacity

SOURCE, SHORT, LONG = 12, 13, 53
WIDEST = 64
BATCHES, BEAM = (1, 8, 32, 64), 4
JUDGED, LEAST_SHARE = (32, 64), 0.5
ROUNDS, QUICK_ROUNDS = 15, 3
LOOP = "engine and the rest"
MICRO = 1e6
LEAST_SHOWN = 0.005


@dataclass(frozen=True, slots=True)
class Share:
    """A batch on each of some threads; all in microseconds of one step of one thread.

    `batch` are rows, `beam` of them a sentence. `parts` are own times of the service's functions
    in a step as the profile sees it, with its cost: encoding, admission and answers are in there
    as well. `operators` are what the decoder's graph takes alone, by the runtime's profile.
    """

    workers: int
    batch: int
    beam: int
    products: dict[str, float]
    step: float
    parts: dict[str, float]
    operators: dict[str, float]

    @property
    def share(self) -> float:
        """Products alone over the whole step."""
        return sum(self.products.values()) / self.step


def run(quick: bool) -> None:
    """Measure, print and write `results/ceiling.json`."""
    report.show_machine()
    bundle = ours.shipped()
    shares = []
    for workers in sorted({1, cores.usable()}):
        for batch, beam in [*((batch, 1) for batch in BATCHES), (BATCHES[-1], BEAM)]:
            report.progress(f"{batch} rows on each of {workers} threads, beam {beam}")
            shares.append(_measure(bundle, workers, batch, beam, quick))
            _show(shares[-1])
    bars = judge(shares)
    report.show_bars(bars)
    found = {
        "source_tokens": SOURCE + 1,
        "unit": "microseconds a step of one thread",
        "shares": [_as_json(share) for share in shares],
        "bars": [bar.as_json() for bar in bars],
    }
    results.write("ceiling", found)


def judge(shares: list[Share]) -> list[Bar]:
    """Hold every share against the promise, which is of greedy search."""
    return [
        Bar(f"products / step, batch {s.batch}, workers {s.workers}", s.share, LEAST_SHARE)
        for s in shares
        if s.beam == 1 and s.batch in JUDGED
    ]


def _measure(bundle: Bundle, workers: int, batch: int, beam: int, quick: bool) -> Share:
    rounds = QUICK_ROUNDS if quick else ROUNDS
    alone = products.seconds(bundle, SOURCE, batch, workers, rounds)
    held = Capacity(workers, batch, batch * WIDEST, ours.UNBOUNDED)
    with Ours(bundle, held) as engine:
        step = _step(engine, beam, interleave.QUICK if quick else interleave.FULL)
    with profiles.profiled() as profile, Ours(bundle, held) as engine:
        parts = _profile(engine, beam, profile, 2 if quick else 10)
    micro = {name: seconds * MICRO for name, seconds in alone.items()}
    graph = products.operators(bundle, SOURCE, batch, 20 if quick else 200)
    spent = {name: seconds * MICRO for name, seconds in graph.items()}
    return Share(workers, batch, beam, micro, step * MICRO, parts, spent)


def _sources(engine: Ours, beam: int) -> list[list[int]]:
    count = engine.capacity.workers * engine.capacity.slots // beam
    return fixed.sources(count, SOURCE, engine.source_pieces, engine.model.special.eos)


def _step(engine: Ours, beam: int, effort: interleave.Effort) -> float:
    """Return seconds of a step of all workers side by side."""
    sources = _sources(engine, beam)
    candidates = [
        Candidate(str(length), partial(engine.fixed, sources, length, beam))
        for length in (SHORT, LONG)
    ]
    samples = interleave.measure(candidates, effort)
    pairs = zip(samples[str(LONG)], samples[str(SHORT)], strict=True)
    return statistics.median(long - short for long, short in pairs) / (LONG - SHORT)


def _profile(engine: Ours, beam: int, profile: profiles.Profile, calls: int) -> dict[str, float]:
    """Return microseconds a step of one thread by function, the engine's loop as the rest."""
    sources = _sources(engine, beam)
    engine.fixed(sources, LONG, beam)
    profile.clear()
    start = time.perf_counter()
    for _ in range(calls):
        engine.fixed(sources, LONG, beam)
    whole = (time.perf_counter() - start) * engine.capacity.workers
    seconds = profile.seconds()
    seconds[LOOP] = whole - sum(seconds.values())
    steps = calls * LONG * engine.capacity.workers
    return {name: own / steps * MICRO for name, own in seconds.items()}


def _show(share: Share) -> None:
    alone = sum(share.products.values())
    title = f"A step of {share.batch} rows, beam {share.beam}, on each of {share.workers} threads"
    lines = {**share.products, "all products, alone": alone, "the engine's step": share.step}
    _show_parts(title, "of the step", lines, share.step)
    whole, graph = sum(share.parts.values()), sum(share.operators.values())
    _show_parts("Functions, under a profile", "of all", {**share.parts, "all": whole}, whole)
    spent = {**share.operators, "all": graph}
    _show_parts("The decoder's graph, alone on one thread", "of the graph", spent, graph)


def _show_parts(title: str, of: str, parts: Mapping[str, float], whole: float) -> None:
    """Print microseconds a step, and shares; what is under half a percent is left out."""
    rows = [
        [name, f"{took:,.0f}", f"{took / whole:.1%}"]
        for name, took in parts.items()
        if took >= LEAST_SHOWN * whole
    ]
    report.show_table(title, ["", "µs a step", of], rows)


def _as_json(share: Share) -> dict[str, object]:
    return {
        "workers": share.workers,
        "batch": share.batch,
        "beam": share.beam,
        "share": round(share.share, 4),
        "step": round(share.step, 1),
        "products": {name: round(took, 1) for name, took in share.products.items()},
        "profile": {name: round(took, 1) for name, took in share.parts.items()},
        "operators_of_the_graph": {name: round(took, 1) for name, took in share.operators.items()},
        "profile_by_room": {
            name: round(took, 1) for name, took in profiles.rooms(share.parts).items()
        },
    }
