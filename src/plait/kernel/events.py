"""Events: facts about one execution, in the order in which they became true.

Two sorts. *Outside* events are what a driver feeds to `Kernel.decide`; recording them is
enough to rebuild the state. *Derived* events are what the kernel concludes from them: the
timeline that people read, and the check that a replay concludes the same.

All moments are milliseconds since the Unix epoch, UTC. Steps are named by path; a path and
an attempt never come twice in one execution (plait.kernel.paths).
"""

from __future__ import annotations

from typing import TypeAlias

from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record


@record
class ExecutionStarted:
    """Begin. `behaviour` is the kernel's numbered behaviour that this execution keeps.

    `trigger` is what templates see under that name: how the execution came to be. `trace`
    holds the headers that its calls pass on; an express execution keeps them elsewhere.
    `secrets` are the names of those that its steps read and that were there.
    """

    execution_id: str
    plan_hash: str
    input: JsonValue
    env: JsonObject
    at_ms: int
    behaviour: int
    trigger: JsonValue = None
    attempt: int = 1
    trace: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()


@record
class HistoryBegun:
    """What came before is dropped from the history; the execution stood so then.

    Attributes:
        started: What it began with.
        state: How it stood (plait.kernel.snapshot).
        number: Which entry this is, counted with those that are dropped, from 1.
        digest_before: The digest of the one before it, as hexadecimal digits.
    """

    started: ExecutionStarted
    state: JsonObject
    number: int
    digest_before: str
    at_ms: int


@record
class CallCompleted:
    """An attempt's call was answered. `facts` are the connector's extra keys.

    `passed_over` is the first failure that the response goes without; None: it is whole.
    `notes` is what policies did on the way; None: nothing.
    """

    step: str
    attempt: int
    response: JsonValue
    facts: JsonObject
    at_ms: int
    passed_over: Failure | None = None
    notes: list[JsonValue] | None = None


@record
class CallFailed:
    """An attempt's call failed."""

    step: str
    attempt: int
    failure: Failure
    at_ms: int


@record
class OutcomeUnknown:
    """Nobody knows whether an `unsafe` call was made: its worker died meanwhile."""

    step: str
    attempt: int
    at_ms: int


@record
class IncidentResolved:
    """Somebody has decided about a call of unknown outcome.

    Attributes:
        action: `retry`: make it again. `done`: it was made, with this `response`. `fail`.
        by: Who decided, for the history.
    """

    step: str
    action: str
    response: JsonValue
    by: str
    at_ms: int


@record
class TimerFired:
    """A timer that the kernel asked for is due."""

    timer: int
    at_ms: int


@record
class CancelRequested:
    """Somebody wants the execution stopped."""

    reason: str
    at_ms: int


@record
class HistoryRefused:
    """Whoever keeps the execution takes in no more of it: it fails with `failure`."""

    failure: Failure
    at_ms: int


@record
class SignalReceived:
    """Somebody outside tells something. Of several with one id the first counts.

    `is_refused`: whoever sent it has been told already that nothing takes it; it is only
    recorded.
    """

    signal_id: str
    name: str
    payload: JsonValue
    at_ms: int
    is_refused: bool = False


@record
class ApprovalDecided:
    """Somebody, who has these roles too, decides what a step asks: the first one counts.

    `decision` is `approved` or `rejected`.
    """

    step: str
    decision: str
    by: str
    comment: str
    roles: list[str]
    at_ms: int


@record
class CompensationRequested:
    """Somebody wants undone what an execution did.

    `is_rollback` tells that it has ended already; else it is to end, as by a cancel.
    """

    reason: str
    is_rollback: bool
    at_ms: int


@record
class ExecutionResumed:
    """An execution that had ended goes on, as if `again` had not come to anything yet.

    Attributes:
        again: Paths of steps that are run again, with whatever is inside them; empty when
            it is enough to go on with what was under way.
        at_ms: When it goes on. In between, time stood still.
        epoch: In whose hands it was when this was written. Whoever holds it next is the
            first to make the calls that are under way then. 0: whoever wrote it makes
            them.
        secrets: The names of the secrets that were there then; None: those of before.
    """

    again: list[str]
    at_ms: int
    epoch: int = 0
    secrets: tuple[str, ...] | None = None

    @property
    def is_let_in(self) -> bool:
        """Whether it had to wait for its turn: nobody had acted on it until now."""
        return not self.again and not self.epoch


@record
class WorkerLost:
    """The worker that held the execution died, or was given up; another holds it now.

    Attributes:
        deaths: How often that has happened since the last entry that is none of these; 0:
            none died, the store takes in no more of what is decided in it.
        is_quarantined: True when that was once too often: nobody acts on it any more,
            until somebody resumes it.
    """

    deaths: int
    is_quarantined: bool
    at_ms: int


@record
class StepStarted:
    """A step's condition held and its first attempt begins."""

    step: str
    at_ms: int


