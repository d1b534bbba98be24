"""Children of express executions: run within the request, like all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from plait.drivers.children import (
    KIND,
    Workflows,
    child_of,
    failure_of,
    reply_of,
    timed_out,
    told_of,
    trigger_of,
    wanted_of,
)
from plait.drivers.inline.driver import InlineDriver, Start
from plait.kernel import Kernel
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, Calls, Done, Outcome


class WithInlineChildren:
    """Performs calls through `calls`, and `workflow` steps through the driver itself.

    Attributes:
        driver: Runs the children; set once there is one.
    """

    driver: InlineDriver

    def __init__(
        self, calls: Calls, workflows: Workflows, kernel_for: Callable[[Plan], Kernel]
    ) -> None:
        self._calls = calls
        self._workflows = workflows
        self._kernel_for = kernel_for
        self._kernels: dict[str, Kernel] = {}

    def start(self, call: Call, done: Done) -> CallHandle:
        """See plait.ports.calls.Calls."""
        if call.kind != KIND:
            return self._calls.start(call, done)
        return _Child(told_of(call, partial(self._outcome, call), done))

    async def _outcome(self, call: Call) -> Outcome:
        wanted = wanted_of(call, self._workflows)
        if isinstance(wanted, Failure):
            return wanted
        if call.request.get("wait") is False:
            text = "an express workflow leaves nothing behind: it waits for its children"
            return Failure("workflow.not_durable", text, advice=Advice.FIX_REQUEST)
        start = Start(
            child_of(call), wanted.input, trigger_of(call), call.trace, call.tenant
        )
        try:
            async with asyncio.timeout(call.timeout_ms / 1000):
                result = await self.driver.run(self._kernel(wanted.plan), start)
        except TimeoutError:
            return timed_out(call)
        if result.status != "completed":
            return failure_of(result.failure, result.execution_id)
        return reply_of(result.output, result.passed_over, result.execution_id)

    def _kernel(self, plan: Plan) -> Kernel:
        known = self._kernels.get(plan.content_hash)
        if known is None:
            known = self._kernels[plan.content_hash] = self._kernel_for(plan)
        return known

    async def close(self) -> None:
        """See plait.ports.calls.Calls."""
        await self._calls.close()


class _Child:
    def __init__(self, running: asyncio.Task[Outcome]) -> None:
        self._running = running

    def cancel(self) -> None:
        """See plait.ports.calls.CallHandle."""
        self._running.cancel()
