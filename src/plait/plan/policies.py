"""What stands around each attempt of a call, resolved. Times in milliseconds.

Rule 1. Two policies that are equal but for `name` and `key` say the same of whatever they
        protect, in whichever workflow they stand.
Rule 2. Whom a policy is shared with is its name: the document's own, or the upstream's.

Not here: doing what they say (plait.drivers.policies), who stands around whom
(docs/patterns/README.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from plait.expression import Template

RateStrategy: TypeAlias = Literal[
    "fixed_window", "sliding_window", "token_bucket", "leaky_bucket", "leaky_bucket_meter"
]


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """How many retries an upstream can bear: `ratio` of the requests in the window.

    Attributes:
        retries_min: So many are granted per window, however few requests there were.
    """

    ratio: float = 0.2
    retries_min: int = 10
    window_ms: int = 10_000


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When calls are refused because too many have failed.

    Attributes:
        window_ms: The window's length in time; None: it is of `window_calls`.
        on: Words of errors that count as failures; None: those that speak against the
            upstream.
        name: Whom it is shared with; empty: all calls of the upstream.
    """

    failure_threshold: int | None = 5
    failure_rate: float | None = None
    slow_call_ms: int | None = None
    slow_rate: float | None = None
    window_calls: int = 100
    window_ms: int | None = None
    calls_min: int = 10
    success_threshold: int = 1
    open_ms: int = 30_000
    half_open_calls_max: int = 1
    half_open_ms: int = 60_000
    on: tuple[str, ...] | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class RateLimitPolicy:
    """How many calls may begin in a stretch of time.

    Attributes:
        burst: Calls at once, of the strategies that have a bucket; None: `limit`.
        weight: How many of the limit one call takes.
        queue_max: How many calls may wait for their turn.
        queue_ms: How long one may wait; 0: not at all.
        name: Whom it is shared with; empty: all calls of the upstream.
        key: Each value has a limit of its own; None: there is one.
    """

    limit: int
    period_ms: int
    strategy: RateStrategy = "token_bucket"
    burst: int | None = None
    weight: int = 1
    queue_max: int = 1_000
    queue_ms: int = 5_000
    name: str = ""
    key: Template | None = None


@dataclass(frozen=True, slots=True)
class BulkheadPolicy:
    """How many calls may be under way at a time; see `RateLimitPolicy` for the rest."""

    concurrency_max: int
    queue_max: int = 0
    queue_ms: int = 5_000
    name: str = ""
    key: Template | None = None


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How long an answer may be given again.

    Attributes:
        ttl_ms: It is fresh for so long.
        stale_ms: For so long after that it is given while another is fetched.
        error_ms: For so long after that it is given where the call fails.
        scope: What `key` tells answers apart in: the step, or the name that it shares.
        key: What an answer is kept under; None: the request.
        user: Whose answer it is; None: everybody's.
    """

    ttl_ms: int
    stale_ms: int = 0
    error_ms: int = 0
    scope: str = ""
    key: Template | None = None
    user: Template | None = None


@dataclass(frozen=True, slots=True)
class OncePolicy:
    """How long what is asked for under one idempotency key is done once.

    Attributes:
        keep_ms: The reply is given again for so long.
        scope: The step whose key it is, among all of all workflows.
    """

    keep_ms: int
    scope: str


@dataclass(frozen=True, slots=True)
class HedgePolicy:
    """When another call is made because the one before is slow; one of the first two.

    Attributes:
        quantile: Slower than this share of the upstream's latest calls.
        hedges_max: How many further calls at most.
        share: Further calls per request, at most.
    """

    after_ms: int | None = None
    quantile: float | None = None
    hedges_max: int = 1
    share: float = 0.1


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """How single lookups become one bulk call.

    Attributes:
        over: Keys that lead, in the request, to the list of what is looked up.
        results: Keys that lead, in the response, to what was found: a list of objects, or
            an object by what was looked up.
        by: Of a list's objects, the key that says what each answers.
        size_max: Lookups in one call; >= 1.
        delay_ms: How long the first lookup waits for others.
    """

    over: tuple[str, ...]
    results: tuple[str, ...] = ()
    by: str = "id"
    size_max: int = 100
    delay_ms: int = 2


@dataclass(frozen=True, slots=True)
class Policies:
    """What stands around each attempt of one step's call; None: nothing of the kind."""

    cache: CachePolicy | None = None
    batch: BatchPolicy | None = None
    circuit_breaker: BreakerPolicy | None = None
    rate_limit: RateLimitPolicy | None = None
    bulkhead: BulkheadPolicy | None = None
    hedge: HedgePolicy | None = None
    once: OncePolicy | None = None
