"""Spans: what requests, executions, steps and attempts look like in a trace.

    request ─ execution ─ step ─ attempt ─ (the upstream's own spans)

Rule 1. A span's id follows from what it tells of: so the worker that ends an execution
        draws the same trace as the one that began it, whatever happened in between, and
        whoever makes a call knows the id of its attempt before anybody has drawn it.
Rule 2. Who began the trace decides whether it is drawn (the flag of `traceparent`).

Not here: sending them (plait.telemetry.otlp).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final, TypeAlias

from plait.kernel.events import Event
from plait.model.failure import Failure
from plait.model.record import record
from plait.ports.calls import Call, CallHandle, Calls, Done, lacks_of
from plait.ports.observer import STATUSES, About, Answered, Headers, Line

_SPAN_BYTES: Final = 8
_TRACE_BYTES: Final = 16
_TRACE: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_PARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
# What stands behind a group's own name in the path of a step inside it.
_INSIDE: Final = re.compile(r"(?:~\d+|\[[^\]]*\]|\.fallback)$")
_SERVER_ERROR: Final = 500

SERVER: Final = "server"
INTERNAL: Final = "internal"
CLIENT: Final = "client"


@record
class Span:
    """One span that is over.

    Attributes:
        kind: `SERVER`, `INTERNAL` or `CLIENT`.
        parent_id: None: it is the first of its trace.
        began_s, ended_s: Seconds since the Unix epoch.
        error: What went wrong, as a code; None: nothing.
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str | None
    began_s: float
    ended_s: float
    attributes: Mapping[str, str | int | bool]
    error: str | None = None


Draw: TypeAlias = Callable[[Span], None]


def span_of(execution_id: str, step: str = "", attempt: int = 0, round_: int = 0) -> str:
    """Return the span id of an execution, a step or an attempt.

    >>> span_of("e1", "pay", 1) == span_of("e1", "pay", 1) != span_of("e1", "pay", 2)
    True
    """
    name = f"{execution_id}/{step}#{attempt}~{round_}"
    return blake2b(name.encode(), digest_size=_SPAN_BYTES).hexdigest()


def sampled(traceparent: str) -> tuple[str, str] | None:
    """Return the trace id and the span id of a `traceparent`; None: it is not drawn.

    >>> sampled(f"00-{'a' * 32}-{'b' * 16}-00") is None
    True
    """
    found = _PARENT.fullmatch(traceparent)
    if found is None or not int(found[3], 16) & 1:
        return None
    return found[1], found[2]


def context_of(trace: Headers, execution_id: str) -> tuple[str, str | None] | None:
    """Return the trace of an execution, and the span that it is under; None: it is not
    drawn. One that nobody brought a trace for is a trace of its own.

    >>> context_of((), "18beeb1ac031a309dfc144bd16835cae")
    ('18beeb1ac031a309dfc144bd16835cae', None)
    """
    for name, value in trace:
        if name == "traceparent":
            return sampled(value)
    if _TRACE.fullmatch(execution_id):
        return execution_id, None
    return blake2b(execution_id.encode(), digest_size=_TRACE_BYTES).hexdigest(), None


def group_of(path: str) -> str:
    """Return the path of the step that a step is inside of; empty: of none.

    >>> [group_of(path) for path in ("a", "fan~2[left]/x", "o/p[3]~2/q", "pay.fallback/z")]
    ['', 'fan', 'o/p', 'pay']
    """
    outer = path.rpartition("/")[0]
    while (inner := _INSIDE.sub("", outer)) != outer:
        outer = inner
    return outer


def is_in_part(ratio: float, trace_id: str) -> bool:
    """Tell whether a trace is in the part that is drawn, as other tools decide it too: by
    the last 8 bytes of its id.

    >>> is_in_part(0.5, "0" * 16 + "7f" * 8), is_in_part(0.5, "0" * 16 + "80" * 8)
    (True, False)
    """
    return int(trace_id[16:], 16) < ratio * 2**64


