"""A trace of every request, by OpenTelemetry: one span, and one for each phase that it was in.

The trace of the caller goes on where a request brings a `traceparent` (W3C Trace Context). Where
spans are sent, how many, and what the service is called, the standard OTEL_* variables say. No
span holds a text, a query or an address.

Imported only where tracing is switched on, for the SDK comes with the extra `tracing`.
"""

import threading
import time
from collections.abc import Iterator, Mapping

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.timing import Interval, calls, length, phases
from service.version import version
from service.visit import Visit

NAME = "interlinea"

CLOSING_SECONDS = 5.0
"""How long the server waits at its end for whoever takes its spans."""

CALLERS = TraceContextTextMapPropagator()
"""Reads `traceparent` and `tracestate` alone: what else callers tell may end up in a log."""

Facts = dict[str, str | int | float]


class Tracing:
    """Makes the spans of every request that it watches."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(NAME, version())
        self._open: dict[Visit, tuple[Span, int]] = {}

    @classmethod
    def exporting(cls) -> "Tracing":
        """Send spans over OTLP/HTTP, in batches, from a thread of their own."""
        provider = TracerProvider(resource=resource(), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def close(self) -> None:
        """Send what is left, or give up after `CLOSING_SECONDS`."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSING_SECONDS)

    def begin(self, visit: Visit, headers: Mapping[str, str]) -> None:
        """Open the span of a request, in the trace of its caller if it names one."""
        epoch = time.time_ns() - time.monotonic_ns()  # anew, for the clock may be set meanwhile
        span = self._tracer.start_span(
            visit.method,
            CALLERS.extract(headers),
            SpanKind.SERVER,
            {"http.request.method": visit.method, "interlinea.request_id": visit.request_id},
            start_time=_moment(epoch, visit.started),
        )
        self._open[visit] = span, epoch
        if span.get_span_context().is_valid:
            visit.trace_id = format_trace_id(span.get_span_context().trace_id)

    def end(self, visit: Visit) -> None:
        """Close the span of a request, with one inside for each phase that it was in."""
        span, epoch = self._open.pop(visit)
        if span.is_recording():
            span.update_name(f"{visit.method} {visit.route}")
            span.set_attributes(_facts(visit))
            if visit.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            inside = trace.set_span_in_context(span)
            for name, (start, end), facts in _phases(visit):
                start_time = _moment(epoch, start)
                phase = self._tracer.start_span(
                    name, inside, attributes=facts, start_time=start_time
                )
                phase.end(_moment(epoch, end))
        span.end(_moment(epoch, visit.ended))


def resource() -> Resource:
    """What the service is called: `interlinea`, unless OTEL_* variables say otherwise."""
    own = Resource({SERVICE_NAME: NAME, SERVICE_VERSION: version()})
    return Resource.create().merge(own).merge(OTELResourceDetector().detect())


def _moment(epoch: int, seconds: float) -> int:
    """Nanoseconds since 1970 of a time of `time.monotonic`, whose zero was `epoch`."""
    return epoch + round(seconds * 1e9)


def _facts(visit: Visit) -> Facts:
    facts: dict[str, str | int | float | None] = {
        "http.route": visit.route,
        "http.response.status_code": visit.status or None,
        "error.type": visit.code if visit.status >= 500 else None,
        "interlinea.error_code": visit.code,
        "interlinea.model": visit.model,
        "interlinea.sentences": len(visit.times) or None,
        "interlinea.source_tokens": visit.source_tokens or None,
        "interlinea.target_tokens": visit.target_tokens or None,
        "interlinea.decoder_steps": sum(one.steps for one in visit.times) or None,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _phases(visit: Visit) -> Iterator[tuple[str, Interval, Facts]]:
    """The phases of each call of an engine, from first begin to last end, and of the answer.

    A phase may pause in between: how long it really was is in `interlinea.seconds`.
    """
    for call in calls(visit.times):
        found = phases(call, visit.ended)
        for name in ("queue", "encode", "decode"):
            if intervals := getattr(found, name):
                facts: Facts = {"interlinea.seconds": length(intervals)}
                yield name, (intervals[0][0], intervals[-1][1]), facts
    if visit.answered and (written := visit.serialising(visit.answered)):
        yield "serialise", written, {"interlinea.seconds": length([written])}
