"""What a picture says of the policies around a step's calls, outermost first."""

from __future__ import annotations

from collections.abc import Iterator

from plait.model.duration import format_ms
from plait.plan import HedgePolicy, Node


def policy_notes(node: Node) -> Iterator[str]:
    """Yield what stands around the calls of a step, a few words each."""
    policies = node.policies
    if policies is None:
        return
    if policies.cache is not None:
        yield f"cached {format_ms(policies.cache.ttl_ms)}"
    if policies.once is not None:
        yield f"once in {format_ms(policies.once.keep_ms)}"
    if policies.batch is not None:
        yield f"batches of {policies.batch.size_max}"
    if policies.hedge is not None:
        yield f"hedged after {_hedge_time(policies.hedge)}"
    if policies.circuit_breaker is not None:
        yield "breaker"
    if policies.rate_limit is not None:
        period = format_ms(policies.rate_limit.period_ms)
        yield f"{policies.rate_limit.limit} per {period}"
    if policies.bulkhead is not None:
        yield f"{policies.bulkhead.concurrency_max} at once"


def _hedge_time(hedge: HedgePolicy) -> str:
    if hedge.quantile is not None:
        return f"p{hedge.quantile * 100:g}"
    return format_ms(hedge.after_ms or 0)
