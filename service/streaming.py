"""A translation as server-sent events, from the first token on.

Until the first event is there nothing is sent, so that a refusal is an answer like any
other; after that a failure is an `error` event. A client that leaves closes the stream, and
with it the work.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service import wire
from service.accounts import Charge
from service.errors import Cancelled, InterlineaError
from service.manifest import Manifest
from service.requests import unless_gone
from service.responses import failure, timed_json
from service.schemas import MatrixForm
from service.translation import Progress, SentenceDone, TokenChosen
from service.visit import CURRENT
from service.written import TURN, to_json

EVENTS = "text/event-stream"
_EVENTS = re.compile(rf"{EVENTS}(?!.*;\s*q=0(\.0*)?\s*(;|$))\s*(;.*)?")
"""An item of `Accept` that asks for events; `q=0` is how not to."""


log = logging.getLogger("interlinea.http")


def wants_events(request: Request) -> bool:
    """Whether the client asked for events rather than for one answer."""
    asked = request.headers.get("accept", "").lower().split(",")
    return any(_EVENTS.fullmatch(one.strip()) for one in asked)


async def paid(
    charge: Charge, progress: AsyncGenerator[Progress, None]
) -> AsyncGenerator[Progress, None]:
    """What `progress` tells; the charge is settled at its end, or when nobody wants the rest."""
    with charge:
        async with aclosing(progress):
            async for one in progress:
                yield one


async def streamed(
    request: Request,
    manifest: Manifest,
    progress: AsyncGenerator[Progress, None],
    form: MatrixForm,
    timed: bool,
) -> "EventStream":
    """Answer with what `progress` tells; raises what it raises before its first event.

    If the answer is `timed`, its last event says how long it took.
    """
    try:
        first = await unless_gone(request, _first(progress))
    except BaseException:
        await progress.aclose()
        raise
    write = _Writer(manifest, form, timed)
    return EventStream(_events(request, first, progress, write), progress)


class EventStream(StreamingResponse):
    """Server-sent events that end as soon as the client is gone."""

    def __init__(
        self, events: AsyncGenerator[bytes, None], progress: AsyncGenerator[Progress, None]
    ) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type=EVENTS, headers=headers)
        self._events = events
        self._progress = progress

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until they end or nobody reads them any more."""
        async with aclosing(self._progress), aclosing(self._events):  # which may never start
            try:
                await unless_gone(Request(scope, receive), self.stream_response(send))
            except Cancelled as gone:
                if (visit := CURRENT.get()) is not None:
                    visit.code = gone.code


async def _first(progress: AsyncGenerator[Progress, None]) -> Progress:
    return await anext(progress)


@dataclass(frozen=True, slots=True)
class _Writer:
    """What it takes to write a piece of progress as an event."""

    manifest: Manifest
    form: MatrixForm
    timed: bool

    async def event(self, progress: Progress) -> bytes:
        if isinstance(progress, TokenChosen):
            return _spell("token", to_json(wire.token_chosen(progress, self.form)))
        if isinstance(progress, SentenceDone):
            return _spell("sentence", to_json(wire.sentence_done(progress, self.form)))
        whole = await wire.translated(self.manifest, progress, self.form)
        return _spell("done", timed_json(whole, self.timed))


async def _events(
    request: Request,
    first: Progress,
    rest: AsyncGenerator[Progress, None],
    write: _Writer,
) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        count = 0
        try:
            yield await write.event(first)
            async for progress in rest:
                event = await write.event(progress)
                yield event
                count += len(event)
                if count >= TURN:  # of a backlog nothing has to be waited for
                    count = 0
                    await asyncio.sleep(0)
        except InterlineaError as error:
            yield _spell("error", to_json(failure(error, request.state.request_id)))
        except Exception:
            request_id = request.state.request_id
            log.exception("request %s failed", request_id)
            unknown = InterlineaError("something went wrong here; the log says what")
            yield _spell("error", to_json(failure(unknown, request_id)))


def _spell(name: str, written: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), written)
