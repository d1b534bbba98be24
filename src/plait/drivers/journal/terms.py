"""What a durable driver is given: a store, what an execution starts with, its times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from plait.drivers.journal.payload import searched
from plait.kernel import BEHAVIOUR, Kernel
from plait.kernel.events import ExecutionStarted
from plait.model.caller import DEFAULT_TENANT
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.plan import Plan
from plait.ports.journal import Hold, Journal, NewExecution
from plait.ports.leases import Leases


class Store(Journal, Leases, Protocol):
    """What keeps histories and hands out executions: one store does both."""

    async def close(self) -> None:
        """Finish what was asked for, and let go of the store."""
        ...


@record
class Start:
    """What a durable execution starts with.

    Attributes:
        key: The caller's idempotency key: a second start returns the first execution.
        priority: Higher goes first, 0 to 9; None: what the document says.
        parent: The execution that this one belongs to.
        tenant: Whose it is; a child's is its parent's.
        trace: Headers that its calls pass on: `traceparent` and the like.
        under: What has to hold still when it is written.
    """

    execution_id: str
    input: JsonValue
    trigger: JsonValue = None
    key: str | None = None
    tags: tuple[str, ...] = ()
    priority: int | None = None
    trace: tuple[tuple[str, str], ...] = ()
    parent: str | None = None
    tenant: str = DEFAULT_TENANT
    under: Hold | None = None


@record
class Times:
    """The driver's times, milliseconds.

    Attributes:
        lease_ms: How long a worker that gives no sign of life keeps its executions.
        beat_ms: How often it gives one.
        unsafe_grace_ms: How long a worker that ends waits for unsafe calls under way.
    """

    lease_ms: int = 10_000
    beat_ms: int = 2_500
    unsafe_grace_ms: int = 5_000


HELD_MAX: Final = 1_000
BACKLOG_MAX: Final = 10_000


@record
class Limits:
    """How much a durable driver takes.

    Attributes:
        payload_bytes_max: What an input, or a call's answer, may bring into a history.
        history_bytes_max: With more in its history an execution fails.
        deaths_max: So many workers may an execution kill before it is quarantined.
        held_max: So many executions act in a worker's memory at once.
        backlog_max: So many may wait for room there before whoever asks is refused.
    """

    payload_bytes_max: int
    history_bytes_max: int
    deaths_max: int
    held_max: int
    backlog_max: int


def new_execution(plan: Plan, start: Start, at_ms: int) -> NewExecution:
    """Return what the store is told of an execution that began at `at_ms`."""
    return NewExecution(
        start.execution_id,
        plan.name,
        plan.content_hash,
        at_ms,
        searched(start.input),
        start.key,
        start.tags,
        start.priority or 0,
        start.parent,
        tenant=start.tenant,
    )


def started(
    kernel: Kernel,
    start: Start,
    env: JsonObject,
    at_ms: int,
    secrets: Iterable[str],
) -> ExecutionStarted:
    """Return the event that begins an execution; of `secrets` only names are in it."""
    return ExecutionStarted(
        start.execution_id,
        kernel.plan.content_hash,
        start.input,
        env,
        at_ms,
        BEHAVIOUR,
        start.trigger,
        trace=start.trace,
        secrets=kernel.secrets_of(secrets),
    )
