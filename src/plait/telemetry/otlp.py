"""Sending spans to an OpenTelemetry collector: OTLP over HTTP, in batches, in a thread.

Imported when there is somebody to send to: that takes 0.2 s.

What cannot be sent is tried again for a while, then dropped; of spans that come faster than
they can be sent, those past the queue's end are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from threading import Thread
from typing import Final
from uuid import uuid4

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from plait import __version__
from plait.telemetry.spans import CLIENT, INTERNAL, SERVER, Span

_KINDS: Final = {
    CLIENT: SpanKind.CLIENT,
    INTERNAL: SpanKind.INTERNAL,
    SERVER: SpanKind.SERVER,
}
SCOPE: Final = InstrumentationScope("plait", __version__)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_CLOSE_S_MAX: Final = 3.0
_NS: Final = 1_000_000_000


class Sender:
    """Sends spans in the background.

    Args:
        endpoint: Where to: `http://collector:4318/v1/traces`.
        service: What this process is called there.
        exporter: Sends them instead, for tests.
    """

    def __init__(
        self,
        endpoint: str,
        service: str,
        headers: Mapping[str, str] | None = None,
        exporter: SpanExporter | None = None,
    ) -> None:
        if exporter is None:
            exporter = OTLPSpanExporter(endpoint, headers=dict(headers or {}))
        self._batches = BatchSpanProcessor(exporter)
        self._resource = resource_of(service)

    def draw(self, span: Span) -> None:
        """Take one span, and return at once."""
        trace_id = int(span.trace_id, 16)
        parent = None
        if span.parent_id is not None:
            parent = _context(trace_id, span.parent_id, is_remote=span.kind == SERVER)
        self._batches.on_end(
            ReadableSpan(
                span.name,
                context=_context(trace_id, span.span_id, is_remote=False),
                parent=parent,
                resource=self._resource,
                attributes=span.attributes,
                kind=_KINDS[span.kind],
                status=_status(span.error),
                start_time=int(span.began_s * _NS),
                end_time=int(span.ended_s * _NS),
                instrumentation_scope=SCOPE,
            )
        )

    async def close(self) -> None:
        """Send what is left, and end; a collector that does not answer keeps nobody."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            self._batches.shutdown()  # type: ignore[no-untyped-call]
            with suppress(RuntimeError):  # nobody waited that long
                loop.call_soon_threadsafe(ended.set)

        Thread(target=end, name="plait-spans", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S_MAX):
                await ended.wait()


@cache
def resource_of(service: str) -> Resource:
    """Return what this process is called, in traces and in metrics.

    Several of one name are told apart by an id: their numbers would be mixed otherwise.
    """
    named = {"service.name": service, "service.version": __version__}
    made = Resource.create(named)
    if "service.instance.id" in made.attributes:  # OTEL_RESOURCE_ATTRIBUTES says it
        return made
    return made.merge(Resource({"service.instance.id": str(uuid4())}))


def _context(trace_id: int, span_id: str, *, is_remote: bool) -> SpanContext:
    return SpanContext(trace_id, int(span_id, 16), is_remote, _SAMPLED)


def _status(error: str | None) -> Status:
    return Status(StatusCode.UNSET) if error is None else Status(StatusCode.ERROR, error)
