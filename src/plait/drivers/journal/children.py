"""Children of durable executions: durable themselves, and found again after a crash.

Rule 1. A child has its own history; its parent's has only what it came to.
Rule 2. A parent that was resumed lets a child go on that had failed, or was cancelled,
        before that; what the child had completed stays.
Rule 3. Cancelling the step cancels the child. A worker that lets go of the parent does
        not: the child goes on, and the parent's next worker waits for the same one.

Not here: what a child is called (plait.drivers.children).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol

from plait.drivers.children import (
    Workflows,
    child_of,
    failure_of,
    input_of,
    plan_for,
    reply_of,
    timed_out,
    told_of,
    trigger_of,
)
from plait.drivers.inline import Result
from plait.drivers.journal.terms import Start
from plait.model.failure import Failure
from plait.plan import Plan
from plait.ports.calls import Call, CallReply, Done, Outcome
from plait.ports.journal import LostRace, StoreUnavailable, Summary, UnknownExecution

_AWAY_S: Final = 1.0


class Parent(Protocol):
    """What children need of the driver."""

    async def start(self, plan: Plan, start: Start) -> Summary:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...

    async def resume_child(self, child_id: str, parent_id: str) -> None:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...

    async def ended(self, execution_id: str) -> Summary:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...

    async def result(self, execution_id: str) -> Result:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...

    async def cancel(self, execution_id: str, reason: str, message_id: str) -> None:
        """See plait.drivers.journal.driver.JournalDriver."""
        ...


class Child:
    """A child that a step waits for."""

    def __init__(
        self, running: asyncio.Task[Outcome], cancel: Callable[[], object]
    ) -> None:
        self._running = running
        self._cancel = cancel

    def cancel(self) -> None:
        """Stop waiting, and cancel the child."""
        self._running.cancel()
        self._cancel()

    def abandon(self) -> None:
        """Stop waiting; the child goes on."""
        self._running.cancel()


class Children:
    """Starts children, and waits for them.

    Args:
        spawn: Runs something in the background for as long as the driver lives.
    """

    def __init__(
        self,
        parent: Parent,
        workflows: Workflows,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._parent = parent
        self._workflows = workflows
        self._spawn = spawn

    def start(self, call: Call, done: Done) -> Child:
        """Start the child that `call` asks for; `done` hears what it came to."""
        running = told_of(call, self._outcome(call), done)
        return Child(running, lambda: self._spawn(self._cancelled(child_of(call))))

    async def _outcome(self, call: Call) -> Outcome:
        plan = plan_for(call, self._workflows)
        if isinstance(plan, Failure):
            return plan
        try:
            async with asyncio.timeout(call.timeout_ms / 1000):
                return await self._surely(call, plan)
        except TimeoutError:
            self._spawn(self._cancelled(child_of(call)))
            return timed_out(call)

    async def _surely(self, call: Call, plan: Plan) -> Outcome:
        """A store that is away for a while fails no step."""
        while True:
            with suppress(StoreUnavailable):
                return await self._outcome_of(call, plan)
            await asyncio.sleep(_AWAY_S)

    async def _outcome_of(self, call: Call, plan: Plan) -> Outcome:
        child_id = child_of(call)
        start = Start(
            child_id,
            input_of(call),
            trigger_of(call),
            trace=call.trace,
            parent=call.execution_id,
        )
        try:
            await self._parent.start(plan, start)
        except LostRace:  # it was started before: before a crash, or before a resume
            await self._parent.resume_child(child_id, call.execution_id)
        if call.request.get("wait") is False:
            return CallReply({"execution_id": child_id}, {})
        await self._parent.ended(child_id)
        result = await self._parent.result(child_id)
        if result.status != "completed":
            return failure_of(result.failure, child_id)
        return reply_of(result.output, result.passed_over, child_id)

    async def _cancelled(self, child_id: str) -> None:
        with suppress(UnknownExecution, StoreUnavailable):
            reason = "the workflow that it belongs to went on without it"
            await self._parent.cancel(child_id, reason, f"parent-{child_id}")
