"""What the rounds of traffic found: medians, tables, bars, and the file's content."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.latency import Latency
from benchmarks.offline import Rates
from benchmarks.report import Bar, figure, show_bars, show_table
from benchmarks.servers import DYNAMIC, INTERLINEA

HOW = {
    "saturated": "closed loop: every connection sends its next request when it has its answer; "
    "texts answered in the counted seconds",
    "capacity": "what Interlinea carried saturated, one text a request, in the same round",
    "load": "Poisson arrivals at this share of the capacity, one text a request, the same "
    "arrivals for every server; latencies run from the scheduled arrival, and those of requests "
    "that nobody answered within 2 s of the last arrival are lower bounds",
    "rate": "answers with status 200 a second while the arrivals lasted",
    "translator_offline": "texts a second of Translator.translate, 1000 texts in one call, in "
    "the client's process while the servers idle; attention and word links are made",
    "engine_offline": "the same of Engine.run on prepared ids",
    "client_cpu_share": "processor time of the client over time, of one core; it shares the "
    "machine with the server",
    "client_late_ms": "99th percentile of how far behind the schedule the client took up requests",
    "server_cpu_us": "processor time of the server's process for each text",
    "main_thread_us": "the part of its main thread, which in Interlinea speaks HTTP",
    "median": "each figure is the median over rounds of that figure; ratios are medians of the "
    "ratios within a round",
}

CELL_HEADER = (
    *("", "load", "offered/s", "answered/s", "p50 ms", "p95 ms", "p99 ms"),
    *("server µs", "client %", "errors", "unanswered"),
)


@dataclass(frozen=True, slots=True)
class Saturated:
    """A server that was given all it could take; `rate` in texts a second."""

    server: str
    texts: int
    rate: float
    latency: Latency | None
    errors: int
    client_cpu_share: float
    server_cpu_us: float
    main_thread_us: float


@dataclass(frozen=True, slots=True)
class Cell:
    """A server under arrivals at a share of the capacity."""

    server: str
    load: float
    offered: float
    rate: float
    latency: Latency
    errors: int
    unanswered: int
    client_cpu_share: float
    client_late_ms: float
    server_cpu_us: float


@dataclass(frozen=True, slots=True)
class Round:
    """Everything measured once."""

    offline: Sequence[Rates]
    saturated: Sequence[Saturated]
    cells: Sequence[Cell]

    def rate(self, server: str, texts: int) -> float:
        """Return what a server carried, in texts a second."""
        return next(s.rate for s in self.saturated if (s.server, s.texts) == (server, texts))

    def p95(self, server: str, load: float) -> float:
        """Return a 95th percentile in milliseconds."""
        return next(c.latency.p95 for c in self.cells if (c.server, c.load) == (server, load))


def bars(rounds: Sequence[Round]) -> list[Bar]:
    """Return every promise about traffic, and what was measured."""
    tail = _median(one.p95(INTERLINEA.name, 0.75) / one.p95(DYNAMIC.name, 0.75) for one in rounds)
    made = [Bar("p95 at 75 % load, against batches of 8 or 10 ms", tail, 0.5, at_most=True)]
    for texts in sorted({one.texts for one in rounds[0].saturated}):
        words = "one text" if texts == 1 else f"{texts} texts"
        for name, of in _OFFLINE.items():
            share = _median(
                one.rate(INTERLINEA.name, texts) / statistics.fmean(map(of, one.offline))
                for one in rounds
            )
            made.append(Bar(f"saturated HTTP, {words} a request, against {name}", share, 0.7))
    return made


def show(rounds: Sequence[Round]) -> None:
    """Print tables and bars."""
    offline = [rates for one in rounds for rates in one.offline]
    names = list(_OFFLINE)
    show_table(
        "Offline, in one call",
        ["", "texts/s"],
        [[name, figure(_median(map(_OFFLINE[name], offline)))] for name in names],
    )
    show_table(
        "Saturated",
        [
            *("", "texts a request", "texts/s", "p50 ms", "p95 ms", "server µs", "main thread µs"),
            *("client %", "errors"),
        ],
        [_saturated_row(s) for s in saturated(rounds)],
    )
    show_table(
        "Poisson arrivals, shares of what Interlinea carries; ≥: some were never answered",
        CELL_HEADER,
        [_cell_row(cell) for cell in cells(rounds)],
    )
    show_bars(bars(rounds))


def as_json(rounds: Sequence[Round], servers: Mapping[str, str]) -> dict[str, object]:
    """Return the content of the file; `servers` says what each is."""
    offline = [rates for one in rounds for rates in one.offline]
    return {
        "how": HOW,
        "servers": servers,
        "offline": {
            "translator": _median(rates.translator for rates in offline),
            "engine": _median(rates.engine for rates in offline),
        },
        "saturated": [asdict(one) for one in saturated(rounds)],
        "load": [asdict(one) for one in cells(rounds)],
        "bars": [bar.as_json() for bar in bars(rounds)],
        "rounds": [asdict(one) for one in rounds],
    }


def saturated(rounds: Sequence[Round]) -> list[Saturated]:
    """Return medians over rounds, servers in the order of the first round."""
    return [
        Saturated(
            first.server,
            first.texts,
            _median(one.rate for one in same),
            _latency([one.latency for one in same if one.latency]),
            sum(one.errors for one in same),
            _median(one.client_cpu_share for one in same),
            _median(one.server_cpu_us for one in same),
            _median(one.main_thread_us for one in same),
        )
        for first in rounds[0].saturated
        for same in [[s for r in rounds for s in r.saturated if _same(s, first)]]
    ]


def cells(rounds: Sequence[Round]) -> list[Cell]:
    """Return medians over rounds, errors and unanswered requests of all rounds together."""
    return [
        Cell(
            first.server,
            first.load,
            _median(one.offered for one in same),
            _median(one.rate for one in same),
            _latency([one.latency for one in same]) or first.latency,
            sum(one.errors for one in same),
            sum(one.unanswered for one in same),
            _median(one.client_cpu_share for one in same),
            _median(one.client_late_ms for one in same),
            _median(one.server_cpu_us for one in same),
        )
        for first in rounds[0].cells
        for same in [[c for r in rounds for c in r.cells if _equal(c, first)]]
    ]


def _translator(rates: Rates) -> float:
    return rates.translator


def _engine(rates: Rates) -> float:
    return rates.engine


_OFFLINE: Mapping[str, Callable[[Rates], float]] = {
    "the translator offline": _translator,
    "the engine offline": _engine,
}


def _same(one: Saturated, other: Saturated) -> bool:
    return (one.server, one.texts) == (other.server, other.texts)


def _equal(one: Cell, other: Cell) -> bool:
    return (one.server, one.load) == (other.server, other.load)


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def _latency(found: Sequence[Latency]) -> Latency | None:
    if not found:
        return None
    return Latency(
        _median(one.p50 for one in found),
        _median(one.p95 for one in found),
        _median(one.p99 for one in found),
    )


def _saturated_row(one: Saturated) -> list[str]:
    latency = one.latency
    return [
        one.server,
        str(one.texts),
        figure(one.rate),
        figure(latency.p50) if latency else "",
        figure(latency.p95) if latency else "",
        figure(one.server_cpu_us),
        figure(one.main_thread_us),
        figure(100 * one.client_cpu_share),
        str(one.errors),
    ]


def _cell_row(one: Cell) -> list[str]:
    bound = "≥ " if one.unanswered else ""
    return [
        one.server,
        f"{one.load:.0%}",
        figure(one.offered),
        figure(one.rate),
        *(bound + figure(ms) for ms in (one.latency.p50, one.latency.p95, one.latency.p99)),
        figure(one.server_cpu_us),
        figure(100 * one.client_cpu_share),
        str(one.errors),
        str(one.unanswered),
    ]
