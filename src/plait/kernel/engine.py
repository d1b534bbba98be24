"""The engine: what all steps share, around the machines of the node kinds.

Rule 1. A turn handles one outside event, then everything that has become ready, first
        come first served. Nothing recurses per step, so a chain may be any length.
Rule 2. Work is proportional to the nodes that the event touches, never to the history.
Rule 3. After each turn an open execution has a call outstanding, a timer that is no mere
        time limit, or waits for somebody outside: something will wake it. This is asserted.

Not here: what one node kind does (plait.kernel.machines), a step's states
(plait.kernel.lifecycle), which steps of a scope are ready (plait.kernel.frames), what a
call says (plait.kernel.calls), whether it is made again (plait.kernel.retry), which timers
are outstanding (plait.kernel.timers), addresses (plait.kernel.paths).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import assert_never

from plait.expression import ExpressionError
from plait.kernel.calls import call_of
from plait.kernel.commands import CancelCall
from plait.kernel.events import (
    ApprovalDecided,
    CallCompleted,
    CallFailed,
    CancelRequested,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionResumed,
    ExecutionStarted,
    FallbackStarted,
    IncidentRaised,
    IncidentResolved,
    OutcomeUnknown,
    OutsideEvent,
    RetryScheduled,
    RetryStarted,
    SignalReceived,
    StepCancelled,
    StepCompleted,
    StepEvent,
    StepFailed,
    StepSkipped,
    StepStarted,
    TerminalEvent,
    TimerFired,
)
from plait.kernel.failures import (
    crowded,
    execution_out_of_time,
    history_full,
    in_brief,
    out_of_time,
    with_detail,
)
from plait.kernel.frames import (
    FRAME_DONE,
    Openings,
    active_runs,
    leave,
    pass_over,
    passed_over_around,
    settle,
)
from plait.kernel.incidents import go_on, outcome_unknown, pause, take_up
from plait.kernel.lifecycle import TRANSITIONS, InvariantBroken, StepState, advance
from plait.kernel.machine import Machine
from plait.kernel.machines import built_in_machines
from plait.kernel.mailbox import is_new, keep
from plait.kernel.paths import beside, inside
from plait.kernel.retry import retry_at_ms
from plait.kernel.state import Ambient, Execution, Frame, Run
from plait.kernel.timers import (
    cancel_all_timers,
    cancel_timers,
    pending_count,
    start_execution_deadline,
    start_timer,
    take_timer,
    watch_deadlines,
)
from plait.kernel.turn import BEHAVIOUR, BehaviourUnknown, Limits, Turn
from plait.kernel.views import absent_view, completed_view, default_output, first_names
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.plan import Plan, all_nodes


class Kernel:
    """Runs executions of one plan. Keeps no execution's state; one serves them all."""

    def __init__(
        self,
        plan: Plan,
        *,
        machines: Mapping[str, Machine] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.plan = plan
        self._machines = machines if machines is not None else built_in_machines()
        self._limits = limits if limits is not None else Limits()
        self._openings = Openings()

    @cached_property
    def waits_outside(self) -> bool:
        """True when a step of the plan waits for somebody outside."""
        machines = self._machines
        nodes = all_nodes(self.plan.scope)
        return any(machines[node.machine].waits_outside for node in nodes)

    def wanted(self, run: Run) -> JsonObject:
        """Return what `run`, one of `Execution.waiting`, waits for: `for`, and more."""
        return self._machines[run.node.machine].wanted(run)

    def admits(self, x: Execution, event: ApprovalDecided) -> bool:
        """Tell whether a decision would count: the step asks, and whoever decides may."""
        run = x.waiting.get(event.step)
        return run is not None and self._machines[run.node.machine].admits(run, event)

    # -- turns ---------------------------------------------------------------------

    def start(
        self, event: ExecutionStarted, ambient: Ambient | None = None
    ) -> tuple[Execution, Turn]:
        """Begin an execution: return its state and its first turn.

        Raises:
            BehaviourUnknown: A newer kernel started this execution.
        """
        if event.behaviour > BEHAVIOUR:
            raise BehaviourUnknown(event.behaviour)
        x = Execution(self.plan, event, ambient or Ambient(), event.at_ms)
        x.events.append(event)
        if self.plan.timeout_ms is not None:
            start_execution_deadline(x, event.at_ms + self.plan.timeout_ms)
        names = first_names(self.plan, event, x.ambient)
        x.root = self._openings.open(x, self.plan.scope, None, "", "", names)
        return x, self._end_turn(x)

    def decide(self, x: Execution, event: OutsideEvent) -> Turn:
        """Apply one outside event to `x`; return what follows from it.

        An event that comes too late (its call was given up, its timer cancelled, the
        execution over) changes nothing: the turn is empty.
        """
        if x.end is not None:
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
            case CancelRequested():
                is_expected = True
                self._accept(x, event)
                self._end(x, ExecutionCancelled(event.reason, x.now_ms))
            case ExecutionStarted() | ExecutionResumed():
                raise InvariantBroken("an execution starts once; who resumes it retells it")
            case _:
                assert_never(event)
        return self._end_turn(x) if is_expected else Turn([], [])

    def resume(self, x: Execution, pause_ms: int) -> None:
        """Let `x` go on after a pause, in which time stood still for its time limits.

        Whoever keeps its timers moves them by as much.
        """
        x.now_ms += pause_ms
        for run in active_runs(x):
            if run.deadline_at_ms is not None:
                run.deadline_at_ms += pause_ms

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

    def _end_turn(self, x: Execution) -> Turn:
        ready = x.ready
        while ready and x.end is None:
            frame, index = ready.popleft()
            if not frame.is_open:
                continue
            if index == FRAME_DONE:
                self._complete_frame(x, frame)
            else:
                self._begin(x, frame, index)
        self._check(x)
        turn = Turn(x.events, x.commands)
        x.event_count += len(x.events)
        x.events, x.commands = [], []
        return turn

    def _check(self, x: Execution) -> None:
        if x.end is not None:
            return
        if x.event_count + len(x.events) > self._limits.events_max:
            failure = history_full(self._limits.events_max)
            self._end(x, ExecutionFailed(failure, x.now_ms))
        elif len(x.timers) == x.deadline_count and not (
            x.calls or x.incidents or x.waiting
        ):
            raise InvariantBroken(f"execution {x.started.execution_id} waits for nothing")

    # -- frames --------------------------------------------------------------------

    def open_frame(self, x: Execution, run: Run, name: str, suffix: str) -> None:
        """Start the scope `name` of `run`'s node (see `plait.kernel.machine.Offers`)."""
        prefix = inside(run.path, run.attempt) + suffix
        names = dict(run.frame.names)
        self._openings.open(x, run.node.scopes[name], run, name, prefix, names)

    def _complete_frame(self, x: Execution, frame: Frame) -> None:
        template = frame.scope.output
        try:
            output = template.render(frame.names) if template else default_output(frame)
        except ExpressionError as error:
            self._fail_frame(x, frame, error.failure())
            return
        leave(frame)
        frame.runs.clear()
        parent = frame.parent
        if parent is None:
            self._end(x, ExecutionCompleted(output, x.now_ms, frame.passed_over))
            return
        if frame.passed_over is not None:
            pass_over(parent, frame.passed_over)
        if parent.state is StepState.FALLING_BACK:
            self._end_fallback(x, parent, frame)
        else:
            machine = self._machines[parent.node.machine]
            machine.on_frame_completed(self, x, parent, frame, output)

    def _fail_frame(self, x: Execution, frame: Frame, failure: Failure) -> None:
        self.close_frame(x, frame)
        parent = frame.parent
        if parent is None:
            self._end(x, ExecutionFailed(failure, x.now_ms))
        elif parent.state is StepState.FALLING_BACK:
            self._fail_unanswered(x, parent, in_brief(failure.as_json()))
        else:
            machine = self._machines[parent.node.machine]
            machine.on_frame_failed(self, x, parent, frame, failure)

    def close_frame(self, x: Execution, frame: Frame) -> None:
        """Cancel what runs in `frame` (see `plait.kernel.machine.Offers`)."""
        leave(frame)
        for run in frame.runs.values():
            if run.is_active:
                self._drop(x, run)
                self._note(x, run, StepCancelled(run.path, x.now_ms))
        frame.runs.clear()

    # -- a step's beginning --------------------------------------------------------

    def _begin(self, x: Execution, frame: Frame, index: int) -> None:
        node = frame.scope.nodes[index]
        run = frame.runs[index] = Run(node, frame, frame.prefix + node.id)
        if node.disabled:
            self._skip(x, run, "disabled")
            return
        if node.condition is not None:
            try:
                holds = node.condition.render_bool(frame.names)
            except ExpressionError as error:
                self.fail(x, run, error.failure())
                return
            if not holds:
                self._skip(x, run, "condition")
                return
        self._note(x, run, StepStarted(run.path, x.now_ms))
        if node.timeout_ms is not None:
            run.deadline_at_ms = x.now_ms + node.timeout_ms
        self._attempt(x, run)

    def _skip(self, x: Execution, run: Run, reason: str) -> None:
        self._note(x, run, StepSkipped(run.path, reason, x.now_ms))
        run.frame.names[run.node.id] = absent_view(run.node, "skipped", 0, None)
        settle(x, run)

    def _attempt(self, x: Execution, run: Run) -> None:
        run.attempt += 1
        machine = self._machines[run.node.machine]
        if not machine.watches_deadline:
            watch_deadlines(x, run)
        try:
            machine.start(self, x, run)
        except ExpressionError as error:
            self.fail(x, run, error.failure())

    def _attempt_call(self, x: Execution, run: Run) -> None:
        try:
            self.start_call(x, run)
        except ExpressionError as error:
            self.fail(x, run, error.failure())

    def start_call(self, x: Execution, run: Run) -> None:
        """Start the node's call (see `plait.kernel.machine.Offers`)."""
        if pending_count(x) >= self._limits.pending_max:
            self.fail(x, run, crowded(self._limits.pending_max))
            return
        call = call_of(x, run)
        if isinstance(call, Failure):
            self.fail(x, run, call)
            return
        x.calls[run.path] = run
        x.commands.append(call)

    def start_timer(self, x: Execution, run: Run, due_at_ms: int) -> None:
        """Ask for a timer for `run` (see `plait.kernel.machine.Offers`)."""
        if pending_count(x) >= self._limits.pending_max:
            self.fail(x, run, crowded(self._limits.pending_max))
        else:
            start_timer(x, run, "machine", due_at_ms)

    def wait_outside(self, x: Execution, run: Run, due_at_ms: int | None) -> bool:
        """Wait for somebody outside (see `plait.kernel.machine.Offers`)."""
        if pending_count(x) >= self._limits.pending_max:
            self.fail(x, run, crowded(self._limits.pending_max))
            return False
        x.waiting[run.path] = run
        if due_at_ms is not None:
            start_timer(x, run, "patience", due_at_ms)
        return True

    # -- a step's end --------------------------------------------------------------

    def succeed(
        self, x: Execution, run: Run, response: JsonValue, facts: JsonObject | None = None
    ) -> None:
        """End the attempt with a response (see `plait.kernel.machine.Offers`)."""
        node = run.node
        view = completed_view(node, response, run.attempt, facts)
        template, names = node.output, run.frame.names
        if template is not None:
            # In place: a copy of all names for each step would make a scope quadratic. What
            # it hides is the step `fallback` of a scope around a fallback without an id.
            hidden = names.get(node.id)
            names[node.id] = view
            try:
                reshaped = template.render(names)
            except ExpressionError as error:
                del names[node.id]
                names.update({} if hidden is None else {node.id: hidden})
                self.fail(x, run, error.failure())
                return
            view = {**view, "response": reshaped}
        self._settle_completed(x, run, view, by_fallback=False)

    def _settle_completed(
        self, x: Execution, run: Run, view: dict[str, JsonValue], *, by_fallback: bool
    ) -> None:
        if run.passed_over is not None:
            pass_over(run.frame, run.passed_over)
        if run.timers or run.frames or x.waiting:
            self._drop(x, run)
        self._note(x, run, StepCompleted(run.path, run.attempt, by_fallback, x.now_ms))
        run.frame.names[run.node.id] = view
        settle(x, run)

    def fail(self, x: Execution, run: Run, failure: Failure) -> None:
        """End the attempt with a failure (see `plait.kernel.machine.Offers`)."""
        failure = failure.at(step=run.path, attempts=run.attempt, place=run.node.place)
        failure, due_at_ms = retry_at_ms(x, run, failure)
        if due_at_ms is None:
            self._drop(x, run)
            self._fall_back(x, run, failure)
            return
        self._drop(x, run, keep="timeout")
        event = RetryScheduled(run.path, run.attempt, failure, due_at_ms, x.now_ms)
        self._note(x, run, event)
        start_timer(x, run, "retry", due_at_ms)

    # -- fallback --------------------------------------------------------------------

    def _fall_back(self, x: Execution, run: Run, failure: Failure) -> None:
        """The attempts are used up: let the fallback answer, if there is one."""
        node = run.node
        if node.fallback_value is None and node.fallback_scope is None:
            self._fail_for_good(x, run, failure)
            return
        self._note(x, run, FallbackStarted(run.path, failure, x.now_ms))
        run.failure = failure
        names = {**run.frame.names, "error": failure.as_json()}
        if node.fallback_scope is not None:
            prefix = beside(run.path)
            self._openings.open(x, node.fallback_scope, run, "fallback", prefix, names)
        elif node.fallback_value is not None:
            try:
                value = node.fallback_value.render(names)
            except ExpressionError as error:
                self._fail_unanswered(x, run, in_brief(error.failure().as_json()))
                return
            self._answer(x, run, value)

    def _end_fallback(self, x: Execution, run: Run, frame: Frame) -> None:
        """The step that ran in the place of `run` has settled; it may have no answer."""
        view = frame.names[frame.scope.nodes[0].id]
        if view["status"] == "completed":
            facts = {name: view.get(name) for name in run.node.facts}
            self._answer(x, run, view["response"], facts)
        else:
            error = view["error"]
            self._fail_unanswered(x, run, in_brief(error) if error else view["status"])

    def _answer(
        self,
        x: Execution,
        run: Run,
        response: JsonValue,
        facts: JsonObject | None = None,
    ) -> None:
        """The fallback has answered. Its value is final: `output` does not reshape it."""
        view = completed_view(run.node, response, run.attempt, facts)
        self._settle_completed(x, run, view, by_fallback=True)

    def _fail_unanswered(self, x: Execution, run: Run, why: JsonValue) -> None:
        """The fallback has no answer either: what failed first is what failed."""
        assert run.failure is not None
        self._fail_for_good(x, run, with_detail(run.failure, "fallback", why))

    # -- the end of a step, and of all -------------------------------------------------

    def _fail_for_good(self, x: Execution, run: Run, failure: Failure) -> None:
        node = run.node
        self._drop(x, run)
        event = StepFailed(run.path, failure, node.continue_on_error, x.now_ms)
        self._note(x, run, event)
        if not node.continue_on_error:
            self._fail_frame(x, run.frame, failure)
            return
        pass_over(run.frame, failure)
        view = absent_view(node, "failed", run.attempt, failure.as_json())
        run.frame.names[node.id] = view
        settle(x, run)

    def finish(self, x: Execution, run: Run, output: JsonValue) -> None:
        """End the whole execution (see `plait.kernel.machine.Offers`)."""
        template = run.node.output
        if template is not None:
            view = completed_view(run.node, output, run.attempt, None)
            output = template.render({**run.frame.names, run.node.id: view})
        self._drop(x, run)
        self._note(x, run, StepCompleted(run.path, run.attempt, False, x.now_ms))
        self._end(x, ExecutionCompleted(output, x.now_ms, passed_over_around(run)))

    def _end(self, x: Execution, event: TerminalEvent) -> None:
        if x.root is not None and x.root.is_open:
            self.close_frame(x, x.root)
        cancel_all_timers(x)
        x.ready.clear()
        x.end = event
        x.events.append(event)

    # -- timers and bookkeeping ------------------------------------------------------

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

    def _on_timer_of(self, x: Execution, run: Run, purpose: str) -> None:
        match purpose:
            case "retry":
                event = RetryStarted(run.path, run.attempt + 1, x.now_ms)
                self._note(x, run, event)
                self._attempt(x, run)
            case "machine" | "patience":
                self._machines[run.node.machine].on_timer(self, x, run)
            case "timeout":
                self._time_out(x, run)
            case _:
                self.fail(x, run, out_of_time(run))

    def _time_out(self, x: Execution, run: Run) -> None:
        """All attempts together took too long: no further one is made."""
        self._drop(x, run)
        failure = out_of_time(run)
        failure = failure.at(step=run.path, attempts=run.attempt, place=run.node.place)
        self._fall_back(x, run, failure)

    def _drop(self, x: Execution, run: Run, *, keep: str = "") -> None:
        """Give up what the run has under way: its call, its timers, its frames.

        What these have come to is for nothing, also what they had to go without.
        """
        run.passed_over = None
        if x.calls.get(run.path) is run:
            del x.calls[run.path]
            x.commands.append(CancelCall(run.path, run.attempt))
        x.incidents.pop(run.path, None)
        if x.waiting.get(run.path) is run:
            del x.waiting[run.path]
        if run.timers:
            cancel_timers(x, run, keep=keep)
        if run.frames:
            for frame in list(run.frames.values()):
                self.close_frame(x, frame)

    def _note(self, x: Execution, run: Run, event: StepEvent) -> None:
        known = TRANSITIONS.get((run.state, type(event)))
        run.state = known or advance(run.state, type(event), run.path)
        x.events.append(event)
