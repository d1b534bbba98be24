"""Whether a history is whole: chain and watermark, plan, row, and what a replay concludes.

Not here: reading histories, telling what was found (plait.operations.journal, .archive).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from plait.drivers.journal import HistoryDamaged, replay, verify
from plait.drivers.journal.payload import searched
from plait.drivers.journal.standing import is_elsewhere, standing_of
from plait.kernel import Kernel
from plait.operations.course import Hand
from plait.plan import PlanUnreadable, load_plan
from plait.ports.journal import RUNNING, History, Standing

# A worker's clock may be ahead of that of whoever verifies.
_CLOCKS_APART_MS_MAX: Final = 3_600_000


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
        _check_row(history, kernel, self._secrets, self._hand.now_ms)

    async def _kernel(self, plan_hash: str, data: bytes | None) -> Kernel:
        known = self._kernels.get(plan_hash)
        if known is None:
            given = data or await self._hand.store.load_plan(plan_hash)
            plan = load_plan(given)
            if plan.content_hash != plan_hash:
                raise PlanUnreadable(f"its bytes are not those of {plan_hash}")
            known = self._kernels[plan_hash] = self._hand.kernel_for(plan)
        return known


def _check_row(
    history: History, kernel: Kernel, secrets: Mapping[str, str], now_ms: int
) -> None:
    summary = history.summary
    execution_id, standing = summary.new.execution_id, summary.standing
    told = replay(history, kernel, secrets)
    started = told.started
    new, plan = summary.new, kernel.plan
    row = (new.execution_id, new.plan_hash, new.workflow, new.input)
    input_text = searched(started.input)
    if row != (started.execution_id, started.plan_hash, plan.name, input_text):
        raise HistoryDamaged(execution_id, "its row is not that of its entries")
    true = standing_of(told.state, told.outstanding)
    if told.outstanding.given_up and standing.status == RUNNING:
        return  # it has ended, and its children are being told
    said_code = standing.error_code
    if is_elsewhere(said_code) and standing.status == RUNNING:
        said_code = true.error_code  # of the worker that let go, not of the execution
    if (true.status, true.error_code) != (standing.status, said_code):
        said = f"its row says {standing.status}, its entries say {true.status}"
        raise HistoryDamaged(execution_id, said)
    if _is_elsewhen(standing, true, now_ms):
        said = "its row says that it ended, or is due, at another moment"
        raise HistoryDamaged(execution_id, said)


def _is_elsewhen(standing: Standing, true: Standing, now_ms: int) -> bool:
    """Whether a row's moments are none that a worker can have written.

    Whatever runs may be due earlier than its history says, because somebody has a message
    for it, and later, when its holder gave it back.
    """
    if true.status != RUNNING:
        return (standing.at_ms, standing.wake_at_ms) != (true.at_ms, None)
    latest_ms = max(true.wake_at_ms or 0, now_ms + _CLOCKS_APART_MS_MAX)
    is_lost = true.wake_at_ms is not None and standing.wake_at_ms is None
    return is_lost or standing.at_ms < true.at_ms or (standing.wake_at_ms or 0) > latest_ms
