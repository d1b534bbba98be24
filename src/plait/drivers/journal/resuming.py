"""Going on with what has ended: which steps run again, and whether there is anything to do.

Not here: who asks for it (plait.operations.course, plait.drivers.journal.children).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from plait.drivers.journal.history import entry_of
from plait.drivers.journal.kernels import Kernels
from plait.drivers.journal.lost import row_in
from plait.drivers.journal.standing import standing_of
from plait.drivers.journal.telling import Telling
from plait.drivers.journal.terms import Store
from plait.kernel.events import (
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionResumed,
)
from plait.model.errors import Advice, PlaitError
from plait.ports.journal import RUNNING, Append, History, Hold, HoldLost, LostRace


class NotResumable(PlaitError):
    """There is nothing that the execution could go on with."""

    code: ClassVar[str] = "execution.not_resumable"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, reason: str) -> None:
        super().__init__(
            f"execution {execution_id} cannot be resumed: {reason}; "
            "restart it, or fork it from a step"
        )
        self.execution_id = execution_id


class WasUndone(PlaitError):
    """What an execution would go on from was undone since."""

    code: ClassVar[str] = "execution.was_undone"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, steps: list[str]) -> None:
        super().__init__(
            f"execution {execution_id} cannot go on from there: {', '.join(steps)} was "
            "undone; restart it, or fork it from the first of these"
        )
        self.execution_id = execution_id
        self.steps = steps


def going_on(
    told: Telling, execution_id: str, now_ms: int, epoch: int
) -> tuple[ExecutionResumed, Telling]:
    """Return what lets an ended execution go on, and the execution as it goes on then.

    Raises:
        NotResumable: It has not ended, has completed, or would end the same way at once.
        WasUndone: What it would go on from was undone.
    """
    again = _failed_steps(told, execution_id)
    names = told.secrets_known(told.kernel)
    resumed = ExecutionResumed(again, now_ms, epoch, names)
    onward = told.again(resumed)
    if onward.state.end is not None:
        raise NotResumable(execution_id, "it would end the same way at once")
    if onward.kernel.is_full(onward.state):
        reason = "its history is full: raise `execution.events_max`, then resume it"
        raise NotResumable(execution_id, reason)
    refuse_undone(told, onward, execution_id)
    return resumed, onward


async def resume_child(
    store: Store,
    kernels: Kernels,
    worker_id: str,
    now_ms: int,
    child_id: str,
    resumed_at_ms: int,
    under: Hold,
) -> bool:
    """Let a child go on that ended before its parent was last resumed, if it can.

    What it ended with since, as after a crash of its parent's worker, stays.

    Args:
        resumed_at_ms: When its parent was, as whoever holds that knows; -1: never.
        under: The hold of its parent.

    Returns:
        True when it had been undone by then: another has to do its work.

    Raises:
        HoldLost: The parent is in other hands; the child stays as it was.
    """
    standing = (await row_in(store, child_id)).standing
    if standing.status in (RUNNING, "completed"):
        return False
    if standing.at_ms <= resumed_at_ms:
        if standing.status == "compensated":
            return True
        child = await store.read(child_id)
        with suppress(NotResumable, WasUndone, LostRace):
            await _resume(store, kernels, worker_id, now_ms, child, under)
    return False


async def _resume(
    store: Store,
    kernels: Kernels,
    worker_id: str,
    now_ms: int,
    history: History,
    under: Hold,
) -> None:
    summary, execution_id = history.summary, history.summary.new.execution_id
    told, epoch = await kernels.told(history), summary.epoch + 1
    resumed, onward = going_on(told, execution_id, now_ms, epoch)
    taken = await store.take(worker_id, now_ms, execution_id)
    if (taken.length, taken.epoch) != (summary.length, epoch):
        await store.release(worker_id, [execution_id])
        raise LostRace(execution_id)
    standing = replace(standing_of(onward.state, onward.outstanding), wake_at_ms=0)
    entries = [entry_of([resumed], summary.head)]
    wanted = (execution_id, entries, standing, taken.length, epoch)
    try:
        await store.append(Append(*wanted, is_released=True, under=under))
    except HoldLost:
        await store.release(worker_id, [execution_id])
        raise


def refuse_undone(source: Telling, onward: Telling, execution_id: str) -> None:
    """Refuse to go on from steps as if they were done that have been undone."""
    now, then = onward.state, source.state
    steps = [
        undo.path
        for key, undo in now.undo.items()
        if now.undone.get(key, 0) < then.undone.get(key, 0)
    ]
    if steps:
        raise WasUndone(execution_id, steps)


def _failed_steps(told: Telling, execution_id: str) -> list[str]:
    """Return the steps to run again so that the execution can go on."""
    match told.state.end:
        case None if told.outstanding.is_quarantined:
            return []
        case None:
            raise NotResumable(execution_id, "it is still running")
        case ExecutionCompleted():
            raise NotResumable(execution_id, "it has completed")
        case ExecutionCompensated():
            raise NotResumable(execution_id, "what it did has been undone")
        case _:
            return told.failing
