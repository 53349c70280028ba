"""Log lines, as text or as JSON, that name the request and never tell what was in it.

    2026-11-21T20:31:04.123Z INFO interlinea.catalog: bundle en-fr is ready
    {"time": "2026-11-21T20:31:04.123Z", "level": "info", "logger": "interlinea.catalog", ...}

A line gets the id of the request that it was written for, and whatever `extra={"facts": {...}}`
adds. One line of text stays one line: control characters are spelled out, and a traceback is
indented. While a request is served, the messages of errors that are not ours are left out, since
they may quote its text.
"""

import json
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from service.errors import InterlineaError
from service.settings import Settings
from service.visit import CURRENT, Visit

ACCESS = "interlinea.access"

_UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line ends, and what turns the direction of a line around."""
_PLAIN = re.compile(r"[\w.,:/+@-]+")
_SERVER_MESSAGES = "uvicorn.asgi"
"""Its lines, at the level `trace`, hold query strings, and so texts."""


def configure(settings: Settings) -> None:
    """Let all loggers of the process write to the standard error stream as the settings say."""
    level = settings.log_level
    handler = logging.StreamHandler()
    shape = JsonLines if settings.log_format == "json" else TextLines
    handler.setFormatter(shape(settings.log_texts))
    if not settings.log_texts:
        handler.addFilter(lambda record: record.name != _SERVER_MESSAGES)
    numeric = logging.DEBUG if level == "trace" else logging.getLevelName(level.upper())
    logging.basicConfig(level=numeric, handlers=[handler])
    logging.getLogger(ACCESS).setLevel(min(numeric, logging.INFO))  # asked for by a setting


class TextLines(logging.Formatter):
    """A line of text for each record, and a traceback below it."""

    def __init__(self, texts: bool) -> None:
        super().__init__()
        self._texts = texts

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        told = "".join(f" {name}={_word(value)}" for name, value in _facts(record).items())
        head = f"{_time(record)} {record.levelname} {record.name}: "
        line = head + spelled(record.getMessage()) + told
        trace = _traceback(record, self._texts)
        return "\n    ".join([line, *map(spelled, trace.splitlines())])


class JsonLines(logging.Formatter):
    """A JSON object for each record, in one line of ASCII."""

    def __init__(self, texts: bool) -> None:
        super().__init__()
        self._texts = texts

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON."""
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_facts(record),
        }
        if trace := _traceback(record, self._texts):
            line["exception"] = trace
        return json.dumps(line, default=str).replace("\x7f", "\\u007f")


class AccessLog:
    """A line for each request, when it is over; with its texts only where `texts` says so."""

    def __init__(self, texts: bool) -> None:
        self._log = logging.getLogger(ACCESS)
        self._texts = texts

    def begin(self, visit: Visit, headers: Mapping[str, str]) -> None:
        """Nothing is told of a request before it is over."""

    def end(self, visit: Visit) -> None:
        """Write the line."""
        facts = {
            "method": visit.method,
            "route": visit.route,
            "status": visit.status,
            "duration_ms": round((visit.ended - visit.started) * 1000, 1),
            "model": visit.model,
            "sentences": len(visit.times) or None,
            "source_tokens": visit.source_tokens or None,
            "target_tokens": visit.target_tokens or None,
            "code": visit.code,
            "texts": (list(visit.texts) or None) if self._texts else None,
        }
        told = {name: fact for name, fact in facts.items() if fact is not None}
        self._log.info("request served", extra={"facts": told})


def spelled(text: str) -> str:
    """Return a text in which what would not be seen, or would break the line, is spelled out."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def _facts(record: logging.LogRecord) -> dict[str, object]:
    """Whose request a record is about, and what else it says by name."""
    visit = CURRENT.get()
    facts: dict[str, object] = {}
    if visit is not None:
        facts["request_id"] = visit.request_id
        if visit.trace_id is not None:
            facts["trace_id"] = visit.trace_id
    return facts | getattr(record, "facts", {})


def _word(value: object) -> str:
    """A value that cannot be taken for two: as JSON, or bare where it is plain."""
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return spelled(json.dumps(value, ensure_ascii=False, default=str))


def _time(record: logging.LogRecord) -> str:
    """RFC 3339, in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(record: logging.LogRecord, texts: bool) -> str:
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return ""
    if texts or CURRENT.get() is None:
        return "".join(traceback.format_exception(error))
    return "\n".join(_withheld(error))


def _withheld(error: BaseException) -> Iterator[str]:
    """A traceback, causes last, without the messages of errors that are not ours."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        kind = f"{type(cause).__module__}.{type(cause).__qualname__}"
        yield "".join(traceback.format_tb(cause.__traceback__)).rstrip()
        yield f"{kind}: {cause.message if isinstance(cause, InterlineaError) else '(withheld)'}"
        hidden = None if cause.__suppress_context__ else cause.__context__
        cause = cause.__cause__ or hidden
