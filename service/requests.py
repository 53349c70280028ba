"""What a client sends, read with care, and whether the client is still there.

Bodies are read by hand, because here every way in which one can be wrong has its own answer.
"""

import asyncio
import json
import time
from collections.abc import Coroutine
from email.message import Message
from functools import lru_cache
from typing import NoReturn, TypeVar
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from service.errors import (
    BodyTimeout,
    BodyTooLarge,
    Cancelled,
    InvalidEncoding,
    MalformedBody,
    RequestError,
    Unavailable,
    UnsupportedMediaType,
)
from service.visit import CURRENT

Result = TypeVar("Result")

MOST_FIELDS = 64
"""No object that is asked for has as many fields; naming each that is unknown would take long."""


async def read_json(request: Request, limit: int, seconds: float) -> object:
    """The body's JSON value; `limit` is in bytes, and kept whatever the headers say.

    Raises `UnsupportedMediaType`, `BodyTooLarge`, `InvalidEncoding`, `MalformedBody`,
    `BodyTimeout` where it is not there after `seconds`, or `Cancelled` where the client left
    before the end.
    """
    _check_media_type(request)
    begun = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            body = await _read_body(request, limit)
    except TimeoutError:
        raise BodyTimeout(
            f"the body did not come within {seconds:g} seconds", {"seconds": seconds}
        ) from None
    if (visit := CURRENT.get()) is not None:
        visit.reading = time.monotonic() - begun
    return parse_json(body)


def parse_json(body: bytes) -> object:
    """The value of a JSON text in UTF-8, as RFC 8259 has it; names in an object must be unique.

    Raises `InvalidEncoding` for bad UTF-8 and lone surrogates, else `MalformedBody`; and
    `RequestError` for an object with absurdly many fields.
    """
    try:
        text = body.decode("utf-8-sig")
        value: object = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise InvalidEncoding(
            f"the body is not UTF-8: byte {error.start} is wrong", {"byte": error.start}
        ) from None
    except UnicodeEncodeError:
        raise InvalidEncoding("the body holds a lone surrogate") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(
            f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            {"line": error.lineno, "column": error.colno},
        ) from None
    except RecursionError:
        raise MalformedBody("the body is nested too deeply") from None
    except ValueError:
        raise MalformedBody("the body holds a number with too many digits") from None
    return value


def check_query(request: Request) -> None:
    """Refuse a query string that does not spell UTF-8, or that gives a parameter twice.

    Raises `InvalidEncoding` or `RequestError`.
    """
    query: bytes = request.scope.get("query_string", b"")
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        raise InvalidEncoding("the query string is not UTF-8") from None
    if len(request.query_params.multi_items()) > len(request.query_params):
        raise RequestError("the query string gives a parameter twice")


async def unless_gone(request: Request, work: Coroutine[object, object, Result]) -> Result:
    """The result of `work`, which is cancelled at once when the client goes.

    The body must have been read. Raises `Cancelled` where nobody waits for the result any more.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_until_gone(request.receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Cancelled("the client closed the connection")
        if task.cancelled():
            raise Unavailable("the work was dropped; it can be tried again")
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


def _check_media_type(request: Request) -> None:
    headers = request.headers
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("send the body without a Content-Encoding")
    _check_type(headers.get("content-type") or "application/json")


@lru_cache(maxsize=64)
def _check_type(content_type: str) -> None:
    message = Message()
    message["content-type"] = content_type
    said = 'send JSON in UTF-8, with "Content-Type: application/json"'
    try:
        media_type, charset = message.get_content_type(), message.get_content_charset("utf-8")
    except Exception as error:  # it is a parser for mail, and trips over some of what comes
        raise UnsupportedMediaType(said) from error
    if media_type != "application/json" or charset not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(said)


async def _until_gone(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read_body(request: Request, limit: int) -> bytes:
    """Read it all; of a body that says it is too large nothing, so that it need not be sent."""
    _check_size(int(request.headers.get("content-length", 0)), limit)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            _check_size(len(body), limit)
    except ClientDisconnect:
        raise Cancelled("the client closed the connection") from None
    return bytes(body)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise BodyTooLarge(f"the body has more than {limit} bytes", {"limit": limit})


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedBody(f"the body is not JSON: {name} is not a JSON number")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) > MOST_FIELDS:
        raise RequestError(f"the body holds an object with more than {MOST_FIELDS} fields")
    found = dict(pairs)
    if len(found) < len(pairs):
        raise MalformedBody("the body names a field twice in one object")
    return found
