"""The compiled workflow: immutable, content-hashed, serialisable.

Rule. A plan loads and runs without the compiler, so a stored plan outlives it.
"""

from plait.plan.codec import PlanUnreadable, dump_plan, load_plan
from plait.plan.nodes import (
    CREDENTIAL_HEADERS,
    Endpoint,
    Lane,
    Node,
    Plan,
    RetryPolicy,
    Scope,
    Webhook,
    all_nodes,
    scopes_of,
)
from plait.plan.policies import (
    BatchPolicy,
    BreakerPolicy,
    BulkheadPolicy,
    CachePolicy,
    HedgePolicy,
    OncePolicy,
    Policies,
    RateLimitPolicy,
    RateStrategy,
    RetryBudget,
)

__all__ = [
    "CREDENTIAL_HEADERS",
    "BatchPolicy",
    "BreakerPolicy",
    "BulkheadPolicy",
    "CachePolicy",
    "Endpoint",
    "HedgePolicy",
    "Lane",
    "Node",
    "OncePolicy",
    "Plan",
    "PlanUnreadable",
    "Policies",
    "RateLimitPolicy",
    "RateStrategy",
    "RetryBudget",
    "RetryPolicy",
    "Scope",
    "Webhook",
    "all_nodes",
    "dump_plan",
    "load_plan",
    "scopes_of",
]
