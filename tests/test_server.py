"""The process: it listens while it loads, and ends as real signals ask."""

import asyncio
import http.client
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pytest

from service.app import create_app
from service.bundle import Bundle
from service.catalog import Catalog
from service.device import PATIENCE
from service.errors import DamagedBundle
from service.life import Life
from service.server import Server
from service.settings import Settings
from tests.folders import in_graph, place, spoil, without_end
from tests.stand_ins import FakeCatalog

SENTENCE = "The small black cat sees the old bird. "
SECONDS = 300
"""After which a test has failed; far more than anything here takes."""


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    """Give uvicorn's loggers their levels back, which its configuration sets for good."""
    loggers = [logging.getLogger(f"uvicorn.{name}") for name in ("error", "access", "asgi")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


# ------------------------------------------------- in this process, with a stand-in for bundles


class Served:
    """A server in this process, and what its catalog does."""

    def __init__(self, drain_seconds: float = 0.0) -> None:
        self.catalog = FakeCatalog()
        self.ready, self.begun, self.held = asyncio.Event(), threading.Event(), threading.Event()
        self.held.set()
        self.fails: Exception | None = None
        settings = Settings(port=0, drain_seconds=drain_seconds, log_level="critical")
        self.app = create_app(settings, self._load, waits=False)
        self.server = Server(self.app, self.app.state.life, settings, self.ready.set)

    def _load(self, _: Settings) -> Catalog:
        self.begun.set()
        assert self.held.wait(SECONDS)
        if self.fails is not None:
            raise self.fails
        return cast(Catalog, self.catalog)

    async def get(self, path: str) -> tuple[int, Any]:
        """Ask over a connection of its own."""
        port = self.server.servers[0].sockets[0].getsockname()[1]
        return await asyncio.to_thread(fetch, port, path)

    async def reached(self, event: threading.Event) -> None:
        assert await asyncio.to_thread(event.wait, SECONDS)


def fetch(port: int, path: str) -> tuple[int, Any]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def serve(scenario: Callable[[Served], Coroutine[Any, Any, None]], drain: float = 0.0) -> Served:
    """Run a server and a scenario beside it, which has to end the server."""

    async def run() -> Served:
        served = Served(drain)
        serving = asyncio.create_task(served.server.serve())
        acting = asyncio.create_task(scenario(served))
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(serving, acting)
        return served

    return asyncio.run(run())


def end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_it_listens_while_it_loads() -> None:
    async def scenario(served: Served) -> None:
        served.held.clear()
        await served.reached(served.begun)
        assert await served.get("/health/live") == (200, {"status": "live"})
        assert (await served.get("/openapi.json"))[0] == 200
        for path in ("/health/ready", "/models"):
            status, answer = await served.get(path)
            assert (status, answer["error"]["code"]) == (503, "unavailable")
        served.held.set()
        await served.ready.wait()
        assert await served.get("/health/ready") == (200, {"status": "ready"})
        end()

    assert serve(scenario).server.failure is None


def test_a_bundle_that_cannot_be_loaded_ends_it() -> None:
    async def scenario(served: Served) -> None:
        served.fails = DamagedBundle("en-fr is damaged")

    served = serve(scenario)
    assert served.server.failure is served.fails


def test_newcomers_are_let_in_all_at_once() -> None:
    make = Served().server.config.get_loop_factory()
    assert make is not None
    with closing(make()) as loop:
        assert type(loop).__module__.startswith("asyncio"), "not uvloop, which lets in one a turn"


def test_handlers_of_signals_are_given_back() -> None:
    before = [signal.getsignal(one) for one in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)]

    async def scenario(served: Served) -> None:
        await served.ready.wait()
        end()

    serve(scenario)
    after = [signal.getsignal(one) for one in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)]
    assert after == before


def test_sighup_reloads_and_a_bad_bundle_does_no_harm() -> None:
    async def hang_up(served: Served) -> FakeCatalog:
        catalog = served.catalog
        catalog.reloading.clear()
        os.kill(os.getpid(), signal.SIGHUP)
        await served.reached(catalog.reloading)
        while served.server._tasks:
            await asyncio.wait(served.server._tasks)
        serving: FakeCatalog = served.app.state.life._generations.catalog
        return serving

    async def scenario(served: Served) -> None:
        await served.ready.wait()
        new = FakeCatalog()
        served.catalog.following = DamagedBundle("en-fr is damaged")
        assert await hang_up(served) is served.catalog
        served.catalog.following = new
        assert await hang_up(served) is new
        assert (await served.get("/models"))[0] == 200
        end()

    serve(scenario)


def test_it_drains_before_it_refuses() -> None:
    async def scenario(served: Served) -> None:
        await served.ready.wait()
        end()
        while not served.app.state.life.draining:
            await asyncio.sleep(0)
        status, answer = await served.get("/health/ready")
        assert (status, answer["error"]["code"]) == (503, "shutting_down")
        assert (await served.get("/health/live"))[0] == 200
        assert (await served.get("/models"))[0] == 200, "who has not noticed yet is served"
        served.server._refuse()  # as when the time to drain is over

    serve(scenario, drain=3600.0)


def test_while_the_last_finish_newcomers_are_told_to_go_elsewhere() -> None:
    async def scenario(served: Served) -> None:
        await served.ready.wait()
        life: Life = served.app.state.life
        last = life.lease()
        assert last.catalog() is not None
        end()
        while (answer := await served.get("/models"))[0] == 200:
            pass
        assert (answer[0], answer[1]["error"]["code"]) == (503, "shutting_down")
        assert (await served.get("/health/live"))[0] == 200
        last.release()

    serve(scenario)


