"""Writing down at once what has run unwritten, when the store's answer may be lost.

Rule. Whoever does not know whether it is written asks for it by its id before anything else
      happens in it: nobody else can have made an execution of that id. What is there then
      is this one's own, or its beginning, unless somebody went on with it.

Not here: what has run unwritten (plait.drivers.journal.unkept).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, repeat
from typing import Final

from plait.drivers.journal.terms import Store
from plait.model.record import record
from plait.ports.journal import (
    RUNNING,
    Append,
    Entry,
    LostRace,
    NewExecution,
    Standing,
    StoreFull,
    StoreUnavailable,
    Summary,
    UnknownExecution,
)

# A commit whose connection was lost may be seen a moment later only.
_TRIES: Final = 2
_ASK_AGAIN_S: Final = (0.05, 0.2, 1.0, 5.0)


@record
class Unwritten:
    """An execution that nobody has written down, as it stands."""

    new: NewExecution
    entries: Sequence[Entry]
    standing: Standing


async def write_down(
    store: Store, worker_id: str, now_ms: int, unwritten: Unwritten
) -> Summary:
    """Return the row of what is written now, and held by the worker.

    It waits for as long as the store does not tell whether it is written.

    Raises:
        LostRace: It was written down before, and another goes on with it.
        StoreUnavailable: It is not written.
    """
    new, entries, standing = unwritten.new, unwritten.entries, unwritten.standing
    for number in range(_TRIES):
        try:
            created = await store.create(new, entries, standing, worker_id)
        except StoreFull:
            raise
        except LostRace:
            return await _found(store, worker_id, now_ms, unwritten)
        except StoreUnavailable:
            if await _is_there(store, new.execution_id):
                return await _found(store, worker_id, now_ms, unwritten)
            if number == _TRIES - 1:
                raise
        else:
            return created.summary
    raise AssertionError("the last try returns or raises")


async def _is_there(store: Store, execution_id: str) -> bool:
    for delay_s in chain(_ASK_AGAIN_S, repeat(_ASK_AGAIN_S[-1])):
        try:
            await store.read(execution_id)
        except UnknownExecution:
            return False
        except StoreUnavailable:
            await asyncio.sleep(delay_s)
        else:
            return True
    raise AssertionError("it is asked until there is an answer")


async def _found(
    store: Store, worker_id: str, now_ms: int, unwritten: Unwritten
) -> Summary:
    """Take what was written by a request whose answer was lost; add what came since."""
    execution_id = unwritten.new.execution_id
    for delay_s in chain(_ASK_AGAIN_S, repeat(_ASK_AGAIN_S[-1])):
        try:
            taken = await store.take(worker_id, now_ms, execution_id)
            written = (await store.read(execution_id)).entries
            return await _caught_up(store, taken, written, unwritten)
        except StoreUnavailable:
            await asyncio.sleep(delay_s)
    raise AssertionError("it is asked until there is an answer")


async def _caught_up(
    store: Store, taken: Summary, written: Sequence[Entry], unwritten: Unwritten
) -> Summary:
    entries, standing = unwritten.entries, unwritten.standing
    execution_id, length = taken.new.execution_id, len(written)
    if taken.length != length or [*written] != [*entries[:length]]:
        await store.release(taken.owner or "", [execution_id])
        raise LostRace(execution_id)
    rest = entries[length:]
    is_over, owner = standing.status != RUNNING, taken.owner
    if rest or is_over:
        epoch = taken.epoch
        wanted = Append(execution_id, rest, standing, length, epoch, is_released=is_over)
        await store.append(wanted)
        owner = None if is_over else owner
    head = entries[-1].digest
    return replace(taken, standing=standing, length=len(entries), head=head, owner=owner)