class Spans:
    """Draws what it is told (plait.ports.observer, `Observer` and `Watch`).

    Args:
        draw: Takes each span.
    """

    draws = True

    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    def answered(self, told: Answered) -> None:
        """Draw a request."""
        own = sampled(told.trace[0][1]) if told.trace else None
        if own is None:
            return
        trace_id, span_id = own
        given = sampled(told.parent) if told.parent else None
        attributes: dict[str, str | int | bool] = {
            "http.request.method": told.method,
            "http.route": told.route,
            "http.response.status_code": told.status,
            "plait.request_id": told.request_id,
            "plait.tenant": told.tenant,
        }
        self._draw(
            Span(
                f"{told.method} {told.route}",
                SERVER,
                trace_id,
                span_id,
                None if given is None or given[0] != trace_id else given[1],
                told.began_s,
                told.began_s + told.took_s,
                attributes,
                str(told.status) if told.status >= _SERVER_ERROR else None,
            )
        )

    def ran(
        self,
        about: About,
        status: str,
        failure: Failure | None,
        took_s: float,
        lines: Iterable[Line],
        offset_s: float,
    ) -> None:
        """See plait.ports.observer.Observer."""
        if context_of(about.trace, about.execution_id) is None:
            return
        ended_s = about.began_s + took_s
        for line in lines:
            self._line(about, line, offset_s, ended_s)
        code = failure.code if failure is not None else None
        self._execution(about, status, code, ended_s)

    def turned(self, about: About, events: Sequence[Event], lines: Iterable[Line]) -> None:
        """See plait.ports.observer.Observer."""
        if context_of(about.trace, about.execution_id) is None:
            return
        for line in lines:
            self._line(about, line, 0.0, events[-1].at_ms / 1000)
        for event in events:
            status = STATUSES.get(type(event))
            if status is not None:
                failure: Failure | None = getattr(event, "failure", None)
                code = failure.code if failure is not None else None
                self._execution(about, status, code, event.at_ms / 1000)

    def recorded(self, took_s: float) -> None:
        """See plait.ports.observer.Observer. A span each would hide all others."""

    def _execution(
        self, about: About, status: str, code: str | None, ended_s: float
    ) -> None:
        own = context_of(about.trace, about.execution_id)
        assert own is not None
        trace_id, parent_id = own
        if about.parent is not None:
            parent_id = span_of(*about.parent)
        attributes = {**_named(about), "plait.mode": about.mode, "plait.status": status}
        self._draw(
            Span(
                f"execution {about.workflow}",
                INTERNAL,
                trace_id,
                span_of(about.execution_id, round_=about.round),
                parent_id,
                about.began_s,
                ended_s,
                attributes,
                _error(status, code),
            )
        )

    def _line(self, about: About, line: Line, offset_s: float, until_s: float) -> None:
        own = context_of(about.trace, about.execution_id)
        assert own is not None
        began_s = max(line.started_s + offset_s, about.began_s)
        ended_s = until_s if line.ended_s is None else line.ended_s + offset_s
        execution_id, group = about.execution_id, group_of(line.step)
        parent_id = span_of(execution_id, group, round_=about.round)
        span_id = span_of(execution_id, line.step, round_=about.round)
        code = line.failure.code if line.failure is not None else None
        attributes = {
            **_named(about),
            "plait.step": line.step,
            "plait.status": line.status,
            "plait.by_fallback": line.by_fallback,
        }
        step = Span(
            f"step {line.step}",
            INTERNAL,
            own[0],
            span_id,
            parent_id,
            began_s,
            ended_s,
            attributes,
            _error(line.status, code),
        )
        self._draw(step)
        for number, (first_s, last_s, failure) in enumerate(line.attempts, 1):
            if first_s + offset_s < about.began_s - _SAME_S:
                continue  # it was drawn when the execution had ended before
            self._draw(
                replace(
                    step,
                    name=f"attempt {line.step}",
                    kind=CLIENT,
                    span_id=span_of(execution_id, line.step, number),
                    parent_id=span_id,
                    began_s=first_s + offset_s,
                    ended_s=ended_s if last_s is None else last_s + offset_s,
                    attributes={**attributes, "plait.attempt": number},
                    error=None if failure is None else failure.code,
                )
            )


# Moments of an express execution are of two clocks, which are read one after the other.
_SAME_S: Final = 0.001


def _named(about: About) -> dict[str, str | int | bool]:
    return {
        "plait.execution_id": about.execution_id,
        "plait.workflow": about.workflow,
        "plait.tenant": about.tenant,
    }


def _error(status: str, code: str | None) -> str | None:
    return None if status in ("completed", "skipped") else code or status


class TracedCalls:
    """Performs calls through `calls`, each under the span of its attempt."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.lacks = lacks_of(calls)

    def start(self, call: Call, done: Done) -> CallHandle:
        """See plait.ports.calls.Calls."""
        own = context_of(call.trace, call.execution_id)
        if own is None:
            return self._calls.start(call, done)
        span_id = span_of(call.execution_id, call.step, call.attempt)
        told = ("traceparent", f"00-{own[0]}-{span_id}-01")
        rest = tuple(one for one in call.trace if one[0] != "traceparent")
        return self._calls.start(replace(call, trace=(told, *rest)), done)

    async def close(self) -> None:
        """See plait.ports.calls.Calls."""
        await self._calls.close()
