"""Offers of another protocol: not taken, and no reason to answer otherwise."""

import logging

import pytest

from service.settings import Settings
from service.upgrades import Parser
from tests.sockets import LANGUAGES, LIVE, POST, House, serve

OFFER = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
)
BODY = b'{"text": "Hi"}'
HEAD = POST + OFFER + b"Content-Length: 14\r\n\r\n"
CHUNKED = POST + OFFER + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD + BODY],
        [HEAD, BODY],
        [HEAD[:90], HEAD[90:] + BODY[:3], BODY[3:]],
        [CHUNKED + b"e\r\n" + BODY, b"\r\n0\r\n\r\n"],
    ],
)
def test_a_request_that_offers_another_protocol_is_served(
    parts: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        for part in parts:
            await client.send(part)
        status, _, answer = await client.answer()
        assert status == 200
        assert answer["translations"][0]["text"] == "Merci"
        assert await client.ask(LANGUAGES) == 200, "and so is the next"

    with caplog.at_level(logging.WARNING, "uvicorn.error"):
        serve(visit)
    assert not caplog.records


def test_many_of_them_are_served_in_their_order() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        socket = LIVE[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        await client.send((HEAD + BODY + socket) * 20 + LANGUAGES)
        for _ in range(20):
            assert "translations" in (await client.answer())[2]
            assert (await client.answer())[2] == {"status": "live"}
        assert (await client.answer())[0] == 200

    serve(visit)


def test_their_headers_have_a_size_like_all() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(LIVE[:-2] + OFFER + b"X-A: " + b"a" * 1000 + b"\r\n\r\n")
        assert await client.refused(431, "headers_too_large") == {"limit": 1000}

    serve(visit, Settings(max_header_bytes=1000))


def test_a_tunnel_is_not_dug_and_what_follows_is_read() -> None:
    async def visit(house: House) -> None:
        client = await house.connect()
        await client.send(b"CONNECT /languages HTTP/1.1\r\nHost: a\r\n\r\n" + LIVE)
        statuses = [(await client.answer())[0] for _ in range(2)]
        assert statuses == [405, 200]

    serve(visit)


class Heard:
    """What a parser told."""

    def __init__(self) -> None:
        self.url, self.body, self.ends = b"", b"", 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.parser = Parser(self)

    def on_message_begin(self) -> None:
        self.url, self.headers = b"", []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.ends += not self.parser.offers


def test_wherever_it_is_cut_a_request_is_the_same_without_the_offer() -> None:
    whole = HEAD + BODY
    for cut in range(len(whole)):
        heard = Heard()
        heard.parser.feed_data(whole[:cut])
        heard.parser.feed_data(whole[cut:])
        assert (heard.url, heard.body, heard.ends) == (b"/translate", BODY, 1)
        assert b"Upgrade" not in dict(heard.headers)
        assert dict(heard.headers)[b"Content-Length"] == b"14"
        assert heard.parser.get_method() == b"POST"
        assert heard.parser.get_http_version() == "1.1"
        assert heard.parser.should_keep_alive()
        assert not heard.parser.should_upgrade()
