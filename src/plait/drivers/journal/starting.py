"""Starts of durable executions: what the store is told of one, and how one that had to wait
for its turn begins when it is let in.

Rule. Time stands still while an execution queues: its time limits, and whatever it waits
      for, count from when it is let in. Nobody has acted on it until then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final

from plait.drivers.journal.history import entry_of
from plait.drivers.journal.standing import standing_of
from plait.drivers.journal.telling import Telling
from plait.expression import ExpressionError, Template
from plait.kernel import Ambient
from plait.kernel.events import ExecutionResumed, ExecutionStarted
from plait.kernel.views import first_names
from plait.model.caller import DEFAULT_TENANT
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonValue, canonical_bytes
from plait.plan import Plan
from plait.ports.journal import IN_LANE, Append, NewExecution, Summary

PRIORITY_MAX: Final = 9
# Stores keep lanes in indexes.
_KEY_BYTES_MAX: Final = 500


class Unplaceable(PlaitError):
    """An execution's lane or priority cannot be told from its input."""

    code: ClassVar[str] = "execution.unplaceable"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"nothing was started: '{key}' of the workflow: {reason}")
        self.key = key


def placed(
    new: NewExecution, plan: Plan, started: ExecutionStarted, priority: int | None
) -> NewExecution:
    """Return `new` with its lane and priority.

    Args:
        priority: What was asked for; None: the document's.

    Raises:
        Unplaceable: An expression of the document has no value of use.
    """
    if plan.lane is not None:
        lane = _lane_of(plan, plan.lane.key, started)
        if new.tenant != DEFAULT_TENANT:
            # A tenant's own: no other keeps its executions waiting.
            lane = f"{canonical_bytes(new.tenant).decode()}:{lane}"
        new = replace(new, lane=lane, lane_max=plan.lane.max)
    if priority is None:
        priority = _priority_of(plan, started)
    return new if priority == new.priority else replace(new, priority=priority)


def _lane_of(plan: Plan, key: Template | None, started: ExecutionStarted) -> str:
    if key is None:
        return plan.name
    written = canonical_bytes(_rendered(plan, "concurrency.key", key, started))
    if len(written) > _KEY_BYTES_MAX:
        reason = f"the key is longer than {_KEY_BYTES_MAX} bytes"
        raise Unplaceable("concurrency.key", reason)
    # Names of workflows have no colon.
    return f"{plan.name}:{written.decode()}"


def _priority_of(plan: Plan, started: ExecutionStarted) -> int:
    if plan.priority_from is None:
        return plan.priority
    value = _rendered(plan, "priority", plan.priority_from, started)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not 0 <= value <= PRIORITY_MAX:  # type: ignore[operator]  # is_whole
        reason = f"a priority is a whole number from 0 to {PRIORITY_MAX}"
        raise Unplaceable("priority", reason)
    assert isinstance(value, int)
    return value


def _rendered(
    plan: Plan, key: str, template: Template, started: ExecutionStarted
) -> JsonValue:
    try:
        return template.render(first_names(plan, started, Ambient()))
    except ExpressionError as error:
        raise Unplaceable(key, str(error)) from error


def begun(held: Summary, told: Telling, now_ms: int) -> tuple[Append, Telling]:
    """Return what is to be recorded when an execution that was let in begins now.

    Returns:
        The append, and the execution as it is told with it.
    """
    # Of epoch 0: it was let in, and whoever holds it next cannot know who has acted.
    resumed = ExecutionResumed([], now_ms)
    told = told.again(resumed)
    entry = entry_of([resumed], held.head)
    standing = standing_of(told.state, told.outstanding)
    wanted = (held.new.execution_id, [entry], standing, held.length, held.epoch)
    return Append(*wanted, is_begun=True), told


def after(held: Summary, append: Append) -> Summary:
    """Return an execution's row as an append has left it that let nobody in."""
    return replace(
        held,
        standing=append.standing,
        length=held.length + len(append.entries),
        head=append.entries[-1].digest,
        owner=None if append.is_released else held.owner,
        lane_state=IN_LANE,
    )
