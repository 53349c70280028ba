"""Bodies that nobody should send, made by hand: each with the codes that may answer it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tests.stress.wire import request

BAD, ENCODING, WRONG, TOO_LARGE, MEDIA = (
    "malformed_body",
    "invalid_encoding",
    "invalid_request",
    "body_too_large",
    "unsupported_media_type",
)
MEGABYTE = 2**20
ROUTES = ("/translate", "/align")


@dataclass(frozen=True, slots=True)
class Body:
    """A request and the codes of the answers that are right."""

    name: str
    sent: bytes
    codes: frozenset[str]


def made_by_hand() -> Iterator[Body]:
    """All of them."""
    for route in ROUTES:
        for name, (content, *codes) in {**_deep(), **_spelled(), **_encoded(), **_large()}.items():
            sent = request("POST", route, content)
            yield Body(f"{route}: {name}", sent, frozenset(codes))
    yield from _fields()
    yield from _sent_otherwise()


Made = dict[str, tuple[bytes, *tuple[str, ...]]]


def _deep() -> Made:
    return {
        "arrays, ever deeper": (b"[" * 200_000, BAD),
        "arrays, closed again": (b"[" * 50_000 + b"]" * 50_000, BAD),
        "objects, ever deeper": (b'{"text":' * 50_000, BAD),
        "a field that is deep": (b'{"text":' + b"[" * 900 + b"]" * 900 + b"}", WRONG, BAD),
        "an object of many fields": (_json({f"f{i}": i for i in range(20_000)}), WRONG),
    }


def _spelled() -> Made:
    return {
        "no JSON": (b"text=hello", BAD),
        "cut short": (b'{"text": "Hel', BAD),
        "more than one value": (b'{"text": "Hello."} {"text": "Hello."}', BAD),
        "a comma too many": (b'{"text": "Hello.",}', BAD),
        "a name twice": (b'{"text": "a", "text": "b", "pairs": [], "pairs": []}', BAD),
        "no number": (b'{"text": "a", "timeout": NaN}', BAD),
        "an endless number": (b'{"text": "a", "timeout": -Infinity}', BAD),
        "a number of many digits": (b'{"text": "a", "beam_size": ' + b"9" * 100_000 + b"}", BAD),
        "a huge number": (b'{"text": "a", "max_length": ' + b"9" * 400 + b"}", WRONG),
        "beyond all floats": (b'{"text": "a", "timeout": 1e999}', WRONG),
        "below all floats": (b'{"text": "a", "timeout": -1e-999}', WRONG),
        "a bare NUL": (b'{"text": "a\x00b"}', BAD),
        "NULs alone": (b"\x00" * 1000, BAD, ENCODING),
        "null": (b"null", WRONG),
        "a string": (b'"text"', WRONG),
        "an empty object": (b"{}", WRONG),
        "an empty list": (b"[]", WRONG),
        "white space": (b" \r\n\t", BAD),
    }


def _encoded() -> Made:
    good = '{"text": "Déjà vu – 日本語."}'
    return {
        "half a character": (b'{"text": "\xe6\x97"}', ENCODING),
        "Latin-1": (good.encode("latin-1", "replace"), ENCODING),
        "UTF-16": (good.encode("utf-16"), ENCODING),
        "UTF-32": (good.encode("utf-32"), ENCODING),
        "too long a form": (b'{"text": "\xc0\xaf"}', ENCODING),
        "beyond Unicode": (b'{"text": "\xf5\x80\x80\x80"}', ENCODING),
        "a surrogate in UTF-8": (b'{"text": "\xed\xa0\x80"}', ENCODING),
        "a lone surrogate": (
            rb'{"text": "\ud800", "pairs": [{"source_text": "\udfff"}]}',
            ENCODING,
        ),
        "surrogates in disorder": (rb'{"text": "\udc00\ud800"}', ENCODING),
        "a name that is no text": (rb'{"\ud800": 1}', ENCODING),
    }


def _large() -> Made:
    text = b'{"text": "' + b"a" * (10 * MEGABYTE) + b'"}'
    return {
        "ten megabytes": (text, TOO_LARGE),
        "ten megabytes of nothing": (b" " * (10 * MEGABYTE), TOO_LARGE),
        "a little too large": (b" " * (MEGABYTE + 1), TOO_LARGE),
    }


def _fields() -> Iterator[Body]:
    texts: dict[str, tuple[object, *tuple[str, ...]]] = {
        "NUL": ("a\0b", "ok"),
        "spaces alone": (" " * 90_000, "ok"),
        "line breaks alone": ("\n" * 50_000, "ok"),
        "one endless word": ("a" * 100_000, "sentence_too_long"),
        "quotes that never end": ("a «" * 33_000, "sentence_too_long"),
        "characters on characters": ("a" + "\u0301" * 5_000, "sentence_too_long", "ok"),
        "from right to left": ("\u202e\u2067Hello\u2069 \u200b\u200d\ufeff.", "ok"),
        "all planes": ("".join(chr(c) for c in range(0x1F300, 0x1F5FF, 7)), "ok"),
        "private characters": ("\ue000\U0010fffd\ufffe", "ok"),
        "too many texts": (["a"] * 257, "too_many_texts"),
        "too many characters": ("word " * 20_001, "text_too_long"),
        "a sentence a line": ("a\n" * 50_000, "too_many_hypotheses"),
        "short sentences": ("Go. " * 25_000, "too_many_hypotheses"),
        "an empty list": ([], WRONG),
        "a list of lists": ([["a"]], WRONG),
        "empty texts": (["", "", ""], "ok"),
        "numbers": ([1, 2.5, None, True], WRONG),
    }
    for name, (value, *codes) in texts.items():
        sent = request("POST", "/translate", _json({"text": value}))
        yield Body(f"text: {name}", sent, frozenset(codes))
    words: dict[str, tuple[object, *tuple[str, ...]]] = {
        "empty words": ([""], "empty_word"),
        "words of white space": (["a", "\u00a0"], "empty_word"),
        "no words": ([], WRONG),
        "words with spaces": (["a b", "c\nd"], "ok"),
        "many words": (["word"] * 3000, "sentence_too_long"),
        "an object": ({}, WRONG),
    }
    for name, (value, *codes) in words.items():
        pair = {"source_text": value, "target_text": value}
        sent = request("POST", "/align", _json({"pairs": [pair]}))
        yield Body(f"words: {name}", sent, frozenset(codes))


def _sent_otherwise() -> Iterator[Body]:
    content = _json({"text": "Hello."})
    headers: dict[str, tuple[dict[str, str], str]] = {
        "as a form": ({"Content-Type": "application/x-www-form-urlencoded"}, MEDIA),
        "as no type": ({"Content-Type": ";;=/"}, MEDIA),
        "as no parser of mail likes": ({"Content-Type": "application/json; a*=1; a*0=2"}, MEDIA),
        "in Latin-1": ({"Content-Type": "application/json; charset=latin-1"}, MEDIA),
        "compressed": ({"Content-Encoding": "gzip"}, MEDIA),
        "compressed thrice": ({"Content-Encoding": "br, br, br"}, MEDIA),
        "large headers": ({"X-Long": "a" * 70_000}, "headers_too_large"),
        "a strange Accept": ({"Accept": 'text/;q=9, ,,;"', "Accept-Encoding": "*;q=x"}, "ok"),
        "a strange trace": ({"traceparent": "00-" + "g" * 400, "X-Request-ID": "x" * 4000}, "ok"),
    }
    for name, (more, code) in headers.items():
        yield Body(name, request("POST", "/translate", content, more), frozenset({code}))
    addresses = {
        "a query that is no text": ("GET", "/align?source_text=%ff%fe", ENCODING),
        "a query given twice": ("GET", "/align?source_text=a&source_text=b", WRONG),
        "a query with NUL": ("GET", "/align?source_text=a%00b", "ok"),
        "a path with dots": ("GET", "/docs/assets/..%2f..%2f..%2fetc/passwd", "not_found"),
        "a path with NUL": ("GET", "/docs/assets/%00", "not_found"),
        "another path": ("GET", "/%F0%9F%90%88/%ff", "not_found"),
        "a long query": ("GET", "/align?source_text=" + "a" * 70_000, "headers_too_large"),
        "another method": ("BREW", "/translate", "malformed_request"),
        "a method that is wrong here": ("DELETE", "/translate", "method_not_allowed"),
    }
    for name, (method, path, code) in addresses.items():
        yield Body(name, request(method, path), frozenset({code}))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
