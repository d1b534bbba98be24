"""Spans of calls between services, one on each side:

    request ─ call (client) ─ call (server) ─ execution ─ step ─ attempt

Rule 1. Who began the trace decides whether it is drawn, as for every other span.
Rule 2. What a call does is under the call: the other side gets the client's span as its
        parent, and the servicer that of the server.
Rule 3. A call that is sent again is another call, with a span of its own.

Not here: how a trace stands in the metadata (plait.services.wire), who passes it on of a
request of the API (plait.ports.observer, `current_trace`).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final

import grpc

from plait.model.errors import PlaitError
from plait.ports.status import status_of
from plait.services.wire import Asked
from plait.telemetry.spans import CLIENT, SERVER, Draw, Span, sampled

_SPAN_BYTES: Final = 8
# What is the server's own failure; everything else is its answer.
_SERVER_ERRORS: Final = frozenset(
    "UNKNOWN DEADLINE_EXCEEDED UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS".split()
)


class CallSpan:
    """Draws one call, from `with` to its end; without a `draw`, or a trace, nothing.

        with CallSpan(draw, SERVER, path, asked) as asked:
            return await answer(asked, request)

    Args:
        draw: Takes the span; None: nobody does.
        kind: `CLIENT` or `SERVER`.
        path: The method: `/plait.v1.EngineService/Execute`.
        more: Attributes beside the usual ones.
    """

    __slots__ = ("_asked", "_began_s", "_draw", "_kind", "_more", "_own", "_path")

    def __init__(
        self,
        draw: Draw | None,
        kind: str,
        path: str,
        asked: Asked,
        more: Mapping[str, str | int] | None = None,
    ) -> None:
        self._draw = draw
        self._kind = kind
        self._path = path
        self._asked = asked
        self._more = more or {}
        self._own: tuple[str, str, str] | None = None

    def __enter__(self) -> Asked:
        """Return what is asked, under the span."""
        if self._draw is None:
            return self._asked
        parent = _parent(self._asked)
        if parent is None:
            return self._asked
        trace_id, parent_id = parent
        span_id = secrets.token_hex(_SPAN_BYTES)
        self._own, self._began_s = (trace_id, span_id, parent_id), time.time()
        rest = (one for one in self._asked.trace if one[0] != "traceparent")
        told = ("traceparent", f"00-{trace_id}-{span_id}-01")
        return replace(self._asked, trace=(told, *rest))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Draw it."""
        if self._own is not None and self._draw is not None:
            self._draw(self._span(*self._own, ended_with(error)))

    def _span(
        self, trace_id: str, span_id: str, parent_id: str, status: grpc.StatusCode
    ) -> Span:
        name = self._path.removeprefix("/")
        service, _, method = name.partition("/")
        is_error = status.name in _SERVER_ERRORS or (
            self._kind == CLIENT and status is not grpc.StatusCode.OK
        )
        return Span(
            name,
            self._kind,
            trace_id,
            span_id,
            parent_id,
            self._began_s,
            max(time.time(), self._began_s),
            {
                "rpc.system": "grpc",
                "rpc.service": service,
                "rpc.method": method,
                "rpc.grpc.status_code": status.value[0],
                "plait.tenant": self._asked.caller.tenant,
                **self._more,
            },
            status.name if is_error else None,
        )


def called(draw: Draw | None, path: str, asked: Asked, address: str) -> CallSpan:
    """Return the span of a call to the service at `address` (`host:port`, or several)."""
    if draw is None:
        return CallSpan(None, CLIENT, path, asked)
    if "," in address:
        return CallSpan(draw, CLIENT, path, asked, {"server.address": address})
    host, _, port = address.rpartition(":")
    more: dict[str, str | int] = {"server.address": host.strip("[]")}
    if port.isdecimal():
        more["server.port"] = int(port)
    return CallSpan(draw, CLIENT, path, asked, more)


def answered(draw: Draw | None, path: str, asked: Asked) -> CallSpan:
    """Return the span of a call that is answered here."""
    return CallSpan(draw, SERVER, path, asked)


def _parent(asked: Asked) -> tuple[str, str] | None:
    for name, value in asked.trace:
        if name == "traceparent":
            return sampled(value)
    return None


def ended_with(error: BaseException | None) -> grpc.StatusCode:
    """Return the status of a call that ended with this; None: with its answer."""
    match error:
        case None:
            return grpc.StatusCode.OK
        case grpc.aio.AioRpcError():
            return error.code()
        case PlaitError():
            return grpc.StatusCode[status_of(error).grpc]
        case asyncio.CancelledError() | GeneratorExit():
            return grpc.StatusCode.CANCELLED
        case grpc.aio.AbortError():  # nothing else is refused before it is looked at
            return grpc.StatusCode.UNAUTHENTICATED
        case _:
            return grpc.StatusCode.INTERNAL
