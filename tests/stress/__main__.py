"""The long forms: `python -m tests.stress fuzz disconnects overload faults openapi soak`.

Each starts a server of its own with the shipped bundle, prints what it found, and fails where
something did not hold. Without a name all of them run, which takes hours on two cores.
"""

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.latency import percentile
from benchmarks.machine import describe
from tests.stress import disconnects, faults, fuzz, openapi, overload, soak
from tests.stress.process import Process

MIB = 2**20
MOST_GROWTH = 0.05
ROUND = 500
"""Bodies of hypothesis after which everything that is made by hand is sent again."""

PATIENCE = 5.0
"""Seconds that requests of the first overload give the server."""

REFUSAL, RECOVERY = 2.0, 2.0
"""Seconds within which 99 % of the refusals come, and a lone request once all is over."""


def run_fuzz(asked: argparse.Namespace) -> None:
    """Bodies and connections that should not be."""
    with Process(fuzz.SETTINGS) as process:
        found = fuzz.fuzz(process, max(1, asked.bodies // ROUND), min(asked.bodies, ROUND))
    say(f"{found.total} bodies and connections", dict(found.answers))
    show_memory(found.memory)


def run_disconnects(asked: argparse.Namespace) -> None:
    """Clients that leave."""
    with Process(disconnects.SETTINGS) as process:
        left = disconnects.leave(process, asked.clients)
    say(f"{left.clients} clients left, {left.begun} of them after tokens had come")
    say(f"{left.cancelled} requests were cancelled; the others never came to be, or were done")
    say("steps of a full batch, before and after", left.steps)
    say("MiB before and after", [round(one / MIB, 1) for one in left.memory])
    assert left.steps[0] == left.steps[1]
    assert left.cancelled >= left.begun / 2


def run_overload(asked: argparse.Namespace) -> None:
    """Five times what the server can do, with and without a deadline of their own."""
    with Process({}) as process:
        capacity = overload.capacity(process, 10.0)
        say(f"capacity: {capacity:.1f} requests of a sentence a second, 32 at once")
        for timeout in (PATIENCE, None):
            found = overload.offer(process, 5 * capacity, asked.seconds / 2, timeout)
            say(f"{found.total} requests, {found.rate:.0f} a second; timeout: {timeout}")
            for code, seconds in found.seconds.items():
                say(f"  {code}: {len(seconds)}", spread(seconds))
            say(f"  not sent, since {overload.MOST_CONNECTIONS} were under way: {found.unsent}")
            say("  behind the schedule", spread(found.late))
            say(f"  most sentences in hand: {max(found.pending):.0f}")
            say(f"  a lone request afterwards: {found.recovered:.2f} s")
            assert max(found.pending) <= 1024
            assert found.recovered <= RECOVERY
            for code, seconds in found.seconds.items():
                bound = (timeout or math.inf) if code == "ok" else REFUSAL
                assert percentile(sorted(seconds), 0.99) <= bound, code


def run_faults(asked: argparse.Namespace) -> None:
    """Threads that die while sentences are on board."""
    with Process(disconnects.SETTINGS, faults.FAULTY) as process:
        answers = faults.deaths(process, asked.deaths)
    say(f"{asked.deaths} threads died", dict(answers))


def run_openapi(asked: argparse.Namespace) -> None:
    """Every route against the document, of a server that is open and of one that asks for keys."""
    with Process({}) as process:
        ask_every_route(process, asked.examples, {})
    with TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.db"
        given = openapi.callers(keys)
        with Process({"KEYS": str(keys), "HOSTS": "127.0.0.1"}) as process:
            for who, headers in given.items():
                say(f"{who}:")
                ask_every_route(process, asked.examples // len(given), headers)


def ask_every_route(process: Process, examples: int, headers: Mapping[str, str]) -> None:
    """Ask with what fits the document and what does not, and print what the answers were."""
    for operation in openapi.operations(process.port):
        for mode in openapi.modes(operation):
            found = openapi.check(operation, mode, examples, headers, turn=1)
            say(f"{operation.label}, {mode.value}", dict(found))


def run_soak(asked: argparse.Namespace) -> None:
    """Ordinary traffic."""
    with Process({}) as process:
        found = soak.soak(process, asked.sentences)
    say(f"{found.sentences} sentences", dict(found.requests))
    show_memory(found.memory)


RUNS: Mapping[str, Callable[[argparse.Namespace], None]] = {
    "openapi": run_openapi,
    "fuzz": run_fuzz,
    "overload": run_overload,
    "disconnects": run_disconnects,
    "faults": run_faults,
    "soak": run_soak,
}


def show_memory(samples: Sequence[float]) -> None:
    """Print what memory did, and fail if it grew."""
    grown = fuzz.grown(samples)
    say(
        "MiB along the way", [round(one / MIB, 1) for one in samples[:: max(1, len(samples) // 10)]]
    )
    say(f"from the middle fifth to the last: {grown:+.1%}")
    assert grown < MOST_GROWTH


def spread(seconds: Sequence[float]) -> str:
    """The middle, the slow end and the slowest, in seconds."""
    ordered = sorted(seconds)
    middle, slow = statistics.median(ordered), percentile(ordered, 0.99)
    return f"median {middle:.2f} s, 99 % {slow:.2f} s, most {ordered[-1]:.2f} s"


def say(what: str, more: object = "") -> None:
    """Print a line at once."""
    print(f"{what} {more}".rstrip(), flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("what", nargs="*", metavar="|".join(RUNS), help="what to do; all of it")
    parser.add_argument("--bodies", type=int, default=30_000, help="of hypothesis, in fuzz")
    parser.add_argument("--clients", type=int, default=10_000, help="that leave")
    parser.add_argument("--seconds", type=float, default=240.0, help="of overload")
    parser.add_argument("--deaths", type=int, default=200, help="of threads, in faults")
    parser.add_argument("--examples", type=int, default=300, help="of each kind, in openapi")
    parser.add_argument("--sentences", type=int, default=100_000, help="of soak")
    asked = parser.parse_intermixed_args()
    if wrong := set(asked.what) - RUNS.keys():
        parser.error(f"there is no {', '.join(sorted(wrong))}")
    return asked


def main() -> None:
    """Do what was asked for, one after another."""
    asked = arguments()
    say("machine", {name: value for name, value in describe().items() if name != "simd"})
    for name in asked.what or RUNS:
        say(f"== {name}")
        begun = time.monotonic()
        RUNS[name](asked)
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        say(f"{name} held; {time.monotonic() - begun:.0f} s; load averages {load}")


if __name__ == "__main__":
    main()
