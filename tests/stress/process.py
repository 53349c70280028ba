"""The server as a process of its own, started as a user starts it, and watched from outside."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from tests.stress.wire import ask, request

SECONDS = 300.0
"""After which a wait has failed; far more than anything here takes."""

SERVE = ("service", "serve")
QUIET = {"interlinea_queue_sentences": 0, "interlinea_running_sentences": 0}
NOBODY = {"interlinea_http_requests_open": 1, "interlinea_http_streams_open": 0}
"""The one request that is open is the one that asks for this."""


class Process:
    """A server on a free port; as a context it is ready at the beginning, and gone at the end."""

    def __init__(self, settings: Mapping[str, str], module: tuple[str, ...] = SERVE) -> None:
        kept = {name: value for name, value in os.environ.items() if "INTERLINEA_" not in name}
        given = {"PORT": "0", "DEVICE": "cpu", "MODELS": "en-fr", **settings}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", *module],
            env={**kept, **{f"INTERLINEA_{name}": value for name, value in given.items()}},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._heard = threading.Condition()
        self._over = False
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        try:
            self.port = int(self.said(r"running on http://127\.0\.0\.1:(\d+)"))
            self.said("every bundle translates; ready")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.popen.poll() is None

    def said(self, pattern: str, after: int = 0) -> str:
        """Wait for a line of the log, past the first `after`, and return what it matched."""
        found: list[str] = []

        def is_there() -> bool:
            for line in self.lines[after:]:
                if match := re.search(pattern, line):
                    found.append(match.group(1) if match.groups() else match.group())
                    return True
            return self._over

        with self._heard:
            assert self._heard.wait_for(is_there, SECONDS), f"the log never said {pattern!r}"
        assert found, f"it ended before it said {pattern!r}:\n{''.join(self.lines[-30:])}"
        return found[0]

    def figures(self) -> dict[str, float]:
        """Every sample of `/metrics`; one with labels is called `name{value,value}`."""
        answer = ask(self.port, request("GET", "/metrics"))
        assert answer is not None
        assert answer.status == 200
        return {
            _called(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families(answer.body.decode())
            for sample in family.samples
        }

    def resident(self) -> float:
        """Bytes that it has in memory."""
        return self.figures()["process_resident_memory_bytes"]

    def settled(self) -> dict[str, float]:
        """Ask until nobody is served, nothing runs and nothing waits; return the figures then.

        Without a model's name, which stands in the labels.
        """
        wanted = {f"{name}{{en-fr}}": value for name, value in QUIET.items()} | NOBODY
        return self.asked_until(
            lambda found: all(found[name] == value for name, value in wanted.items())
        )

    def asked_until(self, right: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        """Ask for the figures until they are right; each question waits for its answer."""
        late = threading.Event()
        clock = threading.Timer(SECONDS, late.set)
        clock.start()
        try:
            while not right(found := self.figures()):
                assert not late.is_set(), f"it never came to rest: {found}"
            return found
        finally:
            clock.cancel()

    def _listen(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            with self._heard:
                self.lines.append(line)
                self._heard.notify_all()
        with self._heard:
            self._over = True
            self._heard.notify_all()

    def _end(self) -> None:
        self.popen.terminate()
        try:
            self.popen.wait(SECONDS)
        finally:
            self.popen.kill()
            self.popen.wait()
            self._listener.join(SECONDS)
            for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
                assert pipe is not None
                pipe.close()


def _called(name: str, labels: Mapping[str, str]) -> str:
    return f"{name}{{{','.join(labels.values())}}}" if labels else name
