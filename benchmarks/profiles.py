"""Where the worker threads' time goes: own seconds of every public function of the service.

For the length of a `with` block the functions are replaced by timed ones, which costs about
a microsecond a call. What is called within another one counts for itself alone; private
functions count for the public one that called them, and the engine's own loop is what is
left of the threads' time.
"""

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ContextDecorator, ExitStack, contextmanager
from types import FunctionType, ModuleType, TracebackType
from typing import Any
from unittest import mock

LOOP = "service.engine"
"""The room whose functions are not timed: what is left is theirs."""

IDLE = "waiting for work"


class Clock(threading.local):
    """Open calls of a thread as (start, seconds in timed calls), and own seconds by name."""

    def __init__(self, threads: list[defaultdict[str, float]]) -> None:
        self.open: list[tuple[float, list[float]]] = []
        self.seconds: defaultdict[str, float] = defaultdict(float)
        if threading.current_thread() is not threading.main_thread():
            threads.append(self.seconds)


class Timed(ContextDecorator):
    """Adds the own time of a call to the clock of its thread."""

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock, self._name = clock, name

    def __enter__(self) -> None:
        self._clock.open.append((time.perf_counter(), []))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        clock = self._clock
        start, inner = clock.open.pop()
        whole = time.perf_counter() - start
        clock.seconds[self._name] += whole - sum(inner)
        if clock.open:
            clock.open[-1][1].append(whole)


class Profile:
    """Seconds of all threads but the main one, by `room.function`."""

    def __init__(self) -> None:
        self._threads: list[defaultdict[str, float]] = []
        self.clock = Clock(self._threads)

    def clear(self) -> None:
        """Forget what was seen so far; only while the threads are idle."""
        for seconds in self._threads:
            seconds.clear()

    def seconds(self) -> dict[str, float]:
        """Return own seconds by name, most first; only while the threads are idle."""
        return _added(pair for seconds in self._threads for pair in seconds.items())


@contextmanager
def profiled() -> Iterator[Profile]:
    """Time the public functions of the service that is loaded, within the block."""
    profile = Profile()
    modules = [module for name, module in sys.modules.items() if name.startswith("service.")]
    with ExitStack() as stack:
        for module in modules:
            if module.__name__ != LOOP:
                _time_module(stack, profile.clock, module, modules)
        wait = Timed(profile.clock, IDLE)(threading.Condition.wait)
        stack.enter_context(mock.patch.object(threading.Condition, "wait", wait))
        yield profile


def rooms(seconds: Mapping[str, float]) -> dict[str, float]:
    """Add up what `room.function` took by room."""
    return _added((name.partition(".")[0], own) for name, own in seconds.items())


def _added(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Add up by name, most first."""
    total: defaultdict[str, float] = defaultdict(float)
    for name, seconds in pairs:
        total[name] += seconds
    return dict(sorted(total.items(), key=lambda pair: -pair[1]))


def _time_module(
    stack: ExitStack, clock: Clock, module: ModuleType, modules: list[ModuleType]
) -> None:
    room = module.__name__.removeprefix("service.")
    for name, value in _public(module, module):
        if isinstance(value, FunctionType):
            timed = Timed(clock, f"{room}.{name}")(value)
            for user in modules:  # also where it was imported by name
                if vars(user).get(name) is value:
                    stack.enter_context(mock.patch.object(user, name, timed))
        elif isinstance(value, type):
            for method, inner in _public(value, module):
                _time_method(stack, clock, value, method, inner, f"{room}.{name}.{method}")


def _time_method(
    stack: ExitStack, clock: Clock, owner: type, method: str, value: Any, name: str
) -> None:
    timed = Timed(clock, name)
    if isinstance(value, FunctionType):
        stack.enter_context(mock.patch.object(owner, method, timed(value)))
    elif isinstance(value, classmethod | staticmethod):
        made = type(value)(timed(value.__func__))
        stack.enter_context(mock.patch.object(owner, method, made))


def _public(owner: ModuleType | type, module: ModuleType) -> list[tuple[str, Any]]:
    """Return what is defined here under a public name."""
    return [
        (name, value)
        for name, value in vars(owner).items()
        if not name.startswith("_")
        and getattr(getattr(value, "__func__", value), "__module__", None) == module.__name__
    ]
