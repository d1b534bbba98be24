"""What the stores with tables compare, and how it is mended: the same in both dialects.

Rule. Each mend looks again whether it is needed, in its own transaction: what others have
      written since it was found is never undone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from plait.model.record import record
from plait.ports.derived import Difference
from plait.stores.faults import StoreDamaged

FOUND_MAX: Final = 100


@record
class Comparison:
    """One thing that tables say twice.

    Attributes:
        query: Yields whose it is: an execution's number, its id, and a lane.
        reason: What is said of each.
        mends: Statements with an execution's number for their parameter; none: a lane lets
            in what it has room for, if that mends it.
    """

    query: str
    reason: str
    mends: tuple[str, ...] = ()


@record
class Found:
    """A row that a comparison's query yielded."""

    comparison: Comparison
    number: int | None
    difference: Difference


STRANDED: Final = Comparison(
    "SELECT CAST(NULL AS bigint), CAST(NULL AS text), q.lane"
    " FROM (SELECT DISTINCT lane FROM standings WHERE status = 'running'"
    " AND lane IS NOT NULL AND lane_state = 2) q WHERE"
    " (SELECT n.lane_max FROM standings n WHERE n.status = 'running' AND n.lane = q.lane"
    " AND n.lane_state = 2 ORDER BY n.priority DESC, n.execution LIMIT 1)"
    " > (SELECT count(*) FROM standings i WHERE i.status = 'running' AND i.lane = q.lane"
    " AND i.lane_state < 2)",
    "executions wait for it though it has room",
)
# Each found fewer in the lane than its own maximum, and ends only make them fewer: sorted
# by their maximum, the first has one of 1 or more, the second of 2 or more, and so on.
OVERFULL: Final = Comparison(
    "SELECT DISTINCT CAST(NULL AS bigint), CAST(NULL AS text), lane FROM (SELECT lane,"
    " lane_max, row_number() OVER (PARTITION BY lane ORDER BY lane_max) AS place"
    " FROM standings WHERE status = 'running' AND lane IS NOT NULL AND lane_state < 2)"
    " AS inside WHERE place > lane_max",
    "more are in it than it takes; nobody is let in until enough of them have ended",
)
_STATE: Final = (
    "lane_state <> 0 AND (status <> 'running' OR lane IS NULL OR lane_state NOT IN (1, 2))"
)
# In the lane is what nothing follows from: a call that was under way is not made again.
STATE: Final = Comparison(
    "SELECT s.execution, e.id, CAST(NULL AS text) FROM standings s"
    f" JOIN executions e ON e.number = s.execution WHERE {_STATE}",
    "it stands to its lane as none can that stands as its row says",
    (f"UPDATE standings SET lane_state = 0 WHERE execution = $1 AND {_STATE}",),
)
_WORKFLOW: Final = "(SELECT e.workflow FROM executions e WHERE e.number = execution)"
WORKFLOW: Final = Comparison(
    "SELECT s.execution, e.id, CAST(NULL AS text) FROM standings s"
    " JOIN executions e ON e.number = s.execution WHERE s.workflow <> e.workflow",
    "it has its turn under another workflow",
    (
        f"UPDATE standings SET workflow = {_WORKFLOW} WHERE execution = $1"
        f" AND workflow <> {_WORKFLOW}",
    ),
)


def is_of(comparison: Comparison, row: Any) -> Found:
    """Return what a row of the comparison's query stands for."""
    number, execution_id, lane = row
    return Found(comparison, number, Difference(execution_id, lane, comparison.reason))


async def compared(
    tell: Callable[[], Awaitable[list[Found]]],
    mend: Callable[[Found], Awaitable[None]],
    *,
    mends: bool,
    unsure: Collection[str],
) -> list[Difference]:
    """Return what differs; with `mends`, after it was mended as far as that goes.

    Args:
        tell: Returns what differs, of each kind up to `FOUND_MAX`.
        mend: Mends one.
    """
    tried: list[Difference] = []
    while True:
        told = await tell()
        found = [one for one in told if one.difference.execution_id not in unsure]
        left = [one.difference for one in found]
        todo = [one for one in found if mends and one.comparison is not OVERFULL]
        todo = [one for one in todo if one.difference not in tried]
        if not todo:
            gone = [one for one in tried if one not in left]
            return [replace(one, is_mended=True) for one in gone] + left
        for one in todo:
            with suppress(StoreDamaged):
                await mend(one)
        tried += [one.difference for one in todo]
