"""Histories that begin anew: one entry says how the execution stands; what was is dropped.

Rule 1. Only where that is worth it: a workflow with loops, which forgets its iterations,
        and a state of half the history's bytes at most. So a state that cannot shrink
        meets `limit.events` or `limit.history` as ever.
Rule 2. The entry comes first in an append whose other entries are the turns decided then;
        the store drops what was before in the same write.

Not here: what a snapshot holds (plait.kernel.snapshot).
"""

from __future__ import annotations

from typing import Final

from plait.drivers.journal.history import entry_of, origin_of
from plait.drivers.journal.telling import Outstanding
from plait.kernel import Execution, Kernel
from plait.kernel.events import HistoryBegun
from plait.ports.journal import Entry, Summary

# Of a history's bytes: with more than this in the one entry little would be gained.
SHARE_MAX: Final = 0.5


def begun_anew(
    kernel: Kernel,
    state: Execution,
    outstanding: Outstanding,
    summary: Summary,
    history_bytes: int,
) -> Entry | None:
    """Return the entry with which a history begins anew; None: it is not worth it.

    Args:
        summary: The execution's row, with all that has been decided.
        history_bytes: What its entries come to.
    """
    saved = kernel.snapshot(state, outstanding.calls, outstanding.timers)
    event = HistoryBegun(
        state.started, saved, summary.length + 1, summary.head.hex(), state.now_ms
    )
    try:
        entry = entry_of([event], origin_of(summary.new))
    except TypeError:
        return None  # a template has yielded what only memory can hold
    return entry if len(entry.body) <= SHARE_MAX * history_bytes else None