def test_who_is_still_sending_is_told_to_go_elsewhere() -> None:
    async def scenario(served: Served) -> None:
        await served.ready.wait()
        port = served.server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /translate HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        while not served.app.state.life.arrivals._clocks:
            await asyncio.sleep(0)
        end()
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 503 ")
        assert {"retry-after: 1", "connection: close"} <= set(head.lower().split("\r\n"))
        error = json.loads(body)["error"]
        assert error["code"] == "shutting_down"
        assert f"x-request-id: {error['request_id']}" in head.lower()
        writer.close()

    serve(scenario)


# --------------------------------------------------- as a process of its own, with a toy bundle


class Process:
    """A server that was started as a user starts it."""

    def __init__(self, bundles: Path, settings: dict[str, str]) -> None:
        given = {"BUNDLES": str(bundles), "MODELS": "en-fr", "PORT": "0", "DEVICE": "cpu"}
        given |= {"WORKERS": "1", **settings}
        environment = {f"INTERLINEA_{name}": value for name, value in given.items()}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "service", "serve"],
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stderr is not None
        self.log: IO[str] = self.popen.stderr
        self.lines: list[str] = []

    def read_until(self, pattern: str) -> str:
        """Read the log up to a line that matches, and return what the group in it matched."""
        for line in self.log:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found.group(1) if found.groups() else found.group()
        raise AssertionError("".join(self.lines))

    def end(self) -> None:
        """Ask it to end, and see that it has heard."""
        self.popen.send_signal(signal.SIGTERM)
        self.read_until("SIGTERM: the server ends")

    def code(self) -> int:
        """Wait for its end, and return how it ended."""
        self.lines += self.log.readlines()
        return self.popen.wait(SECONDS)


class Stream:
    """A translation as events, of which the first has come."""

    def __init__(self, port: int, sentences: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        body = json.dumps({"text": SENTENCE * sentences})
        headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
        self._connection.request("POST", "/translate", body, headers)
        self._response = self._connection.getresponse()
        assert self._response.status == 200, self._response.read()
        assert self._response.readline() == b"event: token\n"

    def last(self) -> tuple[str, Any]:
        """Read to the end, and return the last event and its data."""
        with closing(self._connection), closing(self._response):
            *_, last = self._response.read().decode().strip().split("\n\n")
        event, data = last.split("\n")
        return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@pytest.fixture
def bundles(toy_bundle: Bundle, tmp_path: Path) -> Path:
    place(toy_bundle, tmp_path)  # in place of the embedded one
    return tmp_path


@contextmanager
def started(bundles: Path, grace: int, slots: int) -> Iterator[tuple[Process, int]]:
    """A process that is ready, and its port."""
    settings = {"GRACE_SECONDS": str(grace), "SLOTS": str(slots), "TIMEOUT_SECONDS": "3600"}
    process = Process(bundles, settings | {"MAX_BEAM": "1"})
    try:
        port = int(process.read_until(r"running on http://127\.0\.0\.1:(\d+)"))
        process.read_until("every bundle translates; ready")
        yield process, port
    finally:
        process.popen.kill()
        process.popen.wait()
        process.log.close()


def test_a_stream_in_flight_ends_completely(bundles: Path) -> None:
    with started(bundles, grace=3600, slots=8) as (process, port):
        stream = Stream(port, 100)
        process.end()
        event, answer = stream.last()
        assert event == "done"
        assert len(answer["translations"][0]["sentences"]) == 100
        assert process.code() == 0
    assert "Traceback" not in "".join(process.lines)


def test_a_stream_that_takes_too_long_ends_with_a_type(bundles: Path) -> None:
    with started(bundles, grace=0, slots=1) as (process, port):
        stream = Stream(port, 2000)
        process.end()
        event, answer = stream.last()
        assert (event, answer["error"]["code"]) == ("error", "shutting_down")
        assert process.code() == 0
    assert "Traceback" not in "".join(process.lines)


def test_a_second_signal_ends_it_at_once(bundles: Path) -> None:
    with started(bundles, grace=3600, slots=1) as (process, port):
        stream = Stream(port, 2000)
        process.end()
        process.popen.send_signal(signal.SIGTERM)
        assert process.code() == 128 + signal.SIGTERM
        with pytest.raises((OSError, http.client.HTTPException)):
            stream.last()


def test_a_graph_without_an_end_does_not_keep_it_from_ending(bundles: Path) -> None:
    spoil(bundles / "en-fr", "decoder.onnx", in_graph(without_end))
    process = Process(bundles, {})
    process.read_until("running on")
    begun = time.monotonic()
    process.end()
    assert process.code() == 0
    assert time.monotonic() - begun < PATIENCE.seconds / 2
    process.log.close()


def test_a_port_in_use_is_a_line_and_exit_3(bundles: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = Process(bundles, {"PORT": str(taken.getsockname()[1])})
        process.read_until(r"ERROR .* address already in use")
        assert process.code() == 3
    assert "Traceback" not in "".join(process.lines)
    process.log.close()


def test_a_bundle_that_cannot_be_served_is_one_line_and_exit_1(bundles: Path) -> None:
    (bundles / "en-fr" / "decoder.onnx").unlink()
    process = Process(bundles, {})
    assert process.code() == 1
    assert process.lines[-1] == "en-fr/decoder.onnx is missing\n"
    assert "Traceback" not in "".join(process.lines)
    process.log.close()
