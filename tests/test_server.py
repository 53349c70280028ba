"""What SIGTERM and SIGINT do to a server; its clock is ours, and no signal is sent."""

import asyncio
import signal

import uvicorn
from fastapi import FastAPI

from service.drain import Drain
from service.server import Server


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def server(seconds: float) -> tuple[Server, Drain, Clock]:
    clock = Clock()
    drain = Drain(seconds, clock)
    return Server(uvicorn.Config(FastAPI()), drain), drain, clock


def ticks(one: Server) -> bool:
    return asyncio.run(one.on_tick(1))


def test_sigterm_drains_and_then_ends() -> None:
    one, drain, clock = server(4.0)
    assert not ticks(one)
    one.handle_exit(signal.SIGTERM, None)
    assert drain.begun()
    clock.now = 3.9
    assert not ticks(one)
    assert not one.should_exit
    clock.now = 4.0
    assert ticks(one)


def test_without_a_drain_sigterm_ends_at_once() -> None:
    one, drain, _ = server(0.0)
    one.handle_exit(signal.SIGTERM, None)
    assert one.should_exit
    assert drain.begun(), "it is not ready while it waits for what is in flight"


def test_a_second_sigterm_ends_at_once() -> None:
    one, _, _ = server(4.0)
    one.handle_exit(signal.SIGTERM, None)
    one.handle_exit(signal.SIGTERM, None)
    assert one.should_exit


def test_sigint_ends_at_once() -> None:
    one, drain, _ = server(4.0)
    one.handle_exit(signal.SIGINT, None)
    assert one.should_exit
    assert not drain.begun()
