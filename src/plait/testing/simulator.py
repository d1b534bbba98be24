"""Simulator: runs a workflow in virtual time, against scripted upstreams.

Rule 1. Nothing waits: time jumps to whatever happens next.
Rule 2. The same plan, script and order give the same result, to the millisecond.
Rule 3. It keeps the host's side of the kernel's contract strictly, and fails loudly when
        the kernel breaks its own (a call cancelled twice, one left over at the end).

Not here: what upstreams answer (plait.testing.script).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Final, TypeAlias

from plait.drivers.inline import StepTrace, Trace
from plait.kernel import (
    BEHAVIOUR,
    Ambient,
    CancelCall,
    CancelTimer,
    Kernel,
    Limits,
    StartCall,
    StartTimer,
    Turn,
)
from plait.kernel.events import (
    ApprovalDecided,
    CallCompleted,
    CallFailed,
    CancelRequested,
    Event,
    ExecutionCancelled,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionStarted,
    OutsideEvent,
    SignalReceived,
    TimerFired,
)
from plait.kernel.machine import Machine
from plait.model.errors import PlaitError
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.plan import Plan
from plait.testing.script import Script, answer_to

# 2026-01-01T00:00:00Z, so that `execution.started_at` is the same in every run.
STARTED_AT_MS: Final = 1_767_225_600_000

_STATUS: Final = {
    ExecutionCompleted: "completed",
    ExecutionFailed: "failed",
    ExecutionCancelled: "cancelled",
    ExecutionCompensated: "compensated",
}


@record
class Pending:
    """Something outstanding: what would happen, and when by the virtual clock.

    Attributes:
        step: Path of the step that it belongs to; empty for the workflow's own timeout.
        event: What the kernel hears when it happens. Its `at_ms` is `due_at_ms`.
    """

    step: str
    due_at_ms: int
    event: CallCompleted | CallFailed | TimerFired | SignalReceived | ApprovalDecided


class Stuck(PlaitError):
    """A simulated workflow waits for somebody outside, and nobody tells it anything."""

    code: ClassVar[str] = "testing.stuck"

    def __init__(self, steps: Sequence[str]) -> None:
        super().__init__(f"nothing will wake {', '.join(steps)}: add to `signals`")
        self.steps = steps


@record
class Sent:
    """A signal that is sent so long after the start; its id is its place in the list."""

    name: str
    payload: JsonValue = None
    after_ms: int = 0


@record
class Decided:
    """A decision about the step at this path, so long after the start."""

    step: str
    decision: str
    by: str
    comment: str = ""
    after_ms: int = 0
    roles: tuple[str, ...] = ()


Told: TypeAlias = Sent | Decided
Chooser: TypeAlias = Callable[[Sequence[Pending]], Pending]


@record
class Simulated:
    """How a simulated execution ended.

    Attributes:
        status: `completed`, `failed` or `cancelled`.
        output: The workflow's output; None unless it completed.
        failure: Why it failed; None unless it did.
        elapsed_ms: Virtual time from start to end.
        passed_over: The first failure that the output goes without; None: it is whole.
        steps: Each step's line of the timeline, by path; moments in virtual seconds.
        calls: Every call that was made, in order.
        history: The outside events, in order; feeding them again gives the same state.
        events: Everything, the kernel's conclusions included.
    """

    status: str
    output: JsonValue
    failure: Failure | None
    elapsed_ms: int
    passed_over: Failure | None
    steps: dict[str, StepTrace]
    calls: list[StartCall]
    history: list[OutsideEvent]
    events: list[Event]

    @property
    def is_degraded(self) -> bool:
        """True when the output goes without a step that failed."""
        return self.passed_over is not None

    def status_of(self, step: str) -> str:
        """Return how a step ended, or `not started`.

        A group that is tried again runs its steps under paths of their own: the second
        round of `fan[left]/charge` is `fan~2[left]/charge`.
        """
        trace = self.steps.get(step)
        return trace.status if trace is not None else "not started"


def earliest(pending: Sequence[Pending]) -> Pending:
    """Choose what is due first; of equals, what was asked for first."""
    return min(pending, key=lambda one: one.due_at_ms)


def shuffled(seed: int) -> Chooser:
    """Return a chooser of any order, by lot; equal seeds choose alike."""
    lot = random.Random(seed)
    return lot.choice


class Simulation:
    """One execution under way. `run` takes it to its end; `happen` takes one step.

    Args:
        script: What the upstreams answer.
        signals: What somebody outside tells it, and when.
        trace: Headers that every call passes on.
        machines, limits: As for `plait.kernel.Kernel`.
    """

    def __init__(
        self,
        plan: Plan,
        script: Script,
        *,
        input: JsonValue = None,
        signals: Sequence[Told] = (),
        trigger: JsonValue = None,
        env: JsonObject | None = None,
        secrets: Mapping[str, str] | None = None,
        trace: tuple[tuple[str, str], ...] = (),
        execution_id: str = "simulated",
        machines: Mapping[str, Machine] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.kernel = Kernel(plan, machines=machines, limits=limits)
        self.now_ms = STARTED_AT_MS
        self.calls: list[StartCall] = []
        self.events: list[Event] = []
        self._script = script
        self._calls: dict[str, Pending] = {}
        self._timers: dict[int, Pending] = {}
        self._told = _pending_told(signals)
        self._trace = Trace(0.0)
        started = ExecutionStarted(
            execution_id,
            plan.content_hash,
            input,
            {} if env is None else env,
            self.now_ms,
            BEHAVIOUR,
            trigger,
        )
        self.history: list[OutsideEvent] = [started]
        ambient = Ambient({} if secrets is None else secrets, trace)
        self.state, turn = self.kernel.start(started, ambient)
        self._act(turn)

    @property
    def pending(self) -> list[Pending]:
        """Everything outstanding: calls, timers, signals, each in the order of asking."""
        return [
            *self._calls.values(),
            *self._timers.values(),
            *self._told,
        ]

    def pending_at(self, step: str) -> Pending:
        """Return the first of what is outstanding for the step at this path.

        Raises:
            LookupError: Nothing is.
        """
        for pending in self.pending:
            if pending.step == step:
                return pending
        raise LookupError(f"step '{step}' waits for nothing")

    def happen(self, pending: Pending) -> Turn:
        """Let `pending` happen now, or when it is due if that is later."""
        event = pending.event
        match event:
            case TimerFired(timer=timer):
                del self._timers[timer]
            case SignalReceived() | ApprovalDecided():
                del self._told[self._told.index(pending)]
            case _:
                del self._calls[event.step]
        self.now_ms = max(self.now_ms, pending.due_at_ms)
        return self.feed(replace(event, at_ms=self.now_ms))

    def feed(self, event: OutsideEvent) -> Turn:
        """Tell the kernel of any event, be it late, repeated or unknown."""
        turn = self.kernel.decide(self.state, event)
        if turn.events:
            self.history.append(event)
        self._act(turn)
        return turn

    def cancel(self, reason: str = "no longer wanted") -> Turn:
        """Ask for the execution to stop."""
        return self.feed(CancelRequested(reason, self.now_ms))

    def run(self, choose: Chooser = earliest) -> Simulated:
        """Let things happen, in the order that `choose` says, until the execution ends."""
        while self.state.end is None:
            if not self.pending:
                raise Stuck(list(self.state.waiting))
            self.happen(choose(self.pending))
        return self.result()

    def result(self) -> Simulated:
        """Return how the execution ended; until then its status is `running`."""
        end = self.state.end
        return Simulated(
            "running" if end is None else _STATUS[type(end)],
            end.output if isinstance(end, ExecutionCompleted) else None,
            getattr(end, "failure", None),
            self.now_ms - STARTED_AT_MS,
            end.passed_over if isinstance(end, ExecutionCompleted) else None,
            self._trace.steps,
            self.calls,
            self.history,
            self.events,
        )

    # -- the host's side ---------------------------------------------------------------

    def _act(self, turn: Turn) -> None:
        self.events.extend(turn.events)
        self._trace.note(turn.events, (self.now_ms - STARTED_AT_MS) / 1000)
        for command in turn.commands:
            match command:
                case StartCall():
                    self._start_call(command)
                case CancelCall(step=step):
                    del self._calls[step]
                case StartTimer(timer=timer, due_at_ms=due_at_ms, step=step):
                    fired = TimerFired(timer, due_at_ms)
                    self._timers[timer] = Pending(step, due_at_ms, fired)
                case CancelTimer(timer=timer):
                    del self._timers[timer]
        if self.state.end is not None:
            self._told.clear()
            assert not self.pending, f"left over at the end: {self.pending}"

    def _start_call(self, call: StartCall) -> None:
        assert call.step not in self._calls, f"step '{call.step}' calls twice at once"
        self.calls.append(call)
        answer = answer_to(self._script, call)
        assert answer.after_ms is not None
        due_at_ms = self.now_ms + answer.after_ms
        step, attempt = call.step, call.attempt
        event: CallCompleted | CallFailed
        if answer.failure is None:
            event = CallCompleted(step, attempt, answer.response, answer.facts, due_at_ms)
        else:
            event = CallFailed(step, attempt, answer.failure, due_at_ms)
        self._calls[step] = Pending(step, due_at_ms, event)


def _pending_told(signals: Sequence[Told]) -> list[Pending]:
    found: list[Pending] = []
    for number, one in enumerate(signals, start=1):
        at_ms = STARTED_AT_MS + one.after_ms
        event: SignalReceived | ApprovalDecided
        if isinstance(one, Sent):
            event = SignalReceived(f"signal-{number}", one.name, one.payload, at_ms)
        else:
            told = (one.step, one.decision, one.by, one.comment)
            event = ApprovalDecided(*told, list(one.roles), at_ms)
        found.append(Pending("", at_ms, event))
    return found


def simulate(
    plan: Plan,
    script: Script,
    *,
    input: JsonValue = None,
    signals: Sequence[Told] = (),
    choose: Chooser = earliest,
) -> Simulated:
    """Run `plan` once, in virtual time, and return how it ended.

    Args:
        plan: A compiled workflow (`plait.compile.compile_text(…).plan`).
        script: What the other systems answer, by step path.
        input: The workflow's input.
        signals: What somebody outside tells it, and when.
        choose: Which of the outstanding things happens next.

    Raises:
        Stuck: It waits for somebody outside who tells it nothing more.
        Unscripted: The workflow made a call that the script does not answer.
    """
    return Simulation(plan, script, input=input, signals=signals).run(choose)
