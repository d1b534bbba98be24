"""How an execution stands, for its row: what the store and people see of it.

Not here: its history (plait.drivers.journal.history).
"""

from __future__ import annotations

from typing import ClassVar, assert_never

from plait.drivers.journal.telling import Outstanding
from plait.kernel import Execution
from plait.kernel.events import (
    ExecutionCancelled,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionFailed,
)
from plait.model.errors import PlaitError
from plait.ports.journal import RUNNING, Standing


class Quarantined(PlaitError):
    """An execution has killed its workers too often: nobody runs it any more."""

    code: ClassVar[str] = "execution.quarantined"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"execution {execution_id} is quarantined: workers that ran it died, or the "
            f"store refuses what it has to record; find out why, then cancel it, or "
            f"`plait executions resume {execution_id}`"
        )
        self.execution_id = execution_id


def row_of(state: Execution, outstanding: Outstanding) -> Standing:
    """Return how an execution stands, for its row, with children that it gave up.

    Its end counts when they have heard of it: until then it is due, for whoever holds it.
    """
    standing = standing_of(state, outstanding)
    return Standing(RUNNING, standing.at_ms, 0) if outstanding.given_up else standing


def standing_of(state: Execution, outstanding: Outstanding) -> Standing:
    """Return how an execution stands once its children have heard what it decided."""
    now_ms = state.now_ms
    match state.end:
        case None:
            code = "step.outcome_unknown" if state.incidents else None
            if outstanding.is_quarantined:
                code = Quarantined.code
            return Standing(RUNNING, now_ms, outstanding.wake_at_ms, code)
        case ExecutionCompleted():
            return Standing("completed", now_ms, None)
        case ExecutionFailed(failure=failure):
            return Standing("failed", now_ms, None, failure.code)
        case ExecutionCompensated(failure=failure):
            return Standing("compensated", now_ms, None, failure.code)
        case ExecutionCancelled():
            return Standing("cancelled", now_ms, None)
        case _:
            assert_never(state.end)
