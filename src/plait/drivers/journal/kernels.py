"""Kernels by plan: each plan is loaded once, and kept in the store before it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from plait.drivers.journal.history import replay, verify
from plait.drivers.journal.telling import Telling
from plait.kernel import Kernel
from plait.plan import Plan, dump_plan, load_plan
from plait.ports.journal import History, Journal


class Kernels:
    """What decides executions, by the content hash of their plan.

    Args:
        kernel_for: Makes the kernel of a plan.
        secrets: Histories are told with these.
    """

    def __init__(
        self,
        journal: Journal,
        kernel_for: Callable[[Plan], Kernel],
        secrets: Mapping[str, str],
    ) -> None:
        self._journal = journal
        self._kernel_for = kernel_for
        self._secrets = secrets
        self._known: dict[str, Kernel] = {}

    async def of(self, plan: Plan) -> Kernel:
        """Return the kernel of `plan`, which is in the store then."""
        known = self._known.get(plan.content_hash)
        if known is None:
            await self._journal.save_plan(plan.content_hash, dump_plan(plan))
            known = self._known[plan.content_hash] = self._kernel_for(plan)
        return known

    async def told(self, history: History) -> Telling:
        """Return an execution as its history tells it.

        Raises:
            HistoryDamaged: It is not the history that was written.
            HistoryMismatch: The kernel concludes something else now.
            UnknownPlan: The store lacks its plan.
        """
        verify(history)
        kernel = await self._by_hash(history.summary.new.plan_hash)
        return replay(history, kernel, self._secrets)

    async def _by_hash(self, plan_hash: str) -> Kernel:
        known = self._known.get(plan_hash)
        if known is None:
            plan = load_plan(await self._journal.load_plan(plan_hash))
            known = self._known[plan_hash] = self._kernel_for(plan)
        return known
