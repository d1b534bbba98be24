"""Gates: the policies that let an attempt through or do not, all asked in one way.

Rule 1. `try_enter` never waits: it gives a token, or nothing when one is to wait for it.
Rule 2. Every token is given back once, by `leave`, with what the call came to.
Rule 3. A wait that is cancelled leaves nothing behind (plait.resilience).
"""

from __future__ import annotations

import time
from typing import Any, ClassVar, Protocol, TypeAlias

from plait.drivers.policies.verdicts import EARLY_MS, is_uncalled, speaks_against
from plait.model.failure import Failure
from plait.model.json import JsonObject
from plait.plan import BreakerPolicy, BulkheadPolicy, RateLimitPolicy
from plait.ports.calls import Outcome
from plait.resilience import (
    BreakerSettings,
    Bulkhead,
    CircuitBreaker,
    RateLimited,
    rate_limiter,
)

# What `leave` needs to know of a call that was let through.
Token: TypeAlias = Any
# What a call came to; None: it was cancelled, and nobody knows.
End: TypeAlias = Outcome | None
Given: TypeAlias = BreakerPolicy | RateLimitPolicy | BulkheadPolicy


class Gate(Protocol):
    """One policy of one upstream, or of whatever it is shared by.

    Attributes:
        policy: Its name in documents.
        told_from_ms: Waits from this long on stand in the timeline; None: none does.
    """

    policy: ClassVar[str]
    told_from_ms: ClassVar[int | None]

    def try_enter(self, given: Given) -> Token | None:
        """Let a call through now; None: not before it has waited.

        Args:
            given: What the call's own step says of the policy.

        Raises:
            ResilienceError: It is refused.
        """
        ...

    async def enter(self, given: Given) -> Token:
        """Let a call through, after a wait.

        Raises:
            ResilienceError: It is refused.
        """
        ...

    def leave(self, token: Token, end: End) -> None:
        """Take back what `try_enter` or `enter` gave."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether a new one would do as well."""
        ...

    def snapshot(self) -> JsonObject:
        """Return what it holds now and did so far, for metrics."""
        ...


class BreakerGate:
    """A circuit breaker of this process."""

    policy: ClassVar[str] = "circuit_breaker"
    told_from_ms: ClassVar[int | None] = None

    __slots__ = ("_breaker", "_is_timed", "_on")

    def __init__(self, name: str, given: BreakerPolicy) -> None:
        self._breaker = CircuitBreaker(breaker_settings(given), name=name)
        self._on = given.on
        self._is_timed = given.slow_call_ms is not None

    def try_enter(self, given: Given) -> Token | None:
        return self._breaker.acquire(), time.monotonic() if self._is_timed else 0.0

    async def enter(self, given: Given) -> Token:
        return self.try_enter(given)

    def leave(self, token: Token, end: End) -> None:
        permit, begun_at = token
        took_s = time.monotonic() - begun_at if self._is_timed else 0.0
        match verdict_of(end, self._on):
            case None:
                self._breaker.abandoned(permit)
            case True:
                self._breaker.succeeded(permit, took_s)
            case False:
                self._breaker.failed(permit, took_s)

    @property
    def is_idle(self) -> bool:
        # One that would let the next call through has little to lose.
        now = self._breaker.snapshot()
        return not now.half_open_calls and not now.retry_after

    def snapshot(self) -> JsonObject:
        now = self._breaker.snapshot()
        return {
            "state": now.state.value,
            "succeeded": now.succeeded,
            "failed": now.failed,
            "slow": now.slow,
            "refused": now.refused,
        }


