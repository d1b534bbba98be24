"""Whether a history is whole: chain and watermark, plan, row, and what a replay concludes.

Not here: reading histories, telling what was found (plait.operations.journal, .archive).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from plait.drivers.journal import HistoryDamaged, replay, verify
from plait.drivers.journal.live import standing_of
from plait.drivers.journal.payload import searched
from plait.kernel import Kernel
from plait.kernel.events import ExecutionStarted
from plait.operations.course import Hand
from plait.plan import PlanUnreadable, load_plan
from plait.ports.journal import History


class Checker:
    """Checks histories; each plan is read once."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self._secrets: Mapping[str, str] = hand.secrets
        self._kernels: dict[str, Kernel] = {}

    async def check(self, history: History, plan: bytes | None = None) -> None:
        """Return when the history is whole and a replay concludes the same.

        Args:
            plan: The bytes of its plan; None: those that the store has.

        Raises:
            HistoryDamaged: Its entries, or its row, are not what was written.
            HistoryMismatch: A replay concludes something else.
            UnknownPlan, PlanUnreadable: It cannot be replayed without its plan.
            TurnUnreadable, BehaviourUnknown: A newer version wrote it.
        """
        verify(history)
        if not history.entries:
            raise HistoryDamaged(history.summary.new.execution_id, "it has no entries")
        kernel = await self._kernel(history.summary.new.plan_hash, plan)
        _check_row(history, kernel, self._secrets)

    async def _kernel(self, plan_hash: str, data: bytes | None) -> Kernel:
        known = self._kernels.get(plan_hash)
        if known is None:
            given = data or await self._hand.store.load_plan(plan_hash)
            plan = load_plan(given)
            if plan.content_hash != plan_hash:
                raise PlanUnreadable(f"its bytes are not those of {plan_hash}")
            known = self._kernels[plan_hash] = self._hand.kernel_for(plan)
        return known


def _check_row(history: History, kernel: Kernel, secrets: Mapping[str, str]) -> None:
    summary = history.summary
    execution_id, standing = summary.new.execution_id, summary.standing
    told = replay(history, kernel, secrets)
    started = cast("ExecutionStarted", told.events[0])
    new, plan = summary.new, kernel.plan
    row = (new.execution_id, new.plan_hash, new.workflow, new.input)
    input_text = searched(started.input)
    if row != (started.execution_id, started.plan_hash, plan.name, input_text):
        raise HistoryDamaged(execution_id, "its row is not that of its entries")
    true = standing_of(told.state, told.outstanding)
    if (true.status, true.error_code) != (standing.status, standing.error_code):
        said = f"its row says {standing.status}, its entries say {true.status}"
        raise HistoryDamaged(execution_id, said)
