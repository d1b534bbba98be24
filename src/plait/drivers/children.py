"""Children: workflows that other workflows run as steps. Their names, caps and outcomes.

Rule. A child's id follows from its parent's id, the step's path and the attempt, so it is
      the same child after a crash, and in either mode. It ends with the child's depth. When
      a parent is resumed whose child was undone, the next child has the next number.

Not here: running them (plait.drivers.inline.children, plait.drivers.journal.children).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from plait.drivers.inputs import InvalidInput, fitted
from plait.model.errors import Advice, PlaitError
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.plan import Plan
from plait.ports.calls import Call, CallReply, Done, Outcome

logger = logging.getLogger("plait.children")

KIND: Final = "workflow"
DEPTH_MAX: Final = 10
_ID_BYTES: Final = 16

# From a tenant and the name of its workflow to its plan; None: there is none here.
Workflows: TypeAlias = Callable[[str, str], Plan | None]


def child_of(call: Call, number: int = 0) -> str:
    """Return the id of the child that `call` asks for.

    Args:
        number: How many children before it were undone, so that another was needed.
    """
    name = f"{call.execution_id}/{call.step}#{call.attempt}" + f"~{number}" * bool(number)
    digest = hashlib.blake2b(name.encode(), digest_size=_ID_BYTES).hexdigest()
    return f"{digest}-{depth_of(call.execution_id) + 1}"


def depth_of(execution_id: str) -> int:
    """Return how many workflows stand above an execution.

    >>> depth_of("18beeb1ac031a309dfc144bd16835cae"), depth_of("18beeb1ac031a309-2")
    (0, 2)
    """
    depth = execution_id.rpartition("-")[2]
    return int(depth) if "-" in execution_id and depth.isdecimal() else 0


def trigger_of(call: Call) -> JsonObject:
    """Return what the child's templates read as `trigger`."""
    return {"type": KIND, "execution_id": call.execution_id, "step": call.step}


@record
class Wanted:
    """A child that a step asks for: its plan, and its input with the defaults."""

    plan: Plan
    input: JsonValue


def wanted_of(call: Call, workflows: Workflows) -> Wanted | Failure:
    """Return the child that `call` asks for, or why it cannot be run."""
    if depth_of(call.execution_id) >= DEPTH_MAX:
        text = f"workflows call each other more than {DEPTH_MAX} deep"
        return Failure("limit.workflow_depth", text, advice=Advice.FIX_REQUEST)
    name = call.request["name"]
    plan = workflows(call.tenant, str(name))
    if plan is None:
        text = f"there is no workflow '{name}' here"
        return Failure("workflow.unknown", text, advice=Advice.FIX_REQUEST, sent=False)
    given: JsonValue = call.request.get("input")  # type: ignore[assignment]
    try:
        return Wanted(plan, fitted(plan, given))
    except InvalidInput as error:
        details: JsonObject = {"violations": [*error.violations]}
        return Failure(error.code, str(error), details, advice=error.advice, sent=False)


def reply_of(output: JsonValue, passed_over: Failure | None, child_id: str) -> CallReply:
    """Return the step's response, of a child that completed.

    Args:
        passed_over: What the child's output goes without; the parent's then does too.
    """
    missing = failure_of(passed_over, child_id) if passed_over is not None else None
    return CallReply(output, {}, missing)


def failure_of(failure: Failure | None, child_id: str) -> Failure:
    """Return the step's failure, of a child that did not complete."""
    if failure is None:
        text = "the workflow was cancelled"
        failure = Failure("execution.cancelled", text)
    details = dict(failure.details or {})
    if failure.step:
        details["child_step"] = failure.step
    details["execution_id"] = child_id
    return Failure(
        failure.code,
        failure.message,
        details,
        advice=failure.advice,
        classes=failure.classes,
    )


def told_of(
    call: Call, outcome: Callable[[], Coroutine[Any, Any, Outcome]], done: Done
) -> asyncio.Task[Outcome]:
    """Run a child in the background; `done` hears what it came to, unless cancelled.

    Args:
        outcome: Runs it; not called where the child is given up as soon as it is asked
            for it (both in one write), before the task has had its first moment.
    """
    running = asyncio.get_running_loop().create_task(_surely(call, outcome))

    def tell(task: asyncio.Task[Outcome]) -> None:
        if not task.cancelled():
            done(task.result())

    running.add_done_callback(tell)
    return running


async def _surely(
    call: Call, outcome: Callable[[], Coroutine[Any, Any, Outcome]]
) -> Outcome:
    """Make a failure of whatever is raised: who waits would else wait for ever."""
    try:
        return await outcome()
    except PlaitError as error:
        return Failure(error.code, str(error), advice=error.advice)
    except Exception as error:
        told = {"execution_id": call.execution_id, "step": call.step}
        logger.exception(
            "step %s of execution %s", call.step, call.execution_id, extra=told
        )
        text = f"the workflow cannot be run: {type(error).__name__}"
        return Failure("internal", text, advice=Advice.REPORT)


def timed_out(call: Call) -> Failure:
    """Return the failure of a step whose child has not ended in time."""
    return Failure(
        "step.timeout",
        f"step '{call.step}' did not end within its time limit",
        advice=Advice.RETRY,
        classes=("timeout",),
    )
