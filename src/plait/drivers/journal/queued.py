"""Executions that wait for their turn, in a lane or for room: ended there.

Not here: how one begins that was let in (plait.drivers.journal.starting).
"""

from __future__ import annotations

from contextlib import suppress

from plait.drivers.journal.history import entry_of
from plait.drivers.journal.kernels import Kernels
from plait.drivers.journal.standing import is_put_off, standing_of
from plait.drivers.journal.starting import after
from plait.drivers.journal.terms import Store
from plait.kernel.events import CancelRequested
from plait.ports.journal import QUEUED, RUNNING, Append, LostRace, Message, Search, Summary


async def end_queued(
    store: Store,
    kernels: Kernels,
    worker_id: str,
    event: CancelRequested,
    message: Message,
) -> Summary | None:
    """End an execution if nobody has begun it; return its row then.

    Others hear of `message` from whoever holds them. So does this one when it is let in, if
    the worker dies on the way.
    """
    name = message.execution_id
    search = Search(execution_ids=(name,), statuses=(RUNNING,))
    if not any(_has_not_begun(one) for one in await store.find(search)):
        return None
    with suppress(LostRace):  # it is in other hands
        held = await store.take(worker_id, event.at_ms, name)
        if not _has_not_begun(held):
            await store.release(worker_id, [name])
            return None
        told = await kernels.told(await store.read(name))
        turn = told.tell(event)
        append = Append(
            name,
            [entry_of(turn.events, held.head)],
            standing_of(told.state, told.outstanding),
            held.length,
            held.epoch,
            (message.message_id,),
            is_released=True,
        )
        await store.append(append)
        return after(held, append)
    return None


def _has_not_begun(summary: Summary) -> bool:
    return summary.lane_state == QUEUED or is_put_off(summary.standing)
