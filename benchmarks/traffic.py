"""Traffic over HTTP: Interlinea against other ways to batch, and the peers as servers.

Every server runs in a process of its own, all of them all the time, one of them busy; the
client is this process. A round measures what each server carries, then sends all of them the
same arrivals at shares of what Interlinea carried in that round; figures are medians over
rounds, so that a host that changes its speed changes it for all.
"""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from benchmarks import findings, results, sentences
from benchmarks.arrivals import poisson
from benchmarks.client import BadAnswer, Measured, ask, closed_loop, open_loop
from benchmarks.findings import Cell, Round, Saturated
from benchmarks.latency import percentile, summarise
from benchmarks.offline import Offline
from benchmarks.report import CONSOLE, show_machine
from benchmarks.servers import INTERLINEA, OURS, PEERS, Kind, Server

LOADS = (0.25, 0.5, 0.75, 0.9)
TEXTS = 1000
CONNECTIONS = {1: 64, 16: 16}
"""Connections that saturate a server, by texts of a request.

All their sentences must fit into Interlinea's queue, which holds 1024.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to look: rounds, and seconds of each measurement."""

    rounds: int
    warm_seconds: float
    saturated_seconds: float
    open_loop_seconds: float


FULL, QUICK = Plan(3, 0.5, 2.5, 3.5), Plan(1, 0.5, 1.5, 2.0)


def run(quick: bool) -> None:
    """Measure, print tables and bars, and write `traffic.json`."""
    plan = QUICK if quick else FULL
    show_machine()
    texts = sentences.read(TEXTS)
    with ExitStack() as stack:
        started = [stack.enter_context(Server(kind)) for kind in (*OURS, *_installed(PEERS))]
        targets = [Target(server, texts, plan) for server in started]
        offline = stack.enter_context(Offline(texts))
        rounds = [_round(turn, targets, offline) for turn in range(plan.rounds)]
    findings.show(rounds)
    about = {target.kind.name: target.kind.about for target in targets}
    results.write(
        "traffic",
        {"plan": asdict(plan), "texts": sentences.origin(), **findings.as_json(rounds, about)},
    )


class Target:
    """A running server, and the requests for it."""

    def __init__(self, server: Server, texts: Sequence[str], plan: Plan) -> None:
        """Wait until the server is ready, and see that it answers as it should."""
        self.kind = server.kind
        self._server = server
        self._plan = plan
        self._port = server.port()
        self._requests = {
            count: [self.kind.ask(texts[i : i + count]) for i in range(0, len(texts), count)]
            for count in CONNECTIONS
        }
        self._settle(self.kind.expects)

    def saturate(self, texts: int) -> Saturated:
        """Send requests of so many texts as fast as they are answered."""
        connections = min(CONNECTIONS[texts], self.kind.connections)
        plan, requests = self._plan, self._requests[texts]
        before = self._server.cpu()
        found = asyncio.run(
            closed_loop(
                self._port, connections, requests, plan.warm_seconds, plan.saturated_seconds
            )
        )
        spent = [b - a for a, b in zip(before, self._server.cpu(), strict=True)]
        whole, main = (1e6 * one / max(1, found.answered * texts) for one in spent)
        return Saturated(
            self.kind.name,
            texts,
            found.rate * texts,
            summarise(found.latencies) if found.latencies else None,
            found.errors,
            found.cpu_share,
            whole,
            main,
        )

    def arrive(self, rate: float, load: float, seed: int) -> Cell:
        """Send requests of one text at Poisson arrivals of `rate` a second."""
        seconds = self._plan.open_loop_seconds
        schedule = poisson(rate, seconds, seed)
        before, _ = self._server.cpu()
        found = asyncio.run(
            open_loop(self._port, self.kind.connections, self._requests[1], schedule, seconds)
        )
        after, _ = self._server.cpu()
        self._settle()
        return _cell(self.kind.name, load, len(schedule) / seconds, found, after - before)

    def _settle(self, expected: bytes = b"") -> None:
        """Wait until the server answers, and so has worked off what came before."""
        body = asyncio.run(ask(self._port, self._requests[1][0]))
        if expected not in body:
            raise BadAnswer(f"{self.kind.name} answers without {expected!r}: {body[:200]!r}")


def _cell(name: str, load: float, offered: float, found: Measured, cpu: float) -> Cell:
    return Cell(
        name,
        load,
        offered,
        found.rate,
        summarise(found.latencies),
        found.errors,
        found.unanswered,
        found.cpu_share,
        1000 * percentile(sorted(found.late), 0.99),
        1e6 * cpu / max(1, found.answered),
    )


def _round(turn: int, targets: Sequence[Target], offline: Offline) -> Round:
    """Measure everything once; who comes first changes from round to round."""
    turned = [*targets[turn % len(targets) :], *targets[: turn % len(targets)]]
    before = offline.measure()
    saturated = [target.saturate(texts) for texts in CONNECTIONS for target in turned]
    after = offline.measure()
    capacity = next(s.rate for s in saturated if (s.server, s.texts) == (INTERLINEA.name, 1))
    _say(turn, f"{capacity:,.0f} requests/s saturate {INTERLINEA.name}")
    cells = []
    for load in LOADS:
        seed = 100 * turn + round(100 * load)
        cells += [target.arrive(load * capacity, load, seed) for target in turned]
        _say(turn, f"{load:.0%} of that: done")
    return Round([before, after], saturated, cells)


def _installed(kinds: Sequence[Kind]) -> list[Kind]:
    """Return those whose libraries are there, and say which are passed over."""
    for kind in kinds:
        if missing := kind.missing():
            CONSOLE.print(f"{kind.name}: passed over, there is no {' and no '.join(missing)}")
    return [kind for kind in kinds if not kind.missing()]


def _say(turn: int, words: str) -> None:
    CONSOLE.print(f"round {turn + 1}: {words}", highlight=False)
