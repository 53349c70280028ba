"""`interlinea serve` over a runtime that fails when a line on its standard input says so.

    step raise 2      the next two decoder steps raise; "encoder" and "step" are the places
    step nan 1        the next step gives numbers that are none
    step die 1        the next step takes its thread with it
    step memory 1     the next step finds no memory
    calm              nothing more is to go wrong
    hold              from now on nothing gets on, until
    release

Each line is answered by the same line on the standard output, once it holds.
"""

import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime

from service.cli import app

PLACES = {"step": "log_probabilities", "encoder": "lengths"}


class Faults:
    """What will happen next; belongs to all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: list[tuple[str, str]] = []
        self.flows = threading.Event()
        self.flows.set()

    def obey(self, line: str) -> None:
        """Do as a line says."""
        match line.split():
            case ["hold"]:
                self.flows.clear()
            case ["release"]:
                self.flows.set()
            case ["calm"]:
                with self._lock:
                    self._next.clear()
            case [place, what, times] if place in PLACES:
                with self._lock:
                    self._next += [(place, what)] * int(times)
            case _:
                raise ValueError(line)

    def take(self, place: str | None) -> str | None:
        """What is to go wrong here and now; it will not do so again."""
        with self._lock:
            for number, (where, what) in enumerate(self._next):
                if where == place:
                    del self._next[number]
                    return what
        return None


class Broken(Exception):
    """What a runtime raises is of a type of its own."""


def install(faults: Faults) -> None:
    """Let every session of the runtime fail as it is told."""
    genuine = onnxruntime.InferenceSession.run

    def run(
        session: Any, names: Sequence[str], feeds: Mapping[str, Any], options: Any = None
    ) -> Any:
        faults.flows.wait()
        what = faults.take(_place(names, feeds))
        if what == "raise":
            raise Broken("Non-zero status code returned while running node")
        if what == "memory":
            raise MemoryError
        if what == "die":
            raise SystemExit
        values = genuine(session, names, feeds, options)
        return (
            [np.full_like(one, np.nan) if one.dtype.kind == "f" else one for one in values]
            if what == "nan"
            else values
        )

    onnxruntime.InferenceSession.run = run


def _place(names: Sequence[str], feeds: Mapping[str, Any]) -> str | None:
    for place, name in PLACES.items():
        if name in names or name in feeds:
            return place if "count" not in feeds else None
    return None


def _listen(faults: Faults) -> None:
    for line in sys.stdin:
        faults.obey(line)
        print(line, end="", flush=True)


if __name__ == "__main__":
    installed = Faults()
    install(installed)
    threading.Thread(target=_listen, args=(installed,), daemon=True).start()
    app(["serve"])
