"""The engine: what all steps share, around the machines of the node kinds.

Rule. Work is proportional to the nodes that an event touches, never to the history.

Not here: what a turn is (plait.kernel.kernel), what one node kind does
(plait.kernel.machines), a step's states (plait.kernel.lifecycle), which steps of a scope
are ready (plait.kernel.frames), what a call says (plait.kernel.calls), whether it is made
again (plait.kernel.retry), which timers are outstanding (plait.kernel.timers), what is
undone (plait.kernel.compensation), addresses (plait.kernel.paths).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plait.expression import ExpressionError
from plait.kernel.calls import call_of
from plait.kernel.commands import CancelCall
from plait.kernel.compensation import (
    COMPENSATE,
    begin,
    begin_at_end,
    due_at_end,
    inside_of,
    note_call,
    note_completed,
    on_frame_over,
    owe,
)
from plait.kernel.compensation import go_on as go_on_undoing
from plait.kernel.events import (
    ExecutionCompleted,
    ExecutionFailed,
    FallbackStarted,
    RetryScheduled,
    RetryStarted,
    StepCancelled,
    StepCompleted,
    StepEvent,
    StepFailed,
    StepSkipped,
    StepStarted,
    TerminalEvent,
)
from plait.kernel.failures import (
    crowded,
    in_brief,
    out_of_time,
    with_detail,
)
from plait.kernel.frames import (
    Openings,
    address,
    leave,
    pass_over,
    passed_over_around,
    settle,
)
from plait.kernel.lifecycle import TRANSITIONS, StepState, advance
from plait.kernel.machine import NO_NAMES, Machine
from plait.kernel.machines import built_in_machines
from plait.kernel.paths import beside, inside
from plait.kernel.retry import retry_at_ms
from plait.kernel.state import Execution, Frame, Run
from plait.kernel.timers import (
    cancel_all_timers,
    cancel_timers,
    pending_count,
    start_timer,
    watch_deadlines,
)
from plait.kernel.turn import Limits
from plait.kernel.views import absent_view, completed_view, default_output
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.plan import Plan, Scope


class Engine:
    """Runs the steps of executions of one plan. Keeps no execution's state."""

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

    # -- frames --------------------------------------------------------------------

    def open_frame(
        self,
        x: Execution,
        run: Run,
        name: str,
        suffix: str,
        names: Mapping[str, JsonValue] = NO_NAMES,
        key: str = "",
    ) -> None:
        """Start the scope `name` of `run`'s node (see `plait.kernel.machine.Offers`)."""
        prefix = inside(run.path, run.attempt) + suffix
        seen = {**run.frame.names, **names}
        self._openings.open(x, run.node.scopes[name], run, key or name, prefix, seen)

    def open_scope(
        self,
        x: Execution,
        scope: Scope,
        owner: Run | None,
        name: str,
        prefix: str,
        names: dict[str, Any],
    ) -> None:
        """Start a scope that undoes a step (see `plait.kernel.compensation.Undoes`)."""
        frame = self._openings.open(x, scope, owner, name, prefix, names)
        if owner is None:
            x.root = frame

    def _complete_frame(self, x: Execution, frame: Frame) -> None:
        if frame.name == COMPENSATE:
            leave(frame)
            frame.runs.clear()
            on_frame_over(self, x, frame, None)
            return
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
        if frame.name == COMPENSATE:
            on_frame_over(self, x, frame, failure)
        elif parent is None:
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
                if x.undo and self._machines[run.node.machine].undoes:
                    owe(x, run)
                self._drop(x, run)
                self._note(x, run, StepCancelled(run.path, x.now_ms))
        frame.runs.clear()

    # -- a step's beginning --------------------------------------------------------

    def _begin(self, x: Execution, frame: Frame, index: int) -> None:
        node = frame.scope.nodes[index]
        run = frame.runs[index] = Run(node, frame, address(frame, node))
        run.undo_from = x.undo_count
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
        refused = self._crowded(x, run)
        if refused is None and x.recorded is not None:
            refused = x.recorded.refusal_of(run.path, run.attempt)
        call = refused or call_of(x, run)
        if isinstance(call, Failure):
            self.fail(x, run, call)
            return
        x.calls[run.path] = run
        x.commands.append(call)
        if x.compensation_count:
            note_call(x, run)

    def start_timer(self, x: Execution, run: Run, due_at_ms: int) -> None:
        """Ask for a timer for `run` (see `plait.kernel.machine.Offers`)."""
        refused = self._crowded(x, run)
        if refused is not None:
            self.fail(x, run, refused)
        else:
            start_timer(x, run, "machine", due_at_ms)

    def wait_outside(self, x: Execution, run: Run, due_at_ms: int | None) -> bool:
        """Wait for somebody outside (see `plait.kernel.machine.Offers`)."""
        refused = self._crowded(x, run)
        if refused is not None:
            self.fail(x, run, refused)
            return False
        x.waiting[run.path] = run
        if due_at_ms is not None:
            start_timer(x, run, "patience", due_at_ms)
        return True

    def _crowded(self, x: Execution, run: Run) -> Failure | None:
        """Return why nothing more can be outstanding; None: it can."""
        if x.recorded is not None:
            return x.recorded.crowded_out(run.path, run.attempt)
        is_full = pending_count(x) >= self._limits.pending_max
        return crowded(self._limits.pending_max) if is_full else None

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
        if run.node.compensate_scope is not None and not by_fallback:
            note_completed(x, run)
        settle(x, run)

    def undo(self, x: Execution, run: Run, failure: Failure) -> None:
        """Undo what completed inside `run` (see `plait.kernel.machine.Offers`)."""
        failure = failure.at(step=run.path, attempts=run.attempt, place=run.node.place)
        self._drop(x, run)
        keys = inside_of(x, run)
        if not keys:
            self.fail(x, run, failure)
            return
        run.memory = begin(x, run, keys, failure)
        go_on_undoing(self, x, run, run.memory)

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
        """End the execution, but for what is to be undone before."""
        # What runs when a workflow returns is cut short by success, and not undone.
        keys = due_at_end(x, event) if isinstance(event, ExecutionCompleted) else []
        self._stop(x)
        if not isinstance(event, ExecutionCompleted):
            keys = due_at_end(x, event)
        if not keys or x.undoing is not None:
            self.close(x, event)
            return
        x.deadline_count = 0
        x.undoing = begin_at_end(x, keys, event)
        go_on_undoing(self, x, None, x.undoing)

    def close(self, x: Execution, event: TerminalEvent) -> None:
        """All is over."""
        self._stop(x)
        x.undoing = None
        x.end = event
        x.events.append(event)

    def _stop(self, x: Execution) -> None:
        if x.root is not None and x.root.is_open:
            self.close_frame(x, x.root)
        cancel_all_timers(x)
        x.ready.clear()

    # -- timers and bookkeeping ------------------------------------------------------

    def _on_timer_of(self, x: Execution, run: Run, purpose: str) -> None:
        match purpose:
            case "retry":
                event = RetryStarted(run.path, run.attempt + 1, x.now_ms)
                self._note(x, run, event)
                self._attempt(x, run)
            case "machine" | "patience":
                self._machines[run.node.machine].on_timer(self, x, run)
            case _ if purpose.startswith("item_"):
                self._machines[run.node.machine].on_item_timer(self, x, run, purpose)
            case _:
                self._time_out(x, run, is_last=purpose == "timeout")

    def _time_out(self, x: Execution, run: Run, *, is_last: bool) -> None:
        """The attempt took too long, or all together: then no further one is made."""
        failure = out_of_time(run)
        if self._machines[run.node.machine].outlasts(self, x, run, failure):
            return
        if not is_last:
            self.fail(x, run, failure)
            return
        self._drop(x, run)
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
