"""Whether anything goes on in an execution, or in what it waits for."""

from __future__ import annotations

from plait.drivers.journal import Store
from plait.drivers.journal.deaths import WAITS_FOR_CHILDREN
from plait.drivers.journal.waiters import is_at_rest
from plait.ports.journal import RUNNING, Search, Summary


async def waits_for_rest(store: Store, summary: Summary) -> bool:
    """Tell whether an execution waits for a child that goes on only when a person says how.

    As one does whose child has had its deaths, by bad luck: the parent lacks nothing.
    """
    if summary.standing.wake_at_ms != WAITS_FOR_CHILDREN:
        return False
    children = Search(statuses=(RUNNING,), parent=summary.new.execution_id)
    for child in await store.find(children):
        if is_at_rest(child.standing) or await waits_for_rest(store, child):
            return True
    return False