class LimitGate:
    """A rate limit of this process."""

    policy: ClassVar[str] = "rate_limit"
    told_from_ms: ClassVar[int | None] = 1

    __slots__ = ("_admitted", "_limiter", "_refused", "_waited")

    def __init__(self, name: str, given: RateLimitPolicy) -> None:
        self._limiter = rate_limiter(
            given.strategy,
            limit=given.limit,
            period_s=given.period_ms / 1000,
            burst=given.burst,
            name=name,
            max_queue=given.queue_max,
        )
        self._admitted = self._waited = self._refused = 0

    def try_enter(self, given: Given) -> Token | None:
        assert isinstance(given, RateLimitPolicy)
        admission = self._limiter.try_acquire(given.weight)
        if admission.admitted:
            self._admitted += 1
            return True
        if given.queue_max and given.queue_ms:
            return None
        self._refused += 1
        text = f"rate limit '{self._limiter.name}' is used up"
        name, after_s = self._limiter.name, admission.retry_after
        raise RateLimited(text, name=name, retry_after=after_s)

    async def enter(self, given: Given) -> Token:
        assert isinstance(given, RateLimitPolicy)
        timeout_s = given.queue_ms / 1000
        try:
            await self._limiter.acquire_or_wait(given.weight, timeout=timeout_s)
        except RateLimited:
            self._refused += 1
            raise
        self._admitted += 1
        self._waited += 1
        return True

    def leave(self, token: Token, end: End) -> None:
        """What has begun stays counted, however it ends."""

    @property
    def is_idle(self) -> bool:
        return self._limiter.is_idle

    def snapshot(self) -> JsonObject:
        now = self._limiter.snapshot()
        return {
            "limit": now.limit,
            "remaining": now.remaining,
            "waiting": now.waiting,
            "admitted": self._admitted,
            "waited": self._waited,
            "refused": self._refused,
        }


class BulkheadGate:
    """A bulkhead; each process has its own."""

    policy: ClassVar[str] = "bulkhead"
    told_from_ms: ClassVar[int | None] = 1

    __slots__ = ("_bulkhead",)

    def __init__(self, name: str, given: BulkheadPolicy) -> None:
        self._bulkhead = Bulkhead(
            given.concurrency_max,
            max_queue=given.queue_max,
            queue_timeout_s=given.queue_ms / 1000,
            name=name,
        )

    def try_enter(self, given: Given) -> Token | None:
        if self._bulkhead.try_acquire():
            return True
        if not self._bulkhead.max_queue:
            self._bulkhead.enter()  # raises: nobody waits here
        return None

    async def enter(self, given: Given) -> Token:
        await self._bulkhead.acquire()
        return True

    def leave(self, token: Token, end: End) -> None:
        self._bulkhead.release()

    @property
    def is_idle(self) -> bool:
        now = self._bulkhead.snapshot()
        return not now.running and not now.waiting

    def snapshot(self) -> JsonObject:
        now = self._bulkhead.snapshot()
        return {
            "running": now.running,
            "waiting": now.waiting,
            "admitted": now.admitted,
            "refused": now.refused,
        }


def verdict_of(end: End, on: tuple[str, ...] | None) -> bool | None:
    """Tell whether a call speaks for its upstream; None: for neither."""
    if end is None:
        return None
    if not isinstance(end, Failure):
        return True
    return None if is_uncalled(end) else not speaks_against(end, on)


def breaker_settings(given: BreakerPolicy) -> BreakerSettings:
    """Return what the document says of a breaker, in seconds."""
    slow_ms, window_ms = given.slow_call_ms, given.window_ms
    return BreakerSettings(
        failure_threshold=given.failure_threshold,
        failure_rate=given.failure_rate,
        slow_call_s=None if slow_ms is None else slow_ms / 1000,
        slow_rate=given.slow_rate,
        window_calls=given.window_calls,
        window_s=None if window_ms is None else window_ms / 1000,
        min_calls=given.calls_min,
        success_threshold=given.success_threshold,
        open_s=_open_ms(given.open_ms) / 1000,
        max_half_open_calls=given.half_open_calls_max,
        half_open_s=given.half_open_ms / 1000,
    )


def _open_ms(given_ms: int) -> float:
    """Return how long a breaker is open whose refusals advise to wait `EARLY_MS` longer:
    nobody is to wait longer than the document says, but where that is next to nothing.
    """
    return max(given_ms - EARLY_MS, given_ms / 2)
