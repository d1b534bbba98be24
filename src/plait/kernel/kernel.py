"""The kernel: one outside event in, all that follows from it out.

Rule 1. A turn handles one outside event, then everything that has become ready, first
        come first served. Nothing recurses per step, so a chain may be any length.
Rule 2. After each turn an open execution has a call outstanding, a timer that is no mere
        time limit, or waits for somebody outside: something will wake it. This is asserted.

Not here: how a step begins, ends, falls back (plait.kernel.engine).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import assert_never

from plait.expression import Template
from plait.kernel.calls import secrets_read
from plait.kernel.commands import Command, StartCall, StartTimer
from plait.kernel.compensation import cut_short
from plait.kernel.engine import Engine
from plait.kernel.events import (
    ApprovalDecided,
    CallCompleted,
    CallFailed,
    CancelRequested,
    CompensationRequested,
    ExecutionCancelled,
    ExecutionCompensated,
    ExecutionFailed,
    ExecutionResumed,
    ExecutionStarted,
    HistoryBegun,
    HistoryRefused,
    IncidentRaised,
    IncidentResolved,
    OutcomeUnknown,
    OutsideEvent,
    RetryStarted,
    SignalReceived,
    TimerFired,
    WorkerLost,
)
from plait.kernel.failures import (
    execution_out_of_time,
    history_full,
)
from plait.kernel.frames import (
    FRAME_DONE,
    active_runs,
    pass_over,
)
from plait.kernel.incidents import go_on, outcome_unknown, pause, take_up
from plait.kernel.lifecycle import InvariantBroken, StepState
from plait.kernel.mailbox import is_new, keep, refuse
from plait.kernel.recorded import Recorded
from plait.kernel.snapshot import Snapshots
from plait.kernel.state import Ambient, Execution, Run
from plait.kernel.timers import (
    renew_deadlines,
    start_execution_deadline,
    take_timer,
)
from plait.kernel.turn import BEHAVIOUR, BehaviourUnknown, Turn
from plait.kernel.views import first_names
from plait.model.failure import Failure
from plait.model.json import JsonObject
from plait.plan import all_nodes


class Kernel(Engine):
    """Runs executions of one plan. Keeps no execution's state; one serves them all."""

    @cached_property
    def has_loops(self) -> bool:
        """True when a step of the plan runs what is inside it, or before it, many times."""
        machines = [self._machines[node.machine] for node in all_nodes(self.plan.scope)]
        return any(one.repeats or one.is_endless or one.jumps for one in machines)

    def is_long(self, x: Execution) -> bool:
        """Tell whether the history of `x` is so long that it should begin anew."""
        return self.has_loops and x.event_count > self._limits.events_kept

    @cached_property
    def waits_outside(self) -> bool:
        """True when a step of the plan waits for somebody outside."""
        machines = self._machines
        nodes = all_nodes(self.plan.scope)
        return any(machines[node.machine].waits_outside for node in nodes)

    def secrets_of(self, known: Iterable[str]) -> tuple[str, ...]:
        """Return which of the secrets of these names the plan's calls read."""
        names = frozenset(known)
        return tuple(sorted(names & secrets_read(self._requests, names)))

    @cached_property
    def secrets_named(self) -> frozenset[str]:
        """The names of the secrets that the plan's calls read, as far as it names them."""
        return secrets_read(self._requests, ())

    @cached_property
    def _requests(self) -> list[Template]:
        nodes = all_nodes(self.plan.scope)
        return [one for node in nodes for one in node.templates.values()]

    def wanted(self, run: Run) -> JsonObject:
        """Return what `run`, one of `Execution.waiting`, waits for: `for`, and more."""
        return self._machines[run.node.machine].wanted(run)

    def admits(self, x: Execution, event: ApprovalDecided) -> bool:
        """Tell whether a decision would count: the step asks, and whoever decides may."""
        run = x.waiting.get(event.step)
        return run is not None and self._machines[run.node.machine].admits(run, event)

    # -- turns ---------------------------------------------------------------------

    def start(
        self,
        event: ExecutionStarted,
        ambient: Ambient | None = None,
        recorded: Recorded | None = None,
    ) -> tuple[Execution, Turn]:
        """Begin an execution: return its state and its first turn.

        Args:
            recorded: What the turn came to when it ran; None: it runs now.

        Raises:
            BehaviourUnknown: A newer kernel started this execution.
        """
        if event.behaviour > BEHAVIOUR:
            raise BehaviourUnknown(event.behaviour)
        x = Execution(self.plan, event, ambient or Ambient(), event.at_ms)
        x.recorded = recorded
        x.events.append(event)
        if self.plan.timeout_ms is not None:
            start_execution_deadline(x, event.at_ms + self.plan.timeout_ms)
        names = first_names(self.plan, event, x.ambient)
        x.root = self._openings.open(x, self.plan.scope, None, "", "", names)
        return x, self._end_turn(x)

    def snapshot(
        self,
        x: Execution,
        calls: Mapping[str, StartCall],
        timers: Mapping[int, StartTimer],
    ) -> JsonObject:
        """Return the state of `x`, which has not ended, as JSON; `restore` reads it.

        It shares values with `x`: write it before the next turn.

        Args:
            calls, timers: What is outstanding, as whoever performs it has it.
        """
        return self._snapshots.take(x, calls, timers)

    def restore(
        self,
        started: ExecutionStarted,
        saved: JsonObject,
        ambient: Ambient | None = None,
    ) -> tuple[Execution, list[Command]]:
        """Return the execution that a snapshot was taken of, and what is outstanding.

        Raises:
            TurnUnreadable: A newer version has taken the snapshot.
            BehaviourUnknown: A newer kernel started the execution.
        """
        if started.behaviour > BEHAVIOUR:
            raise BehaviourUnknown(started.behaviour)
        return self._snapshots.read(started, saved, ambient or Ambient())

    @cached_property
    def _snapshots(self) -> Snapshots:
        return Snapshots(self.plan, self._machines)

    def decide(self, x: Execution, event: OutsideEvent) -> Turn:
        """Apply one outside event to `x`; return what follows from it.

        An event that comes too late (its call was given up, its timer cancelled, the
        execution over) changes nothing: the turn is empty.
        """
        if x.end is not None and not isinstance(event, CompensationRequested):
            return Turn([], [])
        match event:
            case CallCompleted() | CallFailed():
                is_expected = self._on_outcome(x, event)
            case TimerFired():
                is_expected = self._on_timer(x, event)
            case OutcomeUnknown():
                is_expected = self._on_unknown(x, event)
            case IncidentResolved():
                is_expected = self._on_resolved(x, event)
            case SignalReceived():
                is_expected = self._on_signal(x, event)
            case ApprovalDecided():
                is_expected = self._on_decision(x, event)
            case CompensationRequested():
                is_expected = self._on_wish_to_undo(x, event)
            case CancelRequested():
                is_expected = True
                self._accept(x, event)
                left = cut_short(x) if x.started.behaviour >= 2 else None
                self._end(x, ExecutionCancelled(event.reason, x.now_ms, left))
            case HistoryRefused():
                is_expected = True
                self._accept(x, event)
                # As for `limit.events`: there is no room to undo anything in.
                self.close(x, ExecutionFailed(event.failure, x.now_ms))
            case ExecutionStarted() | ExecutionResumed() | HistoryBegun():
                raise InvariantBroken("an execution starts once; who resumes it retells it")
            case WorkerLost():
                raise InvariantBroken("who holds an execution is not the kernel's business")
            case _:
                assert_never(event)
        return self._end_turn(x) if is_expected else Turn([], [])

    def is_full(self, x: Execution) -> bool:
        """Tell whether the history of `x` is as long as it may be."""
        return x.event_count > self._limits.events_max

    def resume(self, x: Execution, pause_ms: int) -> None:
        """Let `x` go on after a pause, in which time stood still for its time limits.

        Whoever keeps its timers moves them by as much.
        """
        x.now_ms += pause_ms
        x.resumed_at_ms = x.now_ms
        for run in active_runs(x):
            if run.deadline_at_ms is not None:
                run.deadline_at_ms += pause_ms

    def renew(self, x: Execution, steps: Sequence[str]) -> dict[int, int]:
        """Give those of these steps that are under way all their time once more.

        Returns:
            When their timers are due now, by number: whoever keeps them moves them.
        """
        due_at_ms: dict[int, int] = {}
        for run in active_runs(x):
            if run.path in steps:
                watches = self._machines[run.node.machine].watches_deadline
                due_at_ms.update(renew_deadlines(x, run, watches=watches))
        return due_at_ms

    def begin_again(
        self, x: Execution, steps: Sequence[str], recorded: Recorded | None = None
    ) -> Turn:
        """Let steps that are under way begin once more, as if they were not.

        Args:
            recorded: What calls came to as they began; None: they begin now.
        """
        runs = [run for run in active_runs(x) if run.path in steps]
        x.recorded = recorded
        for run in runs:
            self._drop(x, run)
            # No event says so: it has started, and what it did since counts for nothing.
            run.state, run.attempt = StepState.RUNNING, 0
            run.failure = run.memory = None
            renew_deadlines(x, run)
            self._attempt(x, run)
        turn = self._end_turn(x)
        x.recorded = None
        return turn

    def _accept(self, x: Execution, event: OutsideEvent) -> None:
        x.events.append(event)
        if event.at_ms > x.now_ms:
            x.now_ms = event.at_ms

    def _on_outcome(self, x: Execution, event: CallCompleted | CallFailed) -> bool:
        run = x.calls.get(event.step)
        if run is None or run.attempt != event.attempt:
            return False
        del x.calls[event.step]
        self._accept(x, event)
        if isinstance(event, CallCompleted):
            if event.passed_over is not None:
                missing, place = event.passed_over, run.node.place
                pass_over(run, missing.at(step=run.path, attempts=run.attempt, place=place))
            self.succeed(x, run, event.response, event.facts)
        else:
            self.fail(x, run, event.failure)
        return True

    def _on_unknown(self, x: Execution, event: OutcomeUnknown) -> bool:
        run = take_up(x, event)
        if run is None:
            return False
        self._accept(x, event)
        match run.node.on_unknown:
            case "pause":
                self._note(x, run, IncidentRaised(run.path, run.attempt, x.now_ms))
                pause(x, run)
            case "retry":
                self._attempt_call(x, run)
            case "fail":
                self.fail(x, run, outcome_unknown(run))
        return True

    def _on_resolved(self, x: Execution, event: IncidentResolved) -> bool:
        run = go_on(x, event)
        if run is None:
            return False
        self._accept(x, event)
        match event.action:
            case "retry":
                self._note(x, run, RetryStarted(run.path, run.attempt + 1, x.now_ms))
                self._attempt(x, run)
            case "done":
                self.succeed(x, run, event.response)
            case _:
                self.fail(x, run, outcome_unknown(run))
        return True

    def _on_signal(self, x: Execution, event: SignalReceived) -> bool:
        if not is_new(x, event):
            return False
        self._accept(x, event)
        if event.is_refused:
            refuse(x, event)
            return True
        for run in list(x.waiting.values()):
            if self._machines[run.node.machine].hears(self, x, run, event):
                return True
        keep(x, event, self._limits)
        return True

    def _on_decision(self, x: Execution, event: ApprovalDecided) -> bool:
        if not self.admits(x, event):
            return False
        self._accept(x, event)
        run = x.waiting[event.step]
        return self._machines[run.node.machine].hears(self, x, run, event)

    def _on_wish_to_undo(self, x: Execution, event: CompensationRequested) -> bool:
        is_over = x.end is not None
        if x.undoing is not None or is_over != event.is_rollback:
            return False
        if is_over and not x.undo:
            return False
        x.end = None
        self._accept(x, event)
        cause = Failure("execution.cancelled", event.reason)
        if x.undo:
            self._end(x, ExecutionCompensated(cause, x.now_ms))
        else:
            self._end(x, ExecutionCancelled(event.reason, x.now_ms))
        return True

    def _end_turn(self, x: Execution) -> Turn:
        ready = x.ready
        events_max = self._events_max(x)
        while ready and x.end is None:
            frame, index = ready.popleft()
            if not frame.is_open:
                continue
            if index == FRAME_DONE:
                self._complete_frame(x, frame)
            else:
                self._begin(x, frame, index)
            if len(x.events) > events_max:
                break
        self._check(x)
        turn = Turn(x.events, x.commands)
        x.event_count += len(x.events)
        x.events, x.commands = [], []
        return turn

    def _events_max(self, x: Execution) -> int:
        own = self._limits.events_max
        return own if x.recorded is None else x.recorded.events_max(own)

    def _check(self, x: Execution) -> None:
        if x.end is not None:
            return
        told = x.recorded
        is_full = x.event_count + len(x.events) > self._limits.events_max
        if is_full if told is None else told.full is not None:
            # There is no room to undo anything in; `CompensationRequested` can do it later.
            failure = (told and told.full) or history_full(self._limits.events_max)
            self.close(x, ExecutionFailed(failure, x.now_ms))
        elif len(x.timers) == x.deadline_count and not (
            x.calls or x.incidents or x.waiting
        ):
            raise InvariantBroken(f"execution {x.started.execution_id} waits for nothing")

    def _on_timer(self, x: Execution, event: TimerFired) -> bool:
        if event.timer not in x.timers:
            return False
        self._accept(x, event)
        run, purpose = take_timer(x, event.timer)
        if run is not None:
            self._on_timer_of(x, run, purpose)
        else:
            self._end(x, ExecutionFailed(execution_out_of_time(x), x.now_ms))
        return True
