"""Policies of calls: where they may stand, and what the plan keeps of them."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from plait.compile.effects import effect_of
from plait.compile.findings import Findings
from plait.compile.hedges import check_hedge
from plait.compile.templates import POLICIES, StepTemplates, inherits
from plait.document.policies import (
    Batch,
    Bulkhead,
    Cache,
    CircuitBreaker,
    Once,
    RateLimit,
)
from plait.document.retry import Retry
from plait.document.step import StepSettings
from plait.document.tree import Path, StepTree
from plait.expression import Template
from plait.model.record import record
from plait.plan import (
    BatchPolicy,
    BreakerPolicy,
    BulkheadPolicy,
    CachePolicy,
    OncePolicy,
    Policies,
    RateLimitPolicy,
    RetryBudget,
)

_Keys: TypeAlias = "dict[tuple[str, str], Template]"

_OF_READS: Final = {
    "cache": "an answer of before is not enough",
    "batch": "it does not go together with others",
}
# What each step that shares a policy says for itself.
_OF_ONE_STEP: Final = {"key", "user", "weight", "queue_timeout"}


class PolicyChecker:
    """Reports policies that stand where they can do nothing, or contradict each other."""

    def __init__(self, findings: Findings, defaults: StepSettings | None) -> None:
        self._findings = findings
        self._defaults = defaults
        self._named: dict[tuple[str, str], tuple[dict[str, Any], Path]] = {}

    def check(self, step: StepTree) -> None:
        """Look at the policies of one step."""
        model = step.model
        check_hedge(step, self._findings)
        if step.is_broken:
            return
        if model.machine != "call" or not model.has_upstream:
            self._refuse(step)
            return
        for key in _OF_READS:
            if getattr(model, key) is not None and effect_of(step) != "read":
                text = f"'{model.id}' may change something: {_OF_READS[key]}"
                hint = f"give `{key}` to calls that only read; else say `effect: read`"
                self._findings.error("P026", text, hint, (*step.path, key), key=True)
        if model.batch is not None:
            self._check_list(step, model.batch)
        for key in POLICIES:
            is_inherited = inherits(model, self._defaults, key)
            policy = getattr(self._defaults if is_inherited else model, key)
            path = ("defaults", key) if is_inherited else (*step.path, key)
            if policy is not None and policy.name is not None:
                self._compare(key, policy, path)

    def _check_list(self, step: StepTree, batch: Batch) -> None:
        found: Any = step.raw.get("request")
        for key in batch.over.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if not isinstance(found, list) and not (isinstance(found, str) and "${" in found):
            text = f"there is no list at '{batch.over}' in the request"
            hint = "write what one lookup asks for as a list of one"
            path = (*step.path, "batch", "over")
            self._findings.error("P028", text, hint, path)

    def _refuse(self, step: StepTree) -> None:
        kind = step.model.type_name()
        for key in (*POLICIES, "batch"):
            if step.raw.get(key) is not None:
                text = f"'{key}' protects an upstream, and '{kind}' steps call none"
                hint = "give it to the calls inside, or to all under `defaults`"
                self._findings.error("P023", text, hint, (*step.path, key), key=True)
        if isinstance(step.raw.get("idempotency_key"), dict):
            text = f"nothing is called once here: '{kind}' steps call no upstream"
            hint = "give `once_for` to the calls inside"
            path = (*step.path, "idempotency_key")
            self._findings.error("P023", text, hint, path, key=True)
        for key in ("retry", "item_retry"):
            retry = getattr(step.model, key, None)
            if isinstance(retry, Retry) and "budget" in retry.model_fields_set:
                text = f"a budget is of an upstream, and '{kind}' steps call none"
                hint = "give it to the `retry` of the calls inside"
                path = (*step.path, key, "budget")
                self._findings.error("P023", text, hint, path, key=True)

    def _compare(self, key: str, policy: Any, path: Path) -> None:
        said = policy.model_dump(exclude=_OF_ONE_STEP)
        before, where = self._named.setdefault((key, policy.name), (said, path))
        if said == before:
            return
        other = next(one for one in said if said[one] != before[one])
        line = self._findings.document.place(where).line
        text = f"{key} '{policy.name}' has another '{other}' in line {line}"
        hint = "one name, one policy: give both the same settings, or another name"
        self._findings.error("P024", text, hint, path)


@record
class Scopes:
    """Two names of one step, among all of all workflows.

    Attributes:
        place: For what may be forgotten when another version is deployed.
        ids: For what must not.
    """

    place: str
    ids: str


def policies_of(
    step: StepTree, defaults: StepSettings | None, templates: StepTemplates, scope: Scopes
) -> Policies | None:
    """Return what stands around the attempts of a call; None: nothing.

    Args:
        scope: Names the step.
    """
    model = step.model

    def own(name: str) -> Any:
        return getattr(defaults if inherits(model, defaults, name) else model, name)

    cache, breaker, limit, bulkhead = (own(name) for name in POLICIES)
    if effect_of(step) != "read":
        cache = None  # a default, which is for those that it fits
    once = model.idempotency_key if isinstance(model.idempotency_key, Once) else None
    if not any((cache, once, model.batch, breaker, limit, bulkhead)):
        return None
    keys = templates.policy_keys
    return Policies(
        cache=None if cache is None else _cache(cache, keys, scope.place),
        once=None if once is None else OncePolicy(once.once_for, scope.ids),
        batch=None if model.batch is None else _batch(model.batch),
        circuit_breaker=None if breaker is None else _breaker(breaker),
        rate_limit=None if limit is None else _limit(limit, keys),
        bulkhead=None if bulkhead is None else _bulkhead(bulkhead, keys),
    )


def budget_of(retry: Retry) -> RetryBudget | None:
    """Return what the upstream can bear of the retries; None: any number."""
    budget = retry.budget
    if budget is None:
        return None
    return RetryBudget(budget.ratio, budget.min_retries, budget.window)


def _cache(given: Cache, keys: _Keys, scope: str) -> CachePolicy:
    return CachePolicy(
        ttl_ms=given.ttl,
        stale_ms=given.stale_while_revalidate,
        error_ms=given.stale_if_error,
        scope=given.name or scope,
        key=keys.get(("cache", "key")),
        user=keys.get(("cache", "user")),
    )


def _batch(given: Batch) -> BatchPolicy:
    return BatchPolicy(
        over=tuple(given.over.split(".")),
        results=() if given.results is None else tuple(given.results.split(".")),
        by=given.by,
        size_max=given.max_size,
        delay_ms=given.max_delay,
    )


def _breaker(given: CircuitBreaker) -> BreakerPolicy:
    return BreakerPolicy(
        failure_threshold=given.failure_threshold,
        failure_rate=given.failure_rate,
        slow_call_ms=given.slow_call,
        slow_rate=given.slow_rate,
        window_calls=given.window_calls,
        window_ms=given.window,
        calls_min=given.min_calls,
        success_threshold=given.success_threshold,
        open_ms=given.open_time,
        half_open_calls_max=given.max_half_open_calls,
        half_open_ms=given.half_open_time,
        on=given.on,
        name=given.name or "",
    )


def _limit(given: RateLimit, keys: _Keys) -> RateLimitPolicy:
    return RateLimitPolicy(
        limit=given.limit,
        period_ms=given.per,
        strategy=given.strategy,
        burst=given.burst,
        weight=given.weight,
        queue_max=given.max_queue,
        queue_ms=given.queue_timeout,
        name=given.name or "",
        key=keys.get(("rate_limit", "key")),
    )


def _bulkhead(given: Bulkhead, keys: _Keys) -> BulkheadPolicy:
    return BulkheadPolicy(
        concurrency_max=given.max_concurrency,
        queue_max=given.max_queue,
        queue_ms=given.queue_timeout,
        name=given.name or "",
        key=keys.get(("bulkhead", "key")),
    )
