"""Commands: what the kernel wants done. A driver performs them and feeds back events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from plait.model.caller import DEFAULT_TENANT
from plait.model.record import record
from plait.plan.nodes import Effect, RetryPolicy
from plait.plan.policies import Policies


@record
class CallPolicies:
    """What stands around one attempt.

    Attributes:
        policies: Those of the step; None: it has none of its own.
        keys: Of those that have a key, by the policy's name in documents; `cache.user` for
            whose answer it is. A cache's empty key: this answer is not kept.
        retry: Whether and when another attempt follows; None: none does.
        left_ms: Until the time of all attempts together is over; None: it has no end.
        is_again: Whether a group around it is tried again, so that the call is a retry
            even in its first attempt.
    """

    policies: Policies | None
    keys: Mapping[str, str]
    retry: RetryPolicy | None
    left_ms: int | None
    is_again: bool = False


@record
class StartCall:
    """Make one attempt of one call, everything rendered.

    Attributes:
        kind: The step's type, which names the connector: `http`.
        request: The rendered `request` of the step: JSON, shaped by the connector's spec.
        host_is_literal: True when the host stands literally in the operator's own
            document, False when a template gave it (then egress rules apply).
        timeout_ms: The whole attempt: connecting, sending, receiving, decoding.
        idempotency_key: The same for all attempts of this step, and in all rounds of the
            groups around it; None for reads.
        headers_wanted: Response headers to report, lower-case; ("*",) for all.
        execution_id, step, attempt: Together they name this call and no other. Attempts
            count from 1; a group that is tried again gives its steps other paths.
        trace: Headers to pass on unless the request sets them (traceparent, …).
        effect: What a repetition does: nothing (`read`), nothing more because the key
            tells (`keyed`), or nobody knows (`unsafe`).
        lacking: Names of secrets that its request reads and this process does not have:
            nobody here may make it, and `request` says nothing then.
        policies: What stands around it; None: nothing does.
        credential: The name of what it shows the other side; None: nothing. It is looked
            up where the call is made, and never stands in `request`.
        workflow: Which workflow's step it is; told with a `credential` only.
        tenant: On whose behalf; the driver says.
    """

    kind: str
    request: dict[str, object]
    host_is_literal: bool
    timeout_ms: int
    idempotency_key: str | None
    headers_wanted: tuple[str, ...]
    execution_id: str
    step: str
    attempt: int
    trace: tuple[tuple[str, str], ...] = ()
    effect: Effect = "keyed"
    lacking: tuple[str, ...] = ()
    policies: CallPolicies | None = None
    credential: str | None = None
    workflow: str = ""
    tenant: str = DEFAULT_TENANT


@record
class CancelCall:
    """Give up a call under way; its outcome will not be asked for."""

    step: str
    attempt: int


@record
class StartTimer:
    """Feed back `TimerFired(timer)` when the clock shows `due_at_ms`."""

    timer: int
    due_at_ms: int
    step: str


@record
class CancelTimer:
    """Forget a timer."""

    timer: int


Command: TypeAlias = StartCall | CancelCall | StartTimer | CancelTimer
