"""Calls: what a StartCall says. Its request, its time limit, its idempotency key.

Not here: making the call (plait.connectors), what its outcome leads to
(plait.kernel.engine), whether it is made again (plait.kernel.retry).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, cast

from plait.expression import ExpressionError, Template
from plait.kernel.commands import StartCall
from plait.kernel.compensation import times_undone
from plait.kernel.failures import out_of_time
from plait.kernel.paths import without_rounds
from plait.kernel.policies import policies_of
from plait.kernel.state import Execution, Run
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.plan import Node

CALL_TIMEOUT_MS_DEFAULT: Final = 30_000


@record
class Times:
    """How long a call had when it was begun.

    Attributes:
        timeout_ms: The attempt.
        left_ms: All attempts together; None: they have no end.
    """

    timeout_ms: int
    left_ms: int | None


def times_of(call: StartCall) -> Times:
    """Return how long `call` was given; `left_ms` only where policies can wait."""
    policies = call.policies
    return Times(call.timeout_ms, None if policies is None else policies.left_ms)


def call_of(x: Execution, run: Run, times: Times | None = None) -> StartCall | Failure:
    """Return the command for the attempt that `run` begins, or why none can be made.

    Args:
        times: What it had when it was begun; None: it begins now.

    Raises:
        ExpressionError: A template of the request has no value.
    """
    node = run.node
    if times is None:
        times = _times(x, run)
    if times.timeout_ms <= 0:
        return out_of_time(run)
    key = _idempotency_key(x, run)
    if isinstance(key, Failure):
        return key
    policies = policies_of(run, times.left_ms)
    if isinstance(policies, Failure):
        return policies
    request, lacking = _request(x, run)
    call = StartCall(
        node.kind,
        request,
        node.options.get("host_is_literal") is True,
        times.timeout_ms,
        key,
        node.headers_read,
        x.started.execution_id,
        run.path,
        run.attempt,
        x.ambient.trace,
        node.effect,
        lacking,
        policies,
    )
    name = node.options.get("credential")
    if name is None:
        return call
    return replace(call, credential=cast("str", name), workflow=x.plan.name)


def _request(x: Execution, run: Run) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the request, and the names of the secrets that are elsewhere only."""
    elsewhere = _missing(x, run.node) & x.ambient.known if x.ambient.known else ()
    if elsewhere:
        return {}, tuple(sorted(elsewhere))
    try:
        return _rendered(run), ()
    except ExpressionError:
        # It was made, so somebody had what is missing here, or had something else.
        told = x.recorded
        is_made = told is not None and told.is_made(run.path, run.attempt)
        needed = _missing(x, run.node) or _needed(x, run.node)
        if not (is_made and needed):
            raise
        return {}, tuple(sorted(needed))


def _missing(x: Execution, node: Node) -> frozenset[str]:
    return _needed(x, node) - x.ambient.secrets.keys()


def _needed(x: Execution, node: Node) -> frozenset[str]:
    return secrets_read(node.templates.values(), x.ambient.known or ("*",))


def secrets_read(templates: Iterable[Template], known: Iterable[str]) -> frozenset[str]:
    """Return the names of the secrets that templates read.

    Args:
        known: What they may read where an expression picks one.
    """
    found: set[str] = set()
    for template in templates:
        for read in template.reads:
            if read[0] == "secrets":
                found.update([str(read[1])] if len(read) > 1 else known)
    return frozenset(found)


def _rendered(run: Run) -> dict[str, Any]:
    names = run.frame.names
    request: dict[str, Any] = {}
    for name, template in run.node.templates.items():
        if name == "request":
            request.update(cast("JsonObject", template.render(names)))
        else:
            request[name] = template.render(names)
    return request


def _times(x: Execution, run: Run) -> Times:
    own_ms = run.node.attempt_timeout_ms
    if run.deadline_at_ms is None:
        default_ms = run.node.options.get("timeout_ms_default", CALL_TIMEOUT_MS_DEFAULT)
        return Times(own_ms if own_ms is not None else cast("int", default_ms), None)
    left_ms = run.deadline_at_ms - x.now_ms
    return Times(left_ms if own_ms is None else min(own_ms, left_ms), left_ms)


def _idempotency_key(x: Execution, run: Run) -> str | Failure | None:
    """A group that is tried again repeats its calls, so the round is not in the key."""
    node = run.node
    if node.idempotency_key is not None:
        return _as_key(node.idempotency_key.render(run.frame.names))
    if node.effect != "keyed":
        return None
    path = without_rounds(run.path)
    undone = times_undone(x, path) if x.undone else 0
    again = f"~{undone + 1}" if undone else ""
    return f"{x.started.execution_id}/{path}{again}"


def _as_key(value: JsonValue) -> str | Failure:
    """Null as text would make one key of all executions that lack one."""
    if isinstance(value, (int, str)) and not isinstance(value, bool) and value != "":
        return str(value)
    text = "the idempotency key is neither text nor a whole number"
    return Failure("step.idempotency_key", text, advice=Advice.FIX_REQUEST)
