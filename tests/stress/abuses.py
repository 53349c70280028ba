"""Connections that are used as none should be: each tells what came back.

A server answers with a typed refusal, or hangs up without having begun an answer (`CLOSED`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.stress.wire import Line, post, request

CLOSED = "closed"
MALFORMED = "malformed_request"

LIVE = request("GET", "/health/live")
TRANSLATE = post("/translate", {"text": "Good morning."})
CHUNKED = (
    b"POST /translate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)

HELLO = bytes.fromhex("16030100ca010000c60303") + bytes(range(191))
"""How a client begins that speaks TLS."""


@dataclass(frozen=True, slots=True)
class Abuse:
    """What is done to a connection, and what may come of it, in any number and order."""

    name: str
    do: Callable[[Line], None]
    outcomes: frozenset[str]

    def happen(self, port: int) -> list[str]:
        """Do it; return the codes of what came back, and `CLOSED` where it ended without any.

        Every answer is checked for its shape.
        """
        with Line(port) as line:
            self.do(line)
            codes = [answer.code for answer in line.answers()]
        return codes or [CLOSED]


def _says(*parts: bytes) -> Callable[[Line], None]:
    """Send all of it, and no more."""

    def do(line: Line) -> None:
        for part in parts:
            line.send(part)

    return do


def _half(*parts: bytes) -> Callable[[Line], None]:
    """Send all of it, and close the sending half."""

    def do(line: Line) -> None:
        _says(*parts)(line)
        line.send_no_more()

    return do


def _byte_by_byte(line: Line) -> None:
    for byte in TRANSLATE[:-1]:
        line.send(bytes((byte,)))
    line.send(TRANSLATE[-1:])
    assert line.answer() is not None
    line.send(b"\0")


GARBAGE = b"\x00\xff\r\n\r\n\r\n"


def quick() -> Sequence[Abuse]:
    """Those that are over at once."""
    ended = (MALFORMED, CLOSED)
    served = ("ok", *ended)
    chunk = b"%x\r\n%b\r\n" % (17, b'{"text": "Hello."')
    found: dict[str, tuple[Callable[[Line], None], Sequence[str]]] = {
        "garbage": (_says(GARBAGE), ended),
        "TLS": (_says(HELLO), ended),
        "HTTP/2": (_says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ended),
        "HTTP/0.9": (_half(b"GET /\r\n"), ended),
        "another protocol": (_says(b"HELO example.org\r\nQUIT\r\n"), ended),
        "empty lines, then nothing": (_half(b"\r\n" * 50), ended),
        "byte by byte, then garbage": (_byte_by_byte, ended),
        "pipelined, then garbage": (_says(LIVE * 20 + GARBAGE), served),
        "pipelined work, then garbage": (_says(TRANSLATE * 5 + GARBAGE), served),
        "garbage behind a body": (_says(TRANSLATE + b'{"text": "more"}' * 9), served),
        "half closed in the address": (_half(b"GET /heal"), (MALFORMED,)),
        "half closed in the headers": (_half(LIVE[:-4]), (MALFORMED,)),
        "half closed in the body": (_half(TRANSLATE[:-5]), (MALFORMED,)),
        "half closed behind the body": (_half(TRANSLATE), ("ok", CLOSED)),
        "half closed behind many": (_half(TRANSLATE * 10), ("ok", CLOSED)),
        "reset at once": (Line.break_off, (CLOSED,)),
        "no such chunk": (_says(CHUNKED + b"zz\r\n"), ended),
        "a chunk of a negative size": (_says(CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n"), ended),
        "a chunk beyond all bounds": (_says(CHUNKED + b"f" * 40 + b"\r\n"), ended),
        "chunks that never end": (_half(CHUNKED + chunk * 3), (MALFORMED,)),
        "two lengths": (_says(_with(b"Content-Length: 3\r\nContent-Length: 5")), ended),
        "a length that is none": (_says(_with(b"Content-Length: -1")), ended),
        "a length and chunks": (_says(_with(b"Content-Length: 5\r\nTransfer-Encoding: chunked"))
                                , ended),
        "a header without a name": (_says(_with(b": nameless")), ended),
        "a header with NUL": (_says(_with(b"X-Nul: a\0b")), ended),
        "headers without an end": (_says(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000),
                                   ("headers_too_large", CLOSED)),
    }  # fmt: skip
    return [Abuse(name, do, frozenset(codes)) for name, (do, codes) in found.items()]


def slow() -> Sequence[Abuse]:
    """Those of clients that begin and never go on: the server's patience ends them."""
    return [
        Abuse("silence", _says(), frozenset({CLOSED})),
        Abuse("a slow address", _says(b"GET /hea"), frozenset({"header_timeout"})),
        Abuse("slow headers", _says(LIVE[:-2]), frozenset({"header_timeout"})),
        Abuse("a slow body", _says(TRANSLATE[:-5]), frozenset({"body_timeout"})),
        Abuse("slow chunks", _says(CHUNKED + b"1\r\n{\r\n"), frozenset({"body_timeout"})),
    ]


def _with(header: bytes) -> bytes:
    return b"POST /translate HTTP/1.1\r\nHost: a\r\n" + header + b"\r\n\r\n0\r\n\r\n"
