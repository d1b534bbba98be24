"""What stands around an attempt: the policies of its step, their keys rendered.

Rule. A call that no policy, no retry and no further round has anything to do with carries
      none of it: it costs one comparison.

Not here: asking policies: they know what other executions did (plait.drivers.policies).
"""

from __future__ import annotations

from plait.kernel.commands import CallPolicies
from plait.kernel.state import Run
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonValue, canonical_bytes
from plait.plan import BulkheadPolicy, CachePolicy, Policies, RateLimitPolicy


def policies_of(run: Run, left_ms: int | None) -> CallPolicies | Failure | None:
    """Return what stands around the attempt that `run` begins; None: nothing.

    Args:
        left_ms: Until the time of all its attempts together is over; None: it has no end.

    Raises:
        ExpressionError: A key has no value.
    """
    node = run.node
    is_again = "~" in run.path  # the sign of a round (plait.kernel.paths)
    retries = node.retry is not None and node.retry.attempts_max > 1
    if node.policies is None and not retries and not is_again:
        return None
    keys = {} if node.policies is None else _keys(node.policies, run)
    if isinstance(keys, Failure):
        return keys
    return CallPolicies(node.policies, keys, node.retry, left_ms, is_again)


def _keys(policies: Policies, run: Run) -> dict[str, str] | Failure:
    keys = {} if policies.cache is None else _cache_keys(policies.cache, run)
    for name in ("rate_limit", "bulkhead"):
        key = _key(name, getattr(policies, name), run)
        if isinstance(key, Failure):
            return key
        if key is not None:
            keys[name] = key
    return keys


def _cache_keys(cache: CachePolicy, run: Run) -> dict[str, str]:
    """Return the keys of a call's answer; an empty one: it is not kept."""
    templates = {"cache": cache.key, "cache.user": cache.user}
    return {
        name: "" if _is_empty(value) else canonical_bytes(value).decode()
        for name, template in templates.items()
        if template is not None
        for value in (template.render(run.frame.names),)
    }


def _is_empty(value: JsonValue) -> bool:
    return value is None or value == ""


def _key(
    name: str, policy: RateLimitPolicy | BulkheadPolicy | None, run: Run
) -> str | Failure | None:
    if policy is None or policy.key is None:
        return None
    value = policy.key.render(run.frame.names)
    if _is_empty(value):
        # As a text it would be one key of all executions that lack one.
        text = f"the key of '{name}' is empty"
        return Failure("step.policy_key", text, advice=Advice.FIX_REQUEST)
    return canonical_bytes(value).decode()
