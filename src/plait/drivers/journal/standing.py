"""How an execution stands, for its row: what the store and people see of it.

Not here: its history (plait.drivers.journal.history).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Final, assert_never

from plait.drivers.journal.telling import Outstanding
from plait.kernel import Execution, StartCall
from plait.kernel.events import (
    ExecutionCancelled,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionFailed,
)
from plait.model.errors import PlaitError
from plait.ports.journal import RUNNING, NewExecution, Standing


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


class SecretMissing(PlaitError):
    """What an execution has to do next needs a secret that no worker here has."""

    code: ClassVar[str] = "execution.secret_missing"

    def __init__(self, execution_id: str, names: Sequence[str]) -> None:
        listed = ", ".join(f"secrets.{name}" for name in names)
        super().__init__(
            f"execution {execution_id} waits for a worker that has {listed}: give one that "
            "secret, and it goes on by itself"
        )
        self.execution_id = execution_id
        self.names = names


class WorkerMissing(PlaitError):
    """What an execution has to do next can only be done by workers that are not here."""

    code: ClassVar[str] = "execution.worker_missing"

    def __init__(self, execution_id: str, needs: Sequence[str]) -> None:
        super().__init__(
            f"execution {execution_id} waits for a worker that has {', '.join(needs)}: "
            "start one, and it goes on by itself"
        )
        self.execution_id = execution_id
        self.needs = needs


def ids_of(new: NewExecution) -> dict[str, str]:
    """Return what names an execution in a line of the log."""
    return {
        "execution_id": new.execution_id,
        "workflow": new.workflow,
        "tenant": new.tenant,
    }


def needs_of(call: StartCall) -> str:
    """Return what a worker must have to make a call: `the function shop.reserve`."""
    function = call.request.get("function")
    return f"the function {function}" if function else f"the connector {call.kind}"


class NoRoom(PlaitError):
    """An execution has not begun to act: no worker had room for it yet."""

    code: ClassVar[str] = "execution.no_room"

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"execution {execution_id} waits until a worker has room for it, and begins by "
            "itself then"
        )
        self.execution_id = execution_id


# Why a worker has let go of what it could not go on with.
_LACKING: Final = (SecretMissing.code, WorkerMissing.code)


def waits_for_worker(standing: Standing) -> bool:
    """Tell whether an execution was let go of by one that cannot go on: nobody acts on it.

    That one lacked a secret, or something else that the next call needs.
    """
    return standing.error_code in _LACKING and standing.wake_at_ms != 0


def put_off(standing: Standing) -> Standing:
    """Return how an execution stands that is written, and that nobody acts on yet.

    It is due since then: so it goes before what is due later, and after what was due first.
    """
    return replace(standing, wake_at_ms=standing.at_ms, error_code=NoRoom.code)


def is_put_off(standing: Standing) -> bool:
    """Tell whether nobody has acted on an execution, as there was no room for it."""
    return standing.error_code == NoRoom.code and standing.status == RUNNING


def is_elsewhere(code: str | None) -> bool:
    """Tell whether a row's code tells of the worker that wrote it, not of the execution."""
    return code in (*_LACKING, NoRoom.code)


# How soon a worker looks at what another has let go of.
AGAIN_MS: Final = 2_000


def row_of(state: Execution, outstanding: Outstanding, now_ms: int) -> Standing:
    """Return how an execution stands, for its row, with children that it gave up.

    Its end counts when they have heard of it: until then it is due, for whoever holds it.
    What waits for another worker is due again in a while.
    """
    standing = standing_of(state, outstanding)
    if outstanding.given_up:
        return Standing(RUNNING, standing.at_ms, 0)
    if not outstanding.is_lacking:
        return standing
    due = [one.due_at_ms for one in outstanding.timers.values()]
    wake_at_ms = min([now_ms + AGAIN_MS, *due])
    is_secret = any(call.lacking for call in outstanding.calls.values())
    missing = SecretMissing if is_secret else WorkerMissing
    code = standing.error_code or missing.code
    return replace(standing, wake_at_ms=wake_at_ms, error_code=code)


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
