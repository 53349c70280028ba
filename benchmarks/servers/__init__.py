"""Every server that traffic is sent to: how it is started, asked and read.

Each runs in a process of its own on a port that the system chooses; it says which on its
standard error, as uvicorn does: "running on http://127.0.0.1:12345", once it is ready or before.
"""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from benchmarks.client import post
from benchmarks.ours import NAME

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 15

_LISTENS = re.compile(r"running on http://127\.0\.0\.1:(\d+)", re.IGNORECASE)

_SETTINGS = {
    "INTERLINEA_HOST": "127.0.0.1",
    "INTERLINEA_PORT": "0",
    "INTERLINEA_MODELS": NAME,
    "INTERLINEA_LOG_LEVEL": "info",  # its default; a quieter server would not tell its port
}


class NotStarted(Exception):
    """A server ended before it was ready; its last words are the message."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A server to compare: what it is, how it is started, how it is asked.

    `ask` makes a request of some texts, `expects` stands in every answer, and `connections`
    is the most that a client opens. `needs` are libraries that the service does not bring.
    `ready` is what the log says of one that listens before it is ready.
    """

    name: str
    about: str
    module: Sequence[str]
    ask: Callable[[Sequence[str]], bytes]
    expects: bytes
    connections: int = 256
    needs: Sequence[str] = ()
    ready: str = ""

    def missing(self) -> list[str]:
        """Return which of the libraries are not installed."""
        return [library for library in self.needs if find_spec(library) is None]


class Server:
    """A running server; a context that ends with its process."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._process = subprocess.Popen(
            [sys.executable, "-m", *kind.module],
            cwd=ROOT,
            env={**os.environ, **_SETTINGS},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # where uvicorn writes its access log
            stderr=subprocess.PIPE,
            text=True,
        )
        self._said: list[str] = []

    def port(self) -> int:
        """Wait until the server is ready and return its port; raises `NotStarted`."""
        assert self._process.stderr is not None
        port = 0
        for line in self._process.stderr:
            self._said.append(line)
            if listens := _LISTENS.search(line):
                port = int(listens[1])
            if port and self.kind.ready in line:
                threading.Thread(target=self._listen, daemon=True).start()
                return port
        raise NotStarted(f"{self.kind.name}: {''.join(self._said[-20:]) or 'no word'}")

    def cpu(self) -> tuple[float, float]:
        """Seconds of processor time of the server, and of its main thread; 0 where nobody says."""
        process = self._process.pid
        return _seconds(f"/proc/{process}/stat"), _seconds(f"/proc/{process}/task/{process}/stat")

    def _listen(self) -> None:
        """Read on, lest the server wait for a reader."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line)
            del self._said[:-100]

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _native(texts: Sequence[str]) -> bytes:
    """Interlinea's own request, which answers with the cross-attention unless told otherwise."""
    text = texts[0] if len(texts) == 1 else list(texts)
    return post("/translate", {"text": text, "source": "en", "target": "fr"})


def _libre(texts: Sequence[str]) -> bytes:
    """LibreTranslate's request."""
    q = texts[0] if len(texts) == 1 else list(texts)
    return post("/translate", {"q": q, "source": "en", "target": "fr"})


def _uvicorn(factory: str) -> tuple[str, ...]:
    return ("uvicorn", "--factory", f"benchmarks.servers.{factory}", "--port", "0")


INTERLINEA = Kind(
    "interlinea",
    "Interlinea as it is served, settings as they come: continuous batching",
    ("service", "serve"),
    _native,
    b'"attention":[[',
    ready="every bundle translates",
)
DYNAMIC = Kind(
    "batches of 8",
    "the same service and model; a batch closes at 8 sentences or 10 ms and is decoded to its end",
    _uvicorn("dynamic:batched"),
    _native,
    b'"attention":[[',
)
SINGLE = Kind(
    "one at a time",
    "the same service and model; each thread decodes one sentence at a time",
    _uvicorn("dynamic:single"),
    _native,
    b'"attention":[[',
)
CTRANSLATE = Kind(
    "CTranslate2",
    "CTranslate2 int8, greedy, behind FastAPI; each of two threads takes all that waits, up to 32",
    _uvicorn("ctranslate:create_app"),
    _native,
    b'"translations":[',
    needs=("ctranslate2",),
)
LIBRE = Kind(
    "LibreTranslate's way",
    "Flask on waitress, 4 threads; each text alone through CTranslate2 int8, beam 4",
    ("benchmarks.servers.libretranslate",),
    _libre,
    b'"translatedText":',
    connections=64,  # waitress serves 100 and leaves others waiting unanswered
    needs=("ctranslate2", "flask", "waitress"),
)

OURS = (INTERLINEA, DYNAMIC, SINGLE)
PEERS = (CTRANSLATE, LIBRE)


def _seconds(stat: str) -> float:
    """Return the processor time that a process or a thread has used."""
    try:
        line = Path(stat).read_text(encoding="ascii")
    except OSError:
        return 0.0
    fields = line.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
