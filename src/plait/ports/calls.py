"""Calls: start one attempt of one step's call, hear its outcome once, or cancel it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.model.record import record


@record
class Call:
    """One attempt of one call, everything rendered.

    Attributes:
        kind: The step's type, which names the connector: `http`.
        request: The rendered `request` of the step: JSON, shaped by the connector's spec.
        host_is_literal: True when the host stands literally in the operator's own
            document, False when a template gave it (then egress rules apply).
        timeout_ms: The whole attempt: connecting, sending, receiving, decoding.
        idempotency_key: The same for all attempts of this step; None for reads.
        headers_wanted: Response headers to report, lower-case; ("*",) for all.
        execution_id, step, attempt: For tracing and error texts. Attempts count from 1.
        trace: Headers to pass on unless the request sets them (traceparent, …).
    """

    kind: str
    request: dict[str, JsonValue]
    host_is_literal: bool
    timeout_ms: int
    idempotency_key: str | None
    headers_wanted: tuple[str, ...]
    execution_id: str
    step: str
    attempt: int
    trace: tuple[tuple[str, str], ...] = ()


@record
class CallReply:
    """The call succeeded. `facts` are the connector's extra keys of the step's value.

    For HTTP: `{"status_code": 200, "headers": {"etag": "…"}}`.
    """

    response: JsonValue
    facts: dict[str, JsonValue]


Outcome: TypeAlias = CallReply | Failure
Done: TypeAlias = Callable[[Outcome], None]


class CallHandle(Protocol):
    """A call under way."""

    def cancel(self) -> None:
        """Stop the call and free what it holds; `done` is not called afterwards."""
        ...


class Calls(Protocol):
    """Performs calls. Contract: plait.testing.calls_suite.

    Callbacks, not coroutines: a task per call costs more than the call's own bookkeeping.
    """

    def start(self, call: Call, done: Done) -> CallHandle:
        """Begin `call`; `done` hears the outcome exactly once, unless cancelled.

        Never raises: whatever goes wrong reaches `done` as a Failure, and `done` may be
        called before `start` returns.
        """
        ...

    async def close(self) -> None:
        """Cancel what is under way and close every connection."""
        ...
