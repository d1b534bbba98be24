"""Parents: an execution that has ended is kept for as long as its parent may ask for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from plait.ports.journal import RUNNING, Summary

# As deep as workflows call each other. Restarts and forks have parents too: what an
# execution came from further up than that never asks for it.
DEPTH_MAX: Final = 16


def may_go(summary: Summary, before_ms: int, statuses: Sequence[str]) -> bool:
    """Say whether an execution may be removed, as far as only itself is asked.

    Args:
        before_ms, statuses: As for `plait.ports.upkeep.Upkeep.ended`.
    """
    status, at_ms = summary.standing.status, summary.standing.at_ms
    is_over = status != RUNNING and status in statuses
    return is_over and at_ms < before_ms and summary.owner is None


async def parents_may_go(
    summary: Summary,
    find: Callable[[str], Awaitable[Summary | None]],
    before_ms: int,
    statuses: Sequence[str],
) -> bool:
    """Say whether all that an execution belongs to may be removed, or is gone.

    Args:
        find: Returns the row of an execution, None when there is none.
    """
    parent_id = summary.new.parent
    for _ in range(DEPTH_MAX):
        parent = None if parent_id is None else await find(parent_id)
        if parent is None:
            return True
        if not may_go(parent, before_ms, statuses):
            return False
        parent_id = parent.new.parent
    return True
