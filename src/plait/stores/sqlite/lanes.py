"""Lanes: of the executions of one lane no more than its maximum run side by side.

Rule. Whoever takes an execution out of a lane lets in the next, in the same transaction: a
      lane has somebody waiting only while it is full.
"""

from __future__ import annotations

from sqlite3 import Connection
from typing import Final

from plait.ports.journal import RUNNING, NewExecution, Standing

# Reads as many rows of an index as may run side by side.
IS_FULL: Final = (
    "SELECT 1 FROM standings WHERE status = 'running' AND lane = ? AND lane_state < 2"
    " LIMIT 1 OFFSET ?"
)
NEXT: Final = (
    "SELECT execution, lane_max FROM standings"
    " WHERE status = 'running' AND lane = ? AND lane_state = 2"
    " ORDER BY priority DESC, execution LIMIT 1"
)


def has_to_wait(connection: Connection, new: NewExecution, standing: Standing) -> bool:
    """Tell whether an execution that begins finds its lane full."""
    is_in_lane = new.lane is not None and standing.status == RUNNING
    return is_in_lane and _is_full(connection, str(new.lane), new.lane_max)


def let_in(connection: Connection, lane: str) -> None:
    """Let in whatever the lane has room for."""
    while True:
        waiting = connection.execute(NEXT, (lane,)).fetchone()
        if waiting is None or _is_full(connection, lane, waiting[1]):
            return
        connection.execute(
            "UPDATE standings SET lane_state = 1, wake_at_ms = 0 WHERE execution = ?",
            waiting[:1],
        )


def _is_full(connection: Connection, lane: str, lane_max: int) -> bool:
    return connection.execute(IS_FULL, (lane, lane_max - 1)).fetchone() is not None
