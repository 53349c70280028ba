"""Offers to speak another protocol, which nobody here takes: such a request is read as any other.

A server may ignore `Upgrade` (RFC 9110, 7.8), and Java's client offers HTTP/2 with each request.
The parser does not ignore it: it reads no body, and takes what follows for the other protocol. So
the head is spelled anew without the offer, and what follows is read behind it.
"""

from typing import Protocol

from httptools import HttpParserUpgrade, HttpRequestParser

OFFER = b"upgrade"


class Listener(Protocol):
    """What is told of requests as they are parsed, and keeps the head of the last one."""

    url: bytes
    headers: list[tuple[bytes, bytes]]


class Parser:
    """A parser as `httptools` has them; a head that `offers` is told twice, at last without it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._parser = _parser(listener)

    @property
    def offers(self) -> bool:
        """Whether the head that is there offers another protocol, and will be told once more.

        What `CONNECT` asks for looks the same to the parser; that is a request without a body.
        """
        return self._parser.should_upgrade() and self._parser.get_method() != b"CONNECT"

    def feed_data(self, data: bytes) -> None:
        """Parse what came; raises `httptools.HttpParserError`."""
        rest = memoryview(data)
        while rest:
            try:
                self._parser.feed_data(rest)
                return
            except HttpParserUpgrade as stopped:
                rest = rest[stopped.args[0] :]
            if self.offers:
                head = self._without_offer()
                self._parser = _parser(self._listener)
                self._parser.feed_data(head)

    def should_upgrade(self) -> bool:
        """Never."""
        return False

    def should_keep_alive(self) -> bool:
        """Whether another request may follow the last one."""
        return self._parser.should_keep_alive()

    def get_http_version(self) -> str:
        """The version of the last request, such as 1.1."""
        return self._parser.get_http_version()

    def get_method(self) -> bytes:
        """The method of the last request."""
        return self._parser.get_method()

    def _without_offer(self) -> bytes:
        version = self.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.get_method(), self._listener.url, version)]
        lines += [b"%s: %s" % one for one in self._listener.headers if one[0].lower() != OFFER]
        return b"\r\n".join([*lines, b"", b""])


def _parser(listener: Listener) -> HttpRequestParser:
    """A parser that suffers bytes behind a request that asks to close; they are not served."""
    parser = HttpRequestParser(listener)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
