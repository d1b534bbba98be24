"""Writes under the hold of another execution: whoever takes that waits until they are done.

Rule. A hold is looked at under a lock that its next holder needs too: else it could be lost
      between the look and the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from plait.ports.journal import Hold

# A part of a statement that writes: the places of those whose hold is lost. It is seen as
# of when that statement began, which is after the lock was had.
LOST: Final = """lost AS (
    SELECT h.place
    FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS h (place, id, epoch)
    JOIN executions e ON e.id = h.id JOIN standings s ON s.execution = e.number
    WHERE s.epoch <> h.epoch
)"""
_LOCK: Final = """
SELECT FROM standings WHERE execution = ANY (ARRAY(
    SELECT number FROM executions WHERE id = ANY ($1::text[])
)) ORDER BY execution FOR SHARE
"""


def locks_of(holds: Sequence[Hold | None]) -> list[tuple[str, Sequence[object]]]:
    """Return the statement that has to go before a write under `holds`, if any has."""
    ids = sorted({one.execution_id for one in holds if one is not None})
    return [(_LOCK, [ids])] if ids else []


def arguments_of(holds: Sequence[Hold | None]) -> list[list[Any]]:
    """Return the three arguments that `LOST` takes; places count from 1.

    >>> arguments_of([None, Hold("x", 7)])
    [[2], ['x'], [7]]
    """
    held = [(place, one) for place, one in enumerate(holds, start=1) if one is not None]
    return [
        [place for place, _ in held],
        [one.execution_id for _, one in held],
        [one.epoch for _, one in held],
    ]