@record
class StepSkipped:
    """A step will not run. `reason` is `condition` or `disabled`."""

    step: str
    reason: str
    at_ms: int


@record
class RetryScheduled:
    """Attempt number `attempt` failed; the next begins at `due_at_ms`."""

    step: str
    attempt: int
    failure: Failure
    due_at_ms: int
    at_ms: int


@record
class RetryStarted:
    """Attempt number `attempt` begins; always 2 or more."""

    step: str
    attempt: int
    at_ms: int


@record
class FallbackStarted:
    """The attempts are used up and the step's fallback answers in its place."""

    step: str
    failure: Failure
    at_ms: int


@record
class StepCompleted:
    """A step has its response. `by_fallback` tells that its own call did not give it."""

    step: str
    attempts: int
    by_fallback: bool
    at_ms: int


@record
class StepFailed:
    """A step failed for good. `continued`: the workflow goes on all the same."""

    step: str
    failure: Failure
    continued: bool
    at_ms: int


@record
class IncidentRaised:
    """Whether the call of attempt `attempt` was made is unknown; a person has to decide."""

    step: str
    attempt: int
    at_ms: int


@record
class StepCancelled:
    """A running step was stopped because its outcome no longer matters."""

    step: str
    at_ms: int


@record
class CompensationStarted:
    """What completed is undone: the steps at `steps`, in this order.

    `step` is the saga that failed, empty when it is the execution; `attempt` counts the
    compensations of the execution.
    """

    step: str
    attempt: int
    steps: list[str]
    at_ms: int


@record
class CompensationEnded:
    """All that was to be undone is, but for `not_undone`: `step` and `error` each."""

    step: str
    attempt: int
    undone: list[str]
    not_undone: list[JsonValue]
    at_ms: int


@record
class SignalAwaited:
    """A step waits for a signal of this name, until `due_at_ms` if that is given."""

    step: str
    attempt: int
    name: str
    due_at_ms: int | None
    at_ms: int


@record
class ApprovalRequested:
    """A step asks for a decision. No approvers: anybody may decide."""

    step: str
    attempt: int
    title: str
    description: str
    approvers: list[str]
    due_at_ms: int | None
    at_ms: int


@record
class SignalTaken:
    """A step has got the signal that it waited for; no other step will."""

    step: str
    attempt: int
    signal_id: str
    at_ms: int


@record
class SignalRefused:
    """A signal is not kept: nothing takes it, or too many are (`reason` is a code)."""

    signal_id: str
    reason: str
    at_ms: int


@record
class StateEntered:
    """A state machine is in another state, or in the same one anew.

    Attributes:
        step: The machine's address.
        previous: The state that it was in; None: it has just begun.
        cause: The event that led here, `after 30m` for a time that was over; empty: it
            has just begun.
    """

    step: str
    state: str
    previous: str | None
    cause: str
    at_ms: int


@record
class ExecutionCompleted:
    """Terminal: the execution's output is known.

    `passed_over` is the first failure that this output goes without; None: it is whole.
    """

    output: JsonValue
    at_ms: int
    passed_over: Failure | None = None


@record
class ExecutionFailed:
    """Terminal: a failure that nothing caught."""

    failure: Failure
    at_ms: int


@record
class ExecutionCompensated:
    """Terminal: what it did is undone. `failure` is why."""

    failure: Failure
    at_ms: int


@record
class ExecutionCancelled:
    """Terminal: stopped on request.

    `compensation` says what became of an undoing that was stopped too; None: none was.
    """

    reason: str
    at_ms: int
    compensation: JsonObject | None = None


OutsideEvent: TypeAlias = (
    ExecutionStarted
    | HistoryBegun
    | ExecutionResumed
    | WorkerLost
    | CallCompleted
    | CallFailed
    | OutcomeUnknown
    | IncidentResolved
    | TimerFired
    | CancelRequested
    | HistoryRefused
    | SignalReceived
    | ApprovalDecided
    | CompensationRequested
)
StepEvent: TypeAlias = (
    StepStarted
    | StepSkipped
    | RetryScheduled
    | RetryStarted
    | FallbackStarted
    | IncidentRaised
    | StepCompleted
    | StepFailed
    | StepCancelled
)
WaitEvent: TypeAlias = SignalAwaited | SignalTaken | SignalRefused | ApprovalRequested
MachineEvent: TypeAlias = StateEntered
CompensationEvent: TypeAlias = CompensationStarted | CompensationEnded
TerminalEvent: TypeAlias = (
    ExecutionCompleted | ExecutionFailed | ExecutionCancelled | ExecutionCompensated
)
DerivedEvent: TypeAlias = (
    StepEvent | WaitEvent | MachineEvent | CompensationEvent | TerminalEvent
)
Event: TypeAlias = OutsideEvent | DerivedEvent
