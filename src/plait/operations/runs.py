"""Runs: plans that the gateway's endpoints answer with, run in this process.

Rule 1. A start is in the store before anybody hears of it.
Rule 2. What lasts longer than somebody waits goes on, and is told by its id.

Not here: requests and replies (plait.gateway.durable), running elsewhere
(plait.services.remote.runs).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from plait.drivers.children import Workflows
from plait.drivers.inline import InlineDriver, Result
from plait.drivers.inline import Start as InlineStart
from plait.drivers.journal import Start, Unkept
from plait.kernel import Kernel
from plait.operations.keeper import Keeper, Kept
from plait.operations.keys import check_same
from plait.plan import Plan
from plait.ports.journal import RUNNING, StoreUnavailable, Summary

logger = logging.getLogger("plait.operations")

# How long an execution that could not be written goes on before that is tried again.
_TRY_AGAIN_S: Final = 1.0
_KERNELS_KEPT_MAX: Final = 10_000
_DRIVERS_KEPT_MAX: Final = 32


class Express(Protocol):
    """Runs express executions within a request: here, or in the engine."""

    async def run(self, kernel: Kernel, start: InlineStart) -> Result:
        """Run one execution to its end."""
        ...


class Durable(Protocol):
    """Starts executions that are kept: in this process's store, or in the runtime."""

    def check(self) -> None:
        """Refuse what would be refused anyway, before anybody has looked at it.

        Raises:
            Overloaded: Too much is to be done already.
        """
        ...

    async def start(
        self, plan: Plan, start: Start, wait_ms: int, *, is_promotable: bool
    ) -> Result | str:
        """Start an execution; return its result, or its id when it lasts longer.

        Args:
            wait_ms: How long to wait for its end.
            is_promotable: It may run in memory, and is written down only if it lasts
                longer than that; one with a key is written down at once.

        Raises:
            KeyReused: The key came before, with another input or document.
            Overloaded: Too much waits for its turn already; nothing was begun.
            StoreUnavailable: Nothing was begun, or nothing is known of it.
        """
        ...


class LocalRuns:
    """Starts executions in this process's store."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._kernels: dict[str, Kernel] = {}

    def check(self) -> None:
        """See `Durable`."""
        if self._keeper.room is not None:
            self._keeper.room.check()

    async def start(
        self, plan: Plan, start: Start, wait_ms: int, *, is_promotable: bool
    ) -> Result | str:
        """See `Durable`."""
        kept = await self._keeper.kept()
        driver = kept.driver
        # Without room it waits in the store like any other.
        if is_promotable and wait_ms and start.key is None and not driver.room.is_full:
            return await self._promotable(plan, start, wait_ms)
        driver.room.check()
        if not wait_ms:
            return (await self._started(kept, plan, start)).new.execution_id
        with driver.awaiting(start.execution_id):
            summary = await self._started(kept, plan, start)
            execution_id = summary.new.execution_id
            is_over = summary.standing.status != RUNNING
            if is_over or await self._keeper.has_ended(execution_id, wait_ms):
                return await driver.result(execution_id)
            return execution_id

    async def awaited(self, execution_id: str, wait_ms: int) -> Result | str:
        """Return the result of an execution, or its id when it lasts longer."""
        if await self._keeper.has_ended(execution_id, wait_ms):
            return await (await self._keeper.kept()).driver.result(execution_id)
        return execution_id

    async def _started(self, kept: Kept, plan: Plan, start: Start) -> Summary:
        """Begin an execution, or find the one that its key was used for."""
        summary = await kept.driver.start(plan, start)
        execution_id = summary.new.execution_id
        if execution_id != start.execution_id:
            check_same(await kept.store.read(execution_id), start, plan.content_hash)
        return summary

    async def _promotable(self, plan: Plan, start: Start, wait_ms: int) -> Result | str:
        kept = await self._keeper.kept()
        kernel = self._kernels.get(plan.content_hash)
        if kernel is None:
            if len(self._kernels) >= _KERNELS_KEPT_MAX:
                self._kernels.clear()
            kernel = self._kernels[plan.content_hash] = kept.kernel_for(plan)
        unkept = Unkept(kept.driver, kernel, start, wait_ms)
        try:
            if not await self._keeper.is_over(unkept, wait_ms) and await _promoted(unkept):
                return start.execution_id
        except BaseException:
            unkept.abandon()
            raise
        return unkept.result()


async def _promoted(unkept: Unkept) -> bool:
    """Write an execution down; False when it has ended before that was possible."""
    while not unkept.ended.is_set():
        try:
            await unkept.promote()
        except StoreUnavailable as error:
            logger.warning("an execution cannot be kept, and goes on: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(_TRY_AGAIN_S):
                    await unkept.ended.wait()
        else:
            return True
    return False


class LocalRunner:
    """Runs plans that another process has sent, with the workflows they may run as steps.

    Args:
        driver_for: Makes a driver that finds workflows by name so.
    """

    def __init__(
        self,
        driver_for: Callable[[Workflows], InlineDriver],
        kernel_for: Callable[[Plan], Kernel],
    ) -> None:
        self._driver_for = driver_for
        self._kernel_for = kernel_for
        self._kernels: dict[str, Kernel] = {}
        self._drivers: dict[tuple[tuple[str, str], ...], InlineDriver] = {}

    async def run(
        self, plan: Plan, workflows: Mapping[str, Plan], start: InlineStart
    ) -> Result:
        """Run a plan to its end.

        Args:
            workflows: Those that it may run as steps, by name.

        Raises:
            NeedsDurable: It may wait for somebody outside; nothing was begun.
        """
        return await self._driver(workflows).run(self._kernel(plan), start)

    def _kernel(self, plan: Plan) -> Kernel:
        known = self._kernels.get(plan.content_hash)
        if known is None:
            if len(self._kernels) >= _KERNELS_KEPT_MAX:
                self._kernels.clear()
            known = self._kernels[plan.content_hash] = self._kernel_for(plan)
        return known

    def _driver(self, workflows: Mapping[str, Plan]) -> InlineDriver:
        key = tuple((name, plan.content_hash) for name, plan in sorted(workflows.items()))
        known = self._drivers.get(key)
        if known is None:
            # Each deployment makes another set; only the latest ones are of use.
            if len(self._drivers) >= _DRIVERS_KEPT_MAX:
                self._drivers.clear()
            # They are those of the tenant that the run is for.
            known = self._drivers[key] = self._driver_for(_by_name(dict(workflows)))
        return known


def _by_name(workflows: Mapping[str, Plan]) -> Workflows:
    return lambda _tenant, name: workflows.get(name)
