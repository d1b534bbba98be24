"""Retry: whether a step's failed attempt is made again, and when.

Not here: which failures a policy means, how long its waits are (plait.kernel.backoff).
"""

from __future__ import annotations

from plait.expression import ExpressionError
from plait.kernel.backoff import is_retryable, next_delay_ms
from plait.kernel.failures import in_brief, with_detail
from plait.kernel.state import Execution, Run
from plait.model.failure import Failure
from plait.plan import RetryPolicy


def retry_at_ms(x: Execution, run: Run, failure: Failure) -> tuple[Failure, int | None]:
    """Return when the next attempt of `run` begins; None: there is none.

    With it comes the failure as it is to be told: an expression of `retry.on` that has no
    value ends the attempts, and stands in `details.retry_on`. What failed is still the
    call.
    """
    policy = run.node.retry
    if policy is None or not 0 < run.attempt < policy.attempts_max:
        return failure, None
    if not is_retryable(failure, policy, run.node.effect):
        return failure, None
    try:
        if not _condition_holds(policy, run, failure):
            return failure, None
    except ExpressionError as error:
        return with_detail(failure, "retry_on", in_brief(error.failure().as_json())), None
    return failure, _due_at_ms(x, run, policy, failure)


def _condition_holds(policy: RetryPolicy, run: Run, failure: Failure) -> bool:
    if policy.when is None:
        return True
    return policy.when.render_bool({**run.frame.names, "error": failure.as_json()})


def _due_at_ms(x: Execution, run: Run, policy: RetryPolicy, failure: Failure) -> int | None:
    seed = f"{x.started.execution_id}/{run.path}"
    delay_ms = next_delay_ms(
        policy, run.attempt, seed=seed, asked_ms=failure.retry_after_ms
    )
    due_at_ms = x.now_ms + delay_ms
    # Waiting past the step's own deadline would only delay the answer.
    too_late = run.deadline_at_ms is not None and due_at_ms >= run.deadline_at_ms
    return None if too_late else due_at_ms
