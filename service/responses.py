"""Answers and refusals as HTTP responses; the one place where an error meets its status."""

import asyncio
import logging
import time
from collections.abc import Mapping

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import (
    BodyTimeout,
    BodyTooLarge,
    BundleError,
    InterlineaError,
    RequestError,
    ShuttingDown,
    TooManyConnections,
    Unauthorized,
    UnknownRoute,
    WrongMethod,
)
from service.schemas import invalid_request
from service.visit import CURRENT, Timing
from service.wire import Wire, timing
from service.written import to_json

log = logging.getLogger("interlinea.http")


def answer(content: object, status: int = 200) -> Response:
    """The same as a response."""
    return Response(to_json(content), status, media_type="application/json")


def timed_answer(content: Wire, timed: bool) -> Response:
    """An answer whose times are in its `Server-Timing`, and in itself where `timed` asks so.

    https://www.w3.org/TR/server-timing/: durations in milliseconds.
    """
    response = Response(timed_json(content, timed), media_type="application/json")
    if (visit := CURRENT.get()) is not None:
        response.headers["Server-Timing"] = server_timing(visit.timing())
    return response


def timed_json(content: Wire, timed: bool) -> bytes:
    """An answer as JSON, with its times where `timed` asks so; with it the visit is answered."""
    visit = CURRENT.get()
    if timed and visit is not None:
        content = {**content, "timing": timing(visit.timing())}
    written = to_json(content)
    if visit is not None:
        visit.answered = time.monotonic()
    return written


def server_timing(spent: Timing) -> str:
    """The value of the header."""
    phases = ("queue", "encode", "decode", "serialise", "total")
    return ", ".join(f"{name};dur={getattr(spent, name) * 1000:.2f}" for name in phases)


def failure(error: InterlineaError, request_id: str) -> dict[str, object]:
    """The one shape of every failure; its code is noted for those who watch the request."""
    if (visit := CURRENT.get()) is not None:
        visit.code = error.code
    content: dict[str, object] = {
        "code": error.code,
        "message": error.message,
        "request_id": request_id,
    }
    if error.detail is not None:
        content["detail"] = error.detail
    return {"error": content}


def refusal(error: InterlineaError, request_id: str) -> Response:
    """A failure as the whole answer."""
    response = answer(failure(error, request_id), error.status)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = error.challenge
    if isinstance(error, BodyTimeout | BodyTooLarge | ShuttingDown | TooManyConnections):
        response.headers["Connection"] = "close"  # more of the body may follow
    return response


def path_of(scope: Scope) -> str:
    """The path behind whatever prefix the server is mounted under."""
    path: str = scope.get("path", "")
    return path.removeprefix(scope.get("root_path", ""))


def add_refusals(app: FastAPI) -> None:
    """Let `app` answer every exception with a refusal."""
    app.add_exception_handler(InterlineaError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_parameters)
    app.add_exception_handler(HTTPException, _refuse_http)


class LastResort:
    """Middleware that answers what no handler foresaw, and shows nothing of it but in the log.

    A request is cancelled only by a server that ends, and can wait no longer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except asyncio.CancelledError:
            if started:
                raise
            ending = ShuttingDown("the server is shutting down")
            await refusal(ending, _request_id(Request(scope)))(scope, receive, send)
        except Exception as error:
            if started:
                raise
            request_id = _request_id(Request(scope))
            log.error("request %s failed", request_id, exc_info=error)
            unknown = InterlineaError("something went wrong here; the log says what")
            await refusal(unknown, request_id)(scope, receive, send)


def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, InterlineaError)
    request_id = _request_id(request)
    if error.status == 500:
        where = None if isinstance(error, BundleError) else error  # a folder is at fault, no line
        log.error("request %s failed: %s", request_id, error.message, exc_info=where)
    return refusal(error, request_id)


def _refuse_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _refuse(request, invalid_request(error.errors(), ("query",)))


def _refuse_http(request: Request, error: Exception) -> Response:
    """What the framework itself refuses."""
    assert isinstance(error, HTTPException)
    headers: Mapping[str, str] = error.headers or {}
    found: InterlineaError
    if error.status_code == 404:
        found = UnknownRoute("there is no such path; see /docs")
    elif error.status_code == 405:
        allowed = _methods(request)
        found = WrongMethod(
            f"{request.method} is not for this path", {"allowed": allowed} if allowed else None
        )
        headers = {"Allow": ", ".join(allowed)} if allowed else headers
    else:
        found = RequestError(error.detail)
        found.status = error.status_code
    response = _refuse(request, found)
    response.headers.update(headers)
    return response


def _methods(request: Request) -> list[str]:
    """Every method that some route has for this path."""
    methods: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)


def _request_id(request: Request) -> str:
    request_id: str = request.state.request_id
    return request_id
