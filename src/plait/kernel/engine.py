"""The engine: what all steps share, around the machines of the node kinds.

Rule 1. A turn handles one outside event, then everything that has become ready, first
        come first served. Nothing recurses per step, so a chain may be any length.
Rule 2. Work is proportional to the nodes that the event touches, never to the history.
Rule 3. After each turn an open execution has a call or a timer outstanding that is no
        mere time limit: something will wake it. This is asserted.

Not here: what one node kind does (plait.kernel.machines), a step's states
(plait.kernel.lifecycle), which failures are retried (plait.kernel.backoff).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, assert_never, cast

from plait.expression import ExpressionError
from plait.kernel.backoff import is_retryable, next_delay_ms
from plait.kernel.commands import CancelCall, CancelTimer, StartCall, StartTimer
from plait.kernel.events import (
    CallCompleted,
    CallFailed,
    CancelRequested,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionStarted,
    FallbackStarted,
    OutsideEvent,
    RetryScheduled,
    RetryStarted,
    StepCancelled,
    StepCompleted,
    StepEvent,
    StepFailed,
    StepSkipped,
    StepStarted,
    TerminalEvent,
    TimerFired,
)
from plait.kernel.lifecycle import TRANSITIONS, InvariantBroken, StepState, advance
from plait.kernel.machine import Machine
from plait.kernel.machines import built_in_machines
from plait.kernel.state import Ambient, Execution, Frame, Run
from plait.kernel.turn import BEHAVIOUR, BehaviourUnknown, Limits, Turn
from plait.kernel.views import absent_view, completed_view, default_output, first_names
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.plan import Plan, RetryPolicy, Scope

CALL_TIMEOUT_MS_DEFAULT: Final = 30_000
FALLBACK: Final = "fallback"
FRAME_DONE: Final = -1
DEADLINES: Final = ("timeout", "attempt_timeout")


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
        self._openings: dict[int, tuple[list[int], list[int]]] = {}

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
            x.deadline_count += 1
            self._ask_timer(x, None, event.at_ms + self.plan.timeout_ms)
        names = first_names(self.plan, event, x.ambient)
        x.root = self._open(x, self.plan.scope, None, "", "", names)
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
            case CancelRequested():
                is_expected = True
                self._accept(x, event)
                self._end(x, ExecutionCancelled(event.reason, x.now_ms))
            case ExecutionStarted():
                raise InvariantBroken("an execution starts once")
            case _:
                assert_never(event)
        return self._end_turn(x) if is_expected else Turn([], [])

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
            text = f"the execution's history reached {self._limits.events_max} events"
            self._end(x, ExecutionFailed(Failure("limit.events", text), x.now_ms))
        elif not x.calls and len(x.timers) == x.deadline_count:
            raise InvariantBroken(f"execution {x.started.execution_id} waits for nothing")

    # -- frames --------------------------------------------------------------------

    def open_frame(self, x: Execution, run: Run, name: str, prefix: str) -> None:
        """Start the scope `name` of `run`'s node (see `plait.kernel.machine.Offers`)."""
        scope = run.node.scopes[name]
        names = dict(run.frame.names)
        run.frames[name] = self._open(x, scope, run, name, prefix, names)

    def _open(
        self,
        x: Execution,
        scope: Scope,
        parent: Run | None,
        name: str,
        prefix: str,
        names: dict[str, Any],
    ) -> Frame:
        waits, ready = self._opening(scope)
        frame = Frame(scope, parent, name, prefix, names, waits.copy(), len(scope.nodes))
        x.ready.extend([(frame, index) for index in ready])
        return frame

    def _opening(self, scope: Scope) -> tuple[list[int], list[int]]:
        """Return how many deps each node of `scope` waits for, and which wait for none."""
        known = self._openings.get(id(scope))
        if known is None:
            waits = [len(node.deps) for node in scope.nodes]
            free = [index for index, count in enumerate(waits) if not count]
            known = (waits, [0] if scope.order == "sequence" else free)
            self._openings[id(scope)] = known
        return known

    def _complete_frame(self, x: Execution, frame: Frame) -> None:
        template = frame.scope.output
        try:
            output = template.render(frame.names) if template else default_output(frame)
        except ExpressionError as error:
            self._fail_frame(x, frame, error.failure())
            return
        self._leave(frame)
        frame.runs.clear()
        parent = frame.parent
        if parent is None:
            self._end(x, ExecutionCompleted(output, x.now_ms))
        elif parent.state is StepState.FALLING_BACK:
            self._complete(x, parent, self._fallback_response(frame), None)
        else:
            machine = self._machines[parent.node.machine]
            machine.on_frame_completed(self, x, parent, frame, output)

    def _fallback_response(self, frame: Frame) -> JsonValue:
        response: JsonValue = frame.names[frame.scope.nodes[0].id]["response"]
        return response

    def _fail_frame(self, x: Execution, frame: Frame, failure: Failure) -> None:
        self.close_frame(x, frame)
        parent = frame.parent
        if parent is None:
            self._end(x, ExecutionFailed(failure, x.now_ms))
        elif parent.state is StepState.FALLING_BACK:
            self._fail_for_good(x, parent, failure)
        else:
            machine = self._machines[parent.node.machine]
            machine.on_frame_failed(self, x, parent, frame, failure)

    def close_frame(self, x: Execution, frame: Frame) -> None:
        """Cancel what runs in `frame` (see `plait.kernel.machine.Offers`)."""
        self._leave(frame)
        for run in frame.runs.values():
            if run.is_active:
                self._drop(x, run)
                self._note(x, run, StepCancelled(run.path, x.now_ms))
        frame.runs.clear()

    def _leave(self, frame: Frame) -> None:
        frame.is_open = False
        if frame.parent is not None:
            frame.parent.frames.pop(frame.name, None)

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
        self._settle(x, run)

    def _attempt(self, x: Execution, run: Run) -> None:
        run.attempt += 1
        machine = self._machines[run.node.machine]
        if not machine.watches_deadline:
            self._watch_deadlines(x, run)
        try:
            machine.start(self, x, run)
        except ExpressionError as error:
            self.fail(x, run, error.failure())

    def _watch_deadlines(self, x: Execution, run: Run) -> None:
        if run.deadline_at_ms is not None and run.attempt == 1:
            self._ask_timer_for(x, run, "timeout", run.deadline_at_ms)
        if run.node.attempt_timeout_ms is not None:
            due_at_ms = x.now_ms + run.node.attempt_timeout_ms
            self._ask_timer_for(x, run, "attempt_timeout", due_at_ms)

    def start_call(self, x: Execution, run: Run) -> None:
        """Start the node's call (see `plait.kernel.machine.Offers`)."""
        node = run.node
        timeout_ms = self._call_timeout_ms(x, run)
        if timeout_ms <= 0:
            self.fail(x, run, _out_of_time(run))
            return
        if self._is_crowded(x):
            self.fail(x, run, self._crowded())
            return
        key = self._idempotency_key(x, run)
        if isinstance(key, Failure):
            self.fail(x, run, key)
            return
        command = StartCall(
            node.kind,
            self._request(run),
            node.options.get("host_is_literal") is True,
            timeout_ms,
            key,
            node.headers_read,
            x.started.execution_id,
            run.path,
            run.attempt,
            x.ambient.trace,
        )
        x.calls[run.path] = run
        x.commands.append(command)

    def _request(self, run: Run) -> dict[str, Any]:
        names = run.frame.names
        request: dict[str, Any] = {}
        for name, template in run.node.templates.items():
            if name == "request":
                request.update(cast("JsonObject", template.render(names)))
            else:
                request[name] = template.render(names)
        return request

    def _call_timeout_ms(self, x: Execution, run: Run) -> int:
        own_ms = run.node.attempt_timeout_ms
        if run.deadline_at_ms is None:
            return own_ms if own_ms is not None else CALL_TIMEOUT_MS_DEFAULT
        left_ms = run.deadline_at_ms - x.now_ms
        return left_ms if own_ms is None else min(own_ms, left_ms)

    def _idempotency_key(self, x: Execution, run: Run) -> str | Failure | None:
        node = run.node
        if node.idempotency_key is not None:
            return _as_key(node.idempotency_key.render(run.frame.names))
        if node.effect != "keyed":
            return None
        return f"{x.started.execution_id}/{run.path}"

    # -- a step's end --------------------------------------------------------------

    def succeed(
        self, x: Execution, run: Run, response: JsonValue, facts: JsonObject | None = None
    ) -> None:
        """End the attempt with a response (see `plait.kernel.machine.Offers`)."""
        view = completed_view(run.node, response, run.attempt, facts)
        template, names = run.node.output, run.frame.names
        if template is not None:
            # In place: a copy of all names for each step would make a scope quadratic.
            names[run.node.id] = view
            try:
                reshaped = template.render(names)
            except ExpressionError as error:
                del names[run.node.id]
                self.fail(x, run, error.failure())
                return
            view = {**view, "response": reshaped}
        self._settle_completed(x, run, view, by_fallback=False)

    def _complete(
        self, x: Execution, run: Run, response: JsonValue, facts: JsonObject | None
    ) -> None:
        """The fallback has answered. Its value is final: `output` does not reshape it."""
        view = completed_view(run.node, response, run.attempt, facts)
        self._settle_completed(x, run, view, by_fallback=True)

    def _settle_completed(
        self, x: Execution, run: Run, view: dict[str, JsonValue], *, by_fallback: bool
    ) -> None:
        if run.timers or run.frames:
            self._drop(x, run)
        self._note(x, run, StepCompleted(run.path, run.attempt, by_fallback, x.now_ms))
        run.frame.names[run.node.id] = view
        self._settle(x, run)

    def fail(self, x: Execution, run: Run, failure: Failure) -> None:
        """End the attempt with a failure (see `plait.kernel.machine.Offers`)."""
        failure = failure.at(step=run.path, attempts=run.attempt, place=run.node.place)
        try:
            due_at_ms = self._retry_at_ms(x, run, failure)
        except ExpressionError as error:
            failure, due_at_ms = (
                error.failure().at(
                    step=run.path, attempts=run.attempt, place=run.node.place
                ),
                None,
            )
        if due_at_ms is None:
            self._drop(x, run)
            self._fall_back(x, run, failure)
            return
        self._drop(x, run, keep="timeout")
        event = RetryScheduled(run.path, run.attempt, failure, due_at_ms, x.now_ms)
        self._note(x, run, event)
        self._ask_timer_for(x, run, "retry", due_at_ms)

    def _retry_at_ms(self, x: Execution, run: Run, failure: Failure) -> int | None:
        policy = run.node.retry
        if policy is None or not 0 < run.attempt < policy.attempts_max:
            return None
        if not is_retryable(failure, policy, run.node.effect):
            return None
        if not self._retry_condition_holds(policy, run, failure):
            return None
        seed = f"{x.started.execution_id}/{run.path}"
        delay_ms = next_delay_ms(
            policy, run.attempt, seed=seed, asked_ms=failure.retry_after_ms
        )
        due_at_ms = x.now_ms + delay_ms
        # Waiting past the step's own deadline would only delay the answer.
        too_late = run.deadline_at_ms is not None and due_at_ms >= run.deadline_at_ms
        return None if too_late else due_at_ms

    def _retry_condition_holds(
        self, policy: RetryPolicy, run: Run, failure: Failure
    ) -> bool:
        if policy.when is None:
            return True
        return policy.when.render_bool({**run.frame.names, "error": failure.as_json()})

    def _fall_back(self, x: Execution, run: Run, failure: Failure) -> None:
        node = run.node
        if node.fallback_value is None and node.fallback_scope is None:
            self._fail_for_good(x, run, failure)
            return
        self._note(x, run, FallbackStarted(run.path, failure, x.now_ms))
        names = {**run.frame.names, "error": failure.as_json()}
        if node.fallback_scope is not None:
            run.frames[FALLBACK] = self._open(
                x, node.fallback_scope, run, FALLBACK, f"{run.path}/", names
            )
        elif node.fallback_value is not None:
            try:
                self._complete(x, run, node.fallback_value.render(names), None)
            except ExpressionError as error:
                self._fail_for_good(x, run, error.failure())

    def _fail_for_good(self, x: Execution, run: Run, failure: Failure) -> None:
        node = run.node
        failure = failure.at(step=run.path, attempts=run.attempt, place=node.place)
        self._drop(x, run)
        event = StepFailed(run.path, failure, node.continue_on_error, x.now_ms)
        self._note(x, run, event)
        if not node.continue_on_error:
            self._fail_frame(x, run.frame, failure)
            return
        x.is_degraded = True
        view = absent_view(node, "failed", run.attempt, failure.as_json())
        run.frame.names[node.id] = view
        self._settle(x, run)

    def _settle(self, x: Execution, run: Run) -> None:
        frame = run.frame
        frame.unsettled -= 1
        if not frame.unsettled:
            x.ready.append((frame, FRAME_DONE))
        elif frame.scope.order == "sequence":
            x.ready.append((frame, run.node.index + 1))
        else:
            waits = frame.waits
            for index in run.node.dependents:
                waits[index] -= 1
                if not waits[index]:
                    x.ready.append((frame, index))

    def finish(self, x: Execution, run: Run, output: JsonValue) -> None:
        """End the whole execution (see `plait.kernel.machine.Offers`)."""
        template = run.node.output
        if template is not None:
            view = completed_view(run.node, output, run.attempt, None)
            output = template.render({**run.frame.names, run.node.id: view})
        self._drop(x, run)
        self._note(x, run, StepCompleted(run.path, run.attempt, False, x.now_ms))
        self._end(x, ExecutionCompleted(output, x.now_ms))

    def _end(self, x: Execution, event: TerminalEvent) -> None:
        if x.root is not None and x.root.is_open:
            self.close_frame(x, x.root)
        for timer in x.timers:
            x.commands.append(CancelTimer(timer))
        x.timers.clear()
        x.ready.clear()
        x.end = event
        x.events.append(event)

    # -- timers and bookkeeping ------------------------------------------------------

    def start_timer(self, x: Execution, run: Run, purpose: str, due_at_ms: int) -> None:
        """Ask for a timer for `run` (see `plait.kernel.machine.Offers`)."""
        if self._is_crowded(x):
            self.fail(x, run, self._crowded())
        else:
            self._ask_timer_for(x, run, purpose, due_at_ms)

    def _ask_timer_for(self, x: Execution, run: Run, purpose: str, due_at_ms: int) -> None:
        run.timers[self._ask_timer(x, run, due_at_ms)] = purpose
        x.deadline_count += purpose in DEADLINES

    def _ask_timer(self, x: Execution, run: Run | None, due_at_ms: int) -> int:
        x.timer_count += 1
        x.timers[x.timer_count] = run
        step = run.path if run is not None else ""
        x.commands.append(StartTimer(x.timer_count, due_at_ms, step))
        return x.timer_count

    def _on_timer(self, x: Execution, event: TimerFired) -> bool:
        if event.timer not in x.timers:
            return False
        self._accept(x, event)
        run = x.timers.pop(event.timer)
        if run is not None:
            self._on_timer_of(x, run, run.timers.pop(event.timer))
            return True
        failure = Failure(
            "execution.timeout",
            f"the workflow did not end within {self.plan.timeout_ms} ms",
            classes=("timeout",),
        )
        self._end(x, ExecutionFailed(failure, x.now_ms))
        return True

    def _on_timer_of(self, x: Execution, run: Run, purpose: str) -> None:
        x.deadline_count -= purpose in DEADLINES
        match purpose:
            case "retry":
                event = RetryStarted(run.path, run.attempt + 1, x.now_ms)
                self._note(x, run, event)
                self._attempt(x, run)
            case "machine":
                self._machines[run.node.machine].on_timer(self, x, run)
            case "timeout":
                self._time_out(x, run)
            case _:
                self.fail(x, run, _out_of_time(run))

    def _time_out(self, x: Execution, run: Run) -> None:
        """All attempts together took too long: no further one is made."""
        self._drop(x, run)
        failure = _out_of_time(run)
        failure = failure.at(step=run.path, attempts=run.attempt, place=run.node.place)
        self._fall_back(x, run, failure)

    def _drop(self, x: Execution, run: Run, *, keep: str = "") -> None:
        """Give up what the run has under way: its call, its timers, its frames."""
        if x.calls.get(run.path) is run:
            del x.calls[run.path]
            x.commands.append(CancelCall(run.path, run.attempt))
        if run.timers:
            for timer in [t for t, purpose in run.timers.items() if purpose != keep]:
                x.deadline_count -= run.timers.pop(timer) in DEADLINES
                del x.timers[timer]
                x.commands.append(CancelTimer(timer))
        if run.frames:
            for frame in list(run.frames.values()):
                self.close_frame(x, frame)

    def _note(self, x: Execution, run: Run, event: StepEvent) -> None:
        known = TRANSITIONS.get((run.state, type(event)))
        run.state = known or advance(run.state, type(event), run.path)
        x.events.append(event)

    def _is_crowded(self, x: Execution) -> bool:
        pending = len(x.calls) + len(x.timers) - x.deadline_count
        return pending >= self._limits.pending_max

    def _crowded(self) -> Failure:
        return Failure(
            "limit.pending_steps",
            f"more than {self._limits.pending_max} steps would be pending at once",
            advice=Advice.FIX_REQUEST,
        )


def _as_key(value: JsonValue) -> str | Failure:
    """Null as text would make one key of all executions that lack one."""
    if isinstance(value, (int, str)) and not isinstance(value, bool) and value != "":
        return str(value)
    text = "the idempotency key is neither text nor a whole number"
    return Failure("step.idempotency_key", text, advice=Advice.FIX_REQUEST)


def _out_of_time(run: Run) -> Failure:
    return Failure(
        "step.timeout",
        f"step '{run.path}' did not end within its time limit",
        advice=Advice.RETRY,
        classes=("timeout",),
    )
