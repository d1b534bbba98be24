"""Policies that all processes on one Redis share: breakers, limits, replies.

Rule 1. While Redis does not answer calls go through, and nothing is cached: an outage of
        Redis is none of the upstream's. Calls that are to be made once are refused: nobody
        could tell whether they were. After a question without an answer nobody asks for
        a second, so that calls do not wait for it one by one. What is to be made once
        cannot pass without it, and waits longer: better late than refused.
Rule 2. What is kept there holds no secret, and no name of a key: keys are hashed, tenants
        with them.
Rule 3. Bulkheads are each process's own: they bound what it holds itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, ClassVar, Final
from weakref import WeakSet

from redis.asyncio import Redis

from plait.drivers.policies.cached import Answers
from plait.drivers.policies.gates import (
    BulkheadGate,
    End,
    Given,
    Token,
    breaker_settings,
    verdict_of,
)
from plait.drivers.policies.once import Onces
from plait.drivers.policies.resting import REST_S, ReplyCodec, RestingStore
from plait.drivers.policies.shared import Kinds, Whose, said_of
from plait.model.json import JsonObject
from plait.plan import BreakerPolicy, RateLimitPolicy
from plait.resilience import RateLimited
from plait.resilience.cache.redis import RedisStore
from plait.resilience.idempotency.redis import RedisIdempotencyStore
from plait.resilience.rate_limit.redis import RedisRateLimiter, redis_rate_limiter
from plait.resilience.redis_breaker import UNCOUNTED, RedisCircuitBreaker
from plait.resilience.redis_client import impatient_client, let_go

# For what is refused without an answer: a busy disk may make Redis wait so long.
_ONCE_ANSWER_S: Final = 2.0
# A question to Redis takes up to this long: that is no waiting in line.
_ASKING_MS: Final = 10


class SharedThroughRedis:
    """What makes policies of one Redis.

    Args:
        url: `redis://…`.
        secrets: What is masked in what is kept there.
        answer_s: How long an answer may take, or a free connection. Calls that are made
            once wait for two seconds at least.

    Attributes:
        kinds: Makes gates.
        answers: The cached answers.
        onces: The calls that are made once.
    """

    def __init__(self, url: str, secrets: Mapping[str, str], answer_s: float) -> None:
        self._client = impatient_client(url, answer_s)
        self._once_client = impatient_client(url, max(answer_s, _ONCE_ANSWER_S))
        self._settling: set[asyncio.Task[None]] = set()
        # Those that may have a question under way; one that is idle may be forgotten.
        self._asking: WeakSet[RedisCircuitBreaker | RedisRateLimiter] = WeakSet()
        self.kinds = Kinds(
            self._breaker_gate,
            self._limit_gate,
            lambda name, _, given: BulkheadGate(name, given),
        )
        store = RedisStore(self._client, codec=ReplyCodec(secrets))
        self.answers = Answers(RestingStore(store))
        self.onces = Onces(RedisIdempotencyStore(self._once_client), secrets)

    def _breaker_gate(self, name: str, whose: Whose, given: BreakerPolicy) -> _BreakerGate:
        gate = _BreakerGate(self._client, name, whose, given, self._settling)
        self._asking.add(gate.breaker)
        return gate

    def _limit_gate(self, name: str, whose: Whose, given: RateLimitPolicy) -> _LimitGate:
        gate = _LimitGate(self._client, name, whose, given)
        self._asking.add(gate.limiter)
        return gate

    async def close(self) -> None:
        """Tell Redis what it is to know still, and close the connections.

        What cancelled calls have asked is waited for: it would connect once more.
        """
        if self._settling:
            await asyncio.wait(self._settling)
        for asking in list(self._asking):
            await asking.aclose()
        for client in (self._client, self._once_client):
            await let_go(client)


class _BreakerGate:
    """A circuit breaker of all processes."""

    policy: ClassVar[str] = "circuit_breaker"
    told_from_ms: ClassVar[int | None] = None

    __slots__ = ("_counts", "_on", "_settling", "_silent_until", "breaker")

    def __init__(
        self,
        client: Redis,
        name: str,
        whose: Whose,
        given: BreakerPolicy,
        settling: set[asyncio.Task[None]],
    ) -> None:
        self.breaker = RedisCircuitBreaker(
            client,
            breaker_settings(given),
            name=name,
            prefix=f"plait:breaker:{_hash((*whose, *said_of(given)))}:",
        )
        self._on = given.on
        self._settling = settling
        self._silent_until = 0.0
        self._counts = {"succeeded": 0, "failed": 0, "refused": 0}

    def try_enter(self, given: Given) -> Token | None:
        del given
        now = time.monotonic()
        return (UNCOUNTED, now) if now < self._silent_until else None

    async def enter(self, given: Given) -> Token:
        del given
        before = self.breaker.unanswered
        try:
            permit = await self.breaker.acquire()
        except Exception:
            self._counts["refused"] += 1
            raise
        if self.breaker.unanswered != before:
            self._silent_until = time.monotonic() + REST_S
        return permit, time.monotonic()

    def leave(self, token: Token, end: End) -> None:
        permit, begun_at = token
        took_s = time.monotonic() - begun_at
        match verdict_of(end, self._on):
            case None:
                self._settle(self.breaker.abandoned(permit))
            case True:
                self._counts["succeeded"] += 1
                self._settle(self.breaker.succeeded(permit, took_s))
            case False:
                self._counts["failed"] += 1
                self._settle(self.breaker.failed(permit, took_s))

    def _settle(self, work: Coroutine[Any, Any, None]) -> None:
        """Tell Redis in the background: nobody waits for that."""
        task = asyncio.get_running_loop().create_task(work)
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    @property
    def is_idle(self) -> bool:
        """What matters is in Redis."""
        return True

    def snapshot(self) -> JsonObject:
        return {**self._counts, "unanswered": self.breaker.unanswered}


class _LimitGate:
    """A rate limit of all processes."""

    policy: ClassVar[str] = "rate_limit"
    told_from_ms: ClassVar[int | None] = _ASKING_MS

    __slots__ = ("_admitted", "_refused", "limiter")

    def __init__(
        self, client: Redis, name: str, whose: Whose, given: RateLimitPolicy
    ) -> None:
        self.limiter = redis_rate_limiter(
            client,
            f"{name}:{_hash((*whose, *said_of(given)))}",
            given.strategy,
            limit=given.limit,
            period_s=given.period_ms / 1000,
            burst=given.burst,
            name=name,
            max_queue=given.queue_max,
        )
        self._admitted = self._refused = 0

    def try_enter(self, given: Given) -> Token | None:
        del given
        return None

    async def enter(self, given: Given) -> Token:
        assert isinstance(given, RateLimitPolicy)
        try:
            await self._admission(given)
        except RateLimited:
            self._refused += 1
            raise
        self._admitted += 1
        return True

    def _admission(self, given: RateLimitPolicy) -> Awaitable[None]:
        if not (given.queue_max and given.queue_ms):
            return self.limiter.acquire(given.weight)
        timeout_s = given.queue_ms / 1000
        return self.limiter.acquire_or_wait(given.weight, timeout=timeout_s)

    def leave(self, token: Token, end: End) -> None:
        """What has begun stays counted, however it ends."""

    @property
    def is_idle(self) -> bool:
        return self.limiter.is_idle

    def snapshot(self) -> JsonObject:
        return {"admitted": self._admitted, "refused": self._refused}


def _hash(parts: tuple[Any, ...]) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()
