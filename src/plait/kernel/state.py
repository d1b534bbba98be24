"""The state of one execution: frames of running steps, in memory, rebuilt by replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plait.kernel.commands import Command
from plait.kernel.events import Event, ExecutionStarted, SignalReceived, TerminalEvent
from plait.kernel.lifecycle import ACTIVE, StepState
from plait.kernel.recorded import Recorded
from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.plan import Node, Plan, Scope


@dataclass(slots=True, eq=False)
class Run:
    """One step instance.

    Attributes:
        path: Its address (plait.kernel.paths): `orders`, `enrich[left]/fetch`.
        attempt: The attempt under way or last made; 0 before the first.
        deadline_at_ms: When all attempts together must be over; None: never.
        failure: What the fallback stands in for, while it does.
        passed_over: The first failure that what it is about to yield goes without.
        timers: Its outstanding timers: timer number → what it is for.
        frames: The frames that it runs inside itself, by name.
        memory: Whatever its machine keeps between events.
        undo_from: What completed inside it has this number in `Execution.undo`, or a
            higher one.
    """

    node: Node
    frame: Frame
    path: str
    state: StepState = StepState.PENDING
    attempt: int = 0
    deadline_at_ms: int | None = None
    failure: Failure | None = None
    passed_over: Failure | None = None
    timers: dict[int, str] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)
    memory: Any = None
    undo_from: int = 0

    @property
    def is_active(self) -> bool:
        """True from its start until it has settled or was cancelled."""
        return self.state in ACTIVE


@dataclass(slots=True, eq=False)
class Frame:
    """One scope, running.

    Attributes:
        parent: The step instance it runs inside; None for the document's own scope.
        name: Which of the parent's scopes this is.
        prefix: What the paths of its steps begin with.
        names: What templates see: `input`, `env`, the settled steps.
        waits: For each node, how many of its deps have not settled.
        unsettled: How many nodes have not settled.
        runs: The step instances that have started, by node index; none once the frame
            is over, so that nothing refers in a circle and memory is free at once.
        is_open: False once it has completed, failed or was cancelled.
        passed_over: The first failure that its output goes without.
        visits: How often each step has begun, by id; only where a `goto` stands.
    """

    scope: Scope
    parent: Run | None
    name: str
    prefix: str
    names: dict[str, Any]
    waits: list[int]
    unsettled: int
    runs: dict[int, Run] = field(default_factory=dict)
    is_open: bool = True
    passed_over: Failure | None = None
    visits: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Ambient:
    """What a run may use but must not record: secrets, and headers to pass on.

    Attributes:
        known: Names of the secrets that were there when the execution began, or was
            resumed: one of these that is not in `secrets` is elsewhere, it is not missing.
    """

    secrets: Mapping[str, Any] = field(default_factory=dict)
    trace: tuple[tuple[str, str], ...] = ()
    known: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class Incident:
    """A call of unknown outcome that waits for a person since `since_ms`."""

    run: Run
    since_ms: int


@dataclass(slots=True, eq=False)
class Mailbox:
    """Signals of one execution.

    Attributes:
        known: The ids of all that ever came, so that each counts once.
        kept: Those that no step has taken yet, by id, in the order of their coming.
        bytes: What the payloads of those have together.
    """

    known: dict[str, None] = field(default_factory=dict)
    kept: dict[str, SignalReceived] = field(default_factory=dict)
    bytes: int = 0


@dataclass(slots=True, eq=False)
class Undo:
    """A completed step that can be undone, and the names that its `compensate` sees.

    Attributes:
        is_owed: Its saga was cut short: it is undone before the execution ends.
        tries: How often it was tried to undo it.
        number: Steps that can be undone are counted as they complete, from 0.
    """

    node: Node
    path: str
    names: dict[str, Any]
    number: int
    is_owed: bool = False
    tries: int = 0


@dataclass(slots=True, eq=False)
class Undoing:
    """A compensation under way.

    Attributes:
        number: Which of the execution's compensations it is, from 1.
        left: What is still to be undone, by its key in `Execution.undo`, the next last.
        cause: Why it is undone.
        then: How the execution is to end afterwards; None when a saga is undone.
        is_called: A call was made for what is being undone now; None: an execution of an
            earlier behaviour does not say.
    """

    number: int
    left: list[str]
    cause: Failure
    then: TerminalEvent | None = None
    undone: list[str] = field(default_factory=list)
    not_undone: list[JsonValue] = field(default_factory=list)
    is_called: bool | None = None


@dataclass(slots=True, eq=False)
class Execution:
    """The whole state of one execution.

    Attributes:
        now_ms: The moment of the event being decided.
        calls: Calls under way, by step path.
        incidents: Calls of unknown outcome, by step path.
        timers: Outstanding timers; the run is None for the execution's own timeout.
        deadline_count: How many of them are time limits, which nothing waits for.
        waiting: Steps that wait for somebody outside, by path, longest waiting first.
        mailbox: Signals that have come; None before the first.
        undo: Completed steps that can be undone, by path without rounds, the first to
            complete first. `undo_count` is how many there have been.
        undone: How often steps were undone, by the same.
        undoing: The compensation of the whole execution, while it is under way.
        ready: What is to be done before the turn ends, in order.
        end: The terminal event, once there is one.
        events, commands: What the turn under way has produced so far.
        event_count: Length of the history, for the limit: since it last began.
        resumed_at_ms: When it last went on after a pause; -1: never.
        recorded: What the turn came to when it ran; None: it runs now.
    """

    plan: Plan
    started: ExecutionStarted
    ambient: Ambient
    now_ms: int
    root: Frame | None = None
    calls: dict[str, Run] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    timers: dict[int, Run | None] = field(default_factory=dict)
    timer_count: int = 0
    deadline_count: int = 0
    waiting: dict[str, Run] = field(default_factory=dict)
    mailbox: Mailbox | None = None
    undo: dict[str, Undo] = field(default_factory=dict)
    undo_count: int = 0
    undone: dict[str, int] = field(default_factory=dict)
    undoing: Undoing | None = None
    compensation_count: int = 0
    ready: deque[tuple[Frame, int]] = field(default_factory=deque)
    end: TerminalEvent | None = None
    events: list[Event] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    event_count: int = 0
    resumed_at_ms: int = -1
    recorded: Recorded | None = None
