"""Retry: whether a step's failed attempt is made again, and when.

Not here: which failures a policy means, how long its waits are (plait.kernel.backoff).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plait.expression import ExpressionError
from plait.kernel.backoff import is_retryable, next_delay_ms
from plait.kernel.failures import in_brief, with_detail
from plait.kernel.state import Execution, Run
from plait.model.failure import Failure
from plait.model.record import record
from plait.plan import Node, RetryPolicy


def retry_at_ms(x: Execution, run: Run, failure: Failure) -> tuple[Failure, int | None]:
    """Return when the next attempt of `run` begins; None: there is none.

    With it comes the failure as it is to be told: an expression of `retry.on` that has no
    value ends the attempts, and stands in `details.retry_on`. What failed is still the
    call.
    """
    policy = run.node.retry
    if policy is None or not is_retryable(failure, policy, run.node.effect):
        return failure, None
    tried = Tried(run.attempt, run.path, run.frame.names, run.deadline_at_ms)
    return next_at_ms(x, policy, tried, failure)


@record
class Tried:
    """What was tried, a step or an item: how often, its address, and until when it may be.

    Attributes:
        names: What its templates see.
    """

    attempt: int
    path: str
    names: Mapping[str, Any]
    deadline_at_ms: int | None


def next_at_ms(
    x: Execution, policy: RetryPolicy, tried: Tried, failure: Failure
) -> tuple[Failure, int | None]:
    """Return when `tried`, of which `failure` may pass, is tried again; see retry_at_ms."""
    if not 0 < tried.attempt < policy.attempts_max:
        return failure, None
    try:
        if not _condition_holds(policy, tried, failure):
            return failure, None
    except ExpressionError as error:
        return with_detail(failure, "retry_on", in_brief(error.failure().as_json())), None
    return failure, _due_at_ms(x, tried, policy, failure)


def retry_of_items(node: Node) -> RetryPolicy | None:
    """Return the policy of one item of a loop; its expression is among the templates."""
    given = node.options.get("item_retry")
    if not isinstance(given, dict):
        return None
    fields: dict[str, Any] = dict(given)
    on = fields.pop("on")
    words = None if on is None else tuple(on)
    return RetryPolicy(**fields, on=words, when=node.templates.get("item_retry_on"))


def _condition_holds(policy: RetryPolicy, tried: Tried, failure: Failure) -> bool:
    if policy.when is None:
        return True
    return policy.when.render_bool({**tried.names, "error": failure.as_json()})


def _due_at_ms(
    x: Execution, tried: Tried, policy: RetryPolicy, failure: Failure
) -> int | None:
    seed = f"{x.started.execution_id}/{tried.path}"
    delay_ms = next_delay_ms(
        policy, tried.attempt, seed=seed, asked_ms=failure.retry_after_ms
    )
    due_at_ms = x.now_ms + delay_ms
    # Waiting past the deadline would only delay the answer.
    too_late = tried.deadline_at_ms is not None and due_at_ms >= tried.deadline_at_ms
    return None if too_late else due_at_ms
