"""The wire, byte by byte: what is sent is sent as it stands, and what comes back is checked.

Every answer that is not one of success must have the one shape of every failure, with a code that
is documented, the status of that code, and the request's name.
"""

import json
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from service import errors
from service.errors import InterlineaError

PATIENCE = 300.0
"""Seconds of silence after which a server counts as hung."""

SHED = ("queue_full", "too_many_connections", "shutting_down", "unavailable", "rate_limited")
"""Codes that must say when to try again; `deadline_exceeded` does too."""

STATUSES = {
    kind.code: kind.status
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, InterlineaError)
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """`ok`, or the code of a failure that is told as failures are; checks all of it."""
        assert self.headers["x-request-id"]
        if self.status < 300:
            return "ok"
        assert self.headers["content-type"] == "application/json", self.headers
        error = self.json["error"]
        assert error.keys() - {"detail"} == {"code", "message", "request_id"}, error
        code: str = error["code"]
        assert STATUSES[code] == self.status, (self.status, error)
        assert error["request_id"] == self.headers["x-request-id"]
        assert isinstance(error["message"], str)
        if code in SHED or code == "deadline_exceeded":
            assert int(self.headers["retry-after"]) >= 1
        return code


def request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """A request as it goes over the wire; a body comes with its length."""
    lines = {"Host": "127.0.0.1", **(headers or {})}
    if body:
        lines = {"Content-Type": "application/json", "Content-Length": str(len(body)), **lines}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def post(path: str, content: object, headers: Mapping[str, str] | None = None) -> bytes:
    """A POST of JSON."""
    return request("POST", path, json.dumps(content).encode(), headers)


class Line:
    """A connection of our own."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._left = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, content: bytes) -> None:
        """Send bytes; a server that has hung up meanwhile may still have answered."""
        try:
            self._socket.sendall(content)
        except (BrokenPipeError, ConnectionResetError):
            return

    def send_no_more(self) -> None:
        """Close the sending half."""
        self._socket.shutdown(socket.SHUT_WR)

    def break_off(self) -> None:
        """Reset the connection, as a client that crashes does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def answer(self) -> Answer | None:
        """The next answer; None where the server hung up instead, before it began one."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        status = int(first.split(" ")[1])
        if status < 200:  # "100 Continue" comes before an answer
            return self.answer()
        return Answer(status, headers, self._exactly(int(headers["content-length"])))

    def answers(self) -> Iterator[Answer]:
        """Every answer until the server hangs up."""
        while (answer := self.answer()) is not None:
            yield answer

    def some(self) -> bytes:
        """Whatever comes next; nothing where the server hung up."""
        if self._left:
            left, self._left = self._left, b""
            return left
        return self._received()

    def _received(self) -> bytes:
        if self._socket.fileno() < 0:
            return b""  # it was broken off here
        try:
            return self._socket.recv(65536)
        except ConnectionResetError:
            return b""

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._left:
            more = self._received()
            if not more:
                assert not self._left, f"an answer was cut short: {self._left[:200]!r}"
                return None
            self._left += more
        head, _, self._left = self._left.partition(mark)
        return head + mark

    def _exactly(self, count: int) -> bytes:
        while len(self._left) < count:
            more = self._received()
            assert more, "an answer was cut short"
            self._left += more
        taken, self._left = self._left[:count], self._left[count:]
        return taken


def ask(port: int, content: bytes) -> Answer | None:
    """The answer to a request on a connection of its own; None where the server hung up."""
    with Line(port) as line:
        line.send(content)
        return line.answer()
