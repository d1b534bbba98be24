"""The express driver: decide, act; nothing is recorded, nothing outlives the request.

Rule 1. No task per step: outcomes arrive as callbacks on the loop, the caller awaits one
        future.
Rule 2. Giving up the caller's await cancels every call under way.

Not here: what to do next (plait.kernel), making calls (behind plait.ports.calls).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, assert_never

from plait.drivers.inline.trace import Trace
from plait.drivers.redact import redacted, replied_without
from plait.drivers.tenancy import owned, secrets_of
from plait.kernel import (
    BEHAVIOUR,
    Ambient,
    CancelCall,
    CancelTimer,
    Execution,
    Kernel,
    StartCall,
    StartTimer,
    Turn,
)
from plait.kernel.events import (
    CallCompleted,
    CallFailed,
    Event,
    ExecutionCancelled,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionStarted,
    OutsideEvent,
    TimerFired,
)
from plait.model.caller import DEFAULT_TENANT
from plait.model.errors import Advice, PlaitError
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.ports.calls import CallHandle, CallReply, Calls, Outcome
from plait.ports.observer import EXPRESS, About, Observer, wanted_by


class NeedsDurable(PlaitError):
    """A workflow is to be run in a way that no express execution can be."""

    code: ClassVar[str] = "execution.needs_durable"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(
        self,
        workflow: str,
        reason: str = "waits for an event or an approval: run it durably "
        "(`plait run --durable`)",
    ) -> None:
        super().__init__(f"workflow '{workflow}' {reason}")
        self.workflow = workflow


@record
class Result:
    """How an execution ended.

    Attributes:
        status: `completed`, `failed` or `cancelled`.
        failure: Why, when it failed.
        passed_over: The first failure that the output goes without; None: it is whole.
        state: The kernel's final state, for templates that look at the whole execution.
    """

    execution_id: str
    status: str
    output: JsonValue = field(repr=False)
    failure: Failure | None
    passed_over: Failure | None
    trace: Trace = field(repr=False)
    state: Execution = field(repr=False)

    @property
    def is_degraded(self) -> bool:
        """True when the output goes without a step that failed."""
        return self.passed_over is not None


@record
class Start:
    """What an execution starts with.

    Attributes:
        tenant: Whose it is.
    """

    execution_id: str
    input: JsonValue
    trigger: JsonValue = None
    trace: tuple[tuple[str, str], ...] = ()
    tenant: str = DEFAULT_TENANT


# Hears of what happened in a turn. It returns at once, and raises nothing.
Hear: TypeAlias = Callable[[list[Event]], object]


class InlineDriver:
    """Runs executions on the running event loop.

    Args:
        calls: Performs the calls.
        env: Non-secret settings that templates read as `env`.
        secrets: Secrets that requests read as `secrets`.
        observer: Hears of each execution when it has ended; None: nobody does.
    """

    def __init__(
        self,
        calls: Calls,
        *,
        env: JsonObject | None = None,
        secrets: Mapping[str, str] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._observer = observer
        self._calls = calls
        self._env = env or {}
        self._secrets = secrets or {}

    async def run(self, kernel: Kernel, start: Start, hear: Hear | None = None) -> Result:
        """Run one execution to its end.

        Args:
            hear: Hears of what happens in each turn, while it happens.

        Raises:
            NeedsDurable: It may wait for somebody outside; nothing was begun.
            asyncio.CancelledError: The caller gave up; all calls have been cancelled.
        """
        if kernel.waits_outside:
            raise NeedsDurable(kernel.plan.name)
        loop = asyncio.get_running_loop()
        execution = _Running(kernel, self._calls, loop, hear)
        try:
            secrets = secrets_of(start.tenant, self._secrets)
            execution.begin(start, self._env, Ambient(secrets, start.trace))
            return await execution.done
        finally:
            execution.release()
            if self._observer is not None:
                execution.tell(self._observer, start)


@dataclass(slots=True, eq=False)
class _Running:
    """One execution under way."""

    kernel: Kernel
    calls: Calls
    loop: asyncio.AbstractEventLoop
    hear: Hear | None = None
    done: asyncio.Future[Result] = field(init=False)
    state: Execution = field(init=False)
    trace: Trace = field(init=False)
    handles: dict[str, CallHandle] = field(default_factory=dict)
    timers: dict[int, asyncio.TimerHandle] = field(default_factory=dict)
    inbox: deque[OutsideEvent] = field(default_factory=deque)
    is_deciding: bool = False
    epoch_offset_s: float = 0.0
    tenant: str = DEFAULT_TENANT

    def begin(self, start: Start, env: JsonObject, ambient: Ambient) -> None:
        self.tenant = start.tenant
        self.done = self.loop.create_future()
        now_s = time.monotonic()
        # Durations are monotonic: the wall clock is read once, then only added to.
        self.epoch_offset_s = time.time() - now_s
        self.trace = Trace(now_s)
        event = ExecutionStarted(
            start.execution_id,
            self.kernel.plan.content_hash,
            start.input,
            env,
            self.at_ms(now_s),
            BEHAVIOUR,
            start.trigger,
        )
        self.is_deciding = True
        self.state, turn = self.kernel.start(event, ambient)
        self.act(turn, now_s)
        self.is_deciding = False
        self.drain()

    def at_ms(self, now_s: float) -> int:
        return int((self.epoch_offset_s + now_s) * 1000)

    def feed(self, event: OutsideEvent) -> None:
        """Take in an event; one that arrives while another is decided waits its turn."""
        self.inbox.append(event)
        if not self.is_deciding:
            self.drain()

    def drain(self) -> None:
        self.is_deciding = True
        try:
            while self.inbox and not self.done.done():
                turn = self.kernel.decide(self.state, self.inbox.popleft())
                self.act(turn, time.monotonic())
        except Exception as error:
            if not self.done.done():
                self.done.set_exception(error)
        finally:
            self.is_deciding = False

    def act(self, turn: Turn, now_s: float) -> None:
        self.trace.note(turn.events, now_s)
        if self.hear is not None:
            self.hear([*turn.events])
        # No history is kept, so there is none that a long loop could make too long.
        self.state.event_count = 0
        for command in turn.commands:
            match command:
                case StartCall():
                    self.start_call(command)
                case CancelCall(step=step):
                    self.cancel_call(step)
                case StartTimer():
                    self.start_timer(command)
                case CancelTimer(timer=timer):
                    self.cancel_timer(timer)
                case _:
                    assert_never(command)
        if self.state.end is not None and not self.done.done():
            self.trace.ended_s = now_s
            self.done.set_result(self.result())

    def start_call(self, command: StartCall) -> None:
        step, attempt = command.step, command.attempt
        is_heard = False

        def hear(outcome: Outcome) -> None:
            nonlocal is_heard
            is_heard = True
            self.handles.pop(step, None)
            at_ms = self.at_ms(time.monotonic())
            if isinstance(outcome, CallReply):
                response, facts = outcome.response, outcome.facts
                # Whoever reads no secret sends none that could come back: most need no
                # look at what came.
                if "secrets" in self.kernel.plan.roots:
                    response, facts = replied_without(
                        response, facts, self.state.ambient.secrets
                    )
                notes = [*outcome.notes] if outcome.notes else None
                event: Any = CallCompleted(
                    step, attempt, response, facts, at_ms, outcome.passed_over, notes
                )
            else:
                failure = redacted(outcome, self.state.ambient.secrets)
                event = CallFailed(step, attempt, failure, at_ms)
            self.feed(event)

        handle = self.calls.start(owned(command, self.tenant), hear)
        # A call that failed at once has been heard already; its handle is of no use.
        if not is_heard:
            self.handles[step] = handle

    def cancel_call(self, step: str) -> None:
        handle = self.handles.pop(step, None)
        if handle is not None:
            handle.cancel()

    def start_timer(self, command: StartTimer) -> None:
        timer = command.timer
        delay_s = command.due_at_ms / 1000 - self.epoch_offset_s - time.monotonic()

        def fire() -> None:
            self.timers.pop(timer, None)
            at_ms = self.at_ms(time.monotonic())
            # The loop's clock ticks coarsely and may fire within the millisecond before.
            self.feed(TimerFired(timer, max(command.due_at_ms, at_ms)))

        self.timers[timer] = self.loop.call_later(max(delay_s, 0), fire)

    def cancel_timer(self, timer: int) -> None:
        # It may have fired already and wait in the inbox; the kernel will ignore it.
        handle = self.timers.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def result(self) -> Result:
        end, x = self.state.end, self.state
        output: JsonValue = None
        failure: Failure | None = None
        passed_over: Failure | None = None
        match end:
            case ExecutionCompleted():
                status, output, passed_over = "completed", end.output, end.passed_over
            case ExecutionFailed():
                status, failure = "failed", end.failure
            case ExecutionCompensated():
                status, failure = "compensated", end.failure
            case ExecutionCancelled() | None:
                status = "cancelled"
            case _:
                assert_never(end)
        execution_id = x.started.execution_id
        return Result(execution_id, status, output, failure, passed_over, self.trace, x)

    def tell(self, observer: Observer, start: Start) -> None:
        """Tell how it went; one that nobody waited for any longer was cancelled."""
        done, trace = self.done, self.trace
        status, failure = "cancelled", None
        if done.done() and not done.cancelled() and done.exception() is None:
            status, failure = done.result().status, done.result().failure
        else:
            trace.ended_s = time.monotonic()
        about = About(
            start.execution_id,
            self.kernel.plan.name,
            start.tenant,
            EXPRESS,
            start.trace,
            self.epoch_offset_s + trace.started_s,
            wanted_by(start.trigger),
        )
        took_s, lines = trace.ended_s - trace.started_s, trace.steps.values()
        observer.ran(about, status, failure, took_s, lines, self.epoch_offset_s)

    def release(self) -> None:
        """Cancel what is still under way; after a regular end there is nothing."""
        for handle in self.handles.values():
            handle.cancel()
        for timer in self.timers.values():
            timer.cancel()
        self.handles.clear()
        self.timers.clear()
