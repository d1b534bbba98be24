"""Limiters that many processes share: the count is in Redis, and so is the clock.

Rule 1. A script counts, whole and with nobody in between, by the server's clock.
Rule 2. One question at a time is under way: those who come meanwhile go together in the
    next one. So a hundred callers need one connection, and a caller that is cancelled cuts
    no conversation short; what was admitted to it is given back.
Rule 3. Who waits in this process is served in turn. Between processes there is no turn.
Rule 4. When Redis does not answer, calls are admitted (`unreachable="admit"`) or refused.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, ClassVar, Final, Literal, NamedTuple, Unpack, get_args

from redis.asyncio import Redis

from plait.resilience.checks import check_patience, check_seconds
from plait.resilience.rate_limit.admission import (
    ADMITTED,
    Admission,
    Standing,
    StoreReachable,
    StoreUnreachable,
)
from plait.resilience.rate_limit.face import CommonSettings, RateLimiter, or_limit
from plait.resilience.rate_limit.line import Caller, Line, Outcome, Place
from plait.resilience.rate_limit.strategies import chosen

Unreachable = Literal["admit", "refuse"]

# Weights in one question: a script of 100 steps holds the server up for about 0.2 ms.
_BATCH_MAX: Final = 100
# After a question without an answer the next one is asked so much later.
_REST_S: Final = 1.0
_TIMER_S_MIN: Final = 1e-6


class RedisSettings(CommonSettings, total=False):
    """What a limiter through Redis can be given besides its limit.

    Attributes:
        unreachable: While Redis does not answer, `admit`, the default, or `refuse`.
        answer_s_max: Seconds to wait for an answer of Redis; 0.25.
    """

    unreachable: Unreachable
    answer_s_max: float


class _Question(NamedTuple):
    """What goes to the script: admissions that nobody uses, and who wants one, in turn."""

    returned: list[tuple[int, float]]
    callers: list[tuple[Place, Caller]]


class _Answer(NamedTuple):
    """What the script said.

    Attributes:
        at: Microseconds of the server's clock; 0: it was not asked.
        waits: Seconds for each caller, 0: admitted. Behind a patient one that is not
            nobody is.
    """

    at: float
    limit: int
    remaining: int
    reset_after: float
    waits: Sequence[float]


class RedisRateLimiter(RateLimiter):
    """Counts in Redis, under one key, for all processes that use the key."""

    _kind: ClassVar[str]
    _script: ClassVar[str]
    _is_queue: ClassVar[bool] = False
    # What its bucket holds; None: the limit.
    _size: int | None = None

    def __init__(
        self,
        client: Redis,
        key: str,
        *,
        limit: int,
        period_s: float,
        unreachable: Unreachable = "admit",
        answer_s_max: float = 0.25,
        **common: Unpack[CommonSettings],
    ) -> None:
        """Args:
        client: Of redis-py; its owner closes it.
        key: Names the limit among all that use Redis.
        limit: Calls per period, 1 or more.
        period_s: Seconds.
        unreachable, answer_s_max, common: See `RedisSettings`.
        """
        common.setdefault("name", key)
        size = limit if self._size is None else self._size
        super().__init__(limit=limit, period_s=period_s, weight_max=size, **common)
        if unreachable not in get_args(Unreachable):
            raise ValueError(f"unreachable is {unreachable!r}: give 'admit' or 'refuse'")
        self._admits_unreachable = unreachable == "admit"
        check_seconds("answer_s_max", answer_s_max)
        self._answer_s_max = answer_s_max
        self._run = client.register_script(script_text(self._script))
        self._keys = [f"plait:rate_limit:{self._kind}:{key}"]
        # To the script a size of 0 is a queue.
        self._shape = limit, round(period_s * 1e6), 0 if self._is_queue else size
        self._line = Line(self._serve, self._give_back, answers_later=True)
        self._returned: list[tuple[int, float]] = []
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._silent_until: float | None = None

    async def try_acquire(self, weight: int = 1) -> Admission:
        """Take `weight` of the limit if it is there and nobody here waits for it.

        Raises:
            ValueError: `weight` is no whole number from 1 to `weight_max`.
        """
        self._check(weight)
        outcome = await self._ask(weight)
        if outcome.admitted:
            return ADMITTED
        self._tell_refused(weight, outcome.retry_after)
        return Admission(False, outcome.retry_after)

    async def acquire(self, weight: int = 1) -> None:
        self._check(weight)
        outcome = await self._ask(weight)
        if not outcome.admitted:
            raise self._limited(weight, outcome.retry_after)

    async def acquire_or_wait(
        self, weight: int = 1, *, timeout: float | None = None
    ) -> None:
        self._check(weight)
        timeout = check_patience("timeout", timeout)
        if self._max_queue == 0:
            await self.acquire(weight)
            return
        if self._max_queue is not None and len(self._line) >= self._max_queue:
            raise self._limited(weight, self._wait_in_turn(weight), self._crowded())
        outcome = await self._line.wait(weight, timeout)
        if not outcome.admitted:
            raise self._limited(weight, outcome.retry_after)

    async def snapshot(self) -> Standing:
        """Return what is left, for headers and metrics; takes nothing.

        While Redis does not answer, all of it, or with `unreachable="refuse"` nothing.
        """
        waiting = len(self._line)
        answer = await self._answered(_Question([], []))
        remaining = 0 if waiting else answer.remaining
        return Standing(answer.limit, remaining, answer.reset_after, waiting)

    @property
    def is_idle(self) -> bool:
        """Whether nobody asks or waits here; what counts is in Redis."""
        return self._task is None and self._line.head() is None

    @property
    def idle_after(self) -> float:
        """Seconds after which it makes sense to ask for `is_idle` again: a guess."""
        return self._answer_s_max

    async def aclose(self) -> None:
        """Wait for the question that cancelled callers have left under way.

        Before the client is closed: else the question would connect once more.
        """
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _ask(self, weight: int) -> Outcome:
        """Have `weight` admitted or refused with the next question."""
        if self._timer is not None and self._line.head() is not None:
            return Outcome(False, 0.0, self._wait_in_turn(weight))
        return await self._line.wait(weight, patient=False)

    def _wait_in_turn(self, weight: int) -> float:
        """Return a guess: by the rate, and at least until the head is asked for again."""
        spread_s = (self._line.weight + weight) * self._period_s / self._limit
        if self._timer is None or self._timer.cancelled():
            return spread_s
        return max(self._timer.when() - asyncio.get_running_loop().time(), spread_s)

    def _give_back(self, weight: int, at: float) -> None:
        self._returned.append((weight, at))
        self._serve()

    def _serve(self) -> None:
        """Ask Redis, unless a question is under way, which will see to the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Ask and answer until nobody is left, or the head has to wait for its time."""
        try:
            while self._timer is None:
                question = _Question(self._returned, self._line.first(_BATCH_MAX))
                self._returned = []
                if not any(question):
                    return
                self._settle(await self._answered(question), question.callers)
        finally:
            self._task = None

    def _settle(self, answer: _Answer, callers: list[tuple[Place, Caller]]) -> None:
        blocked: tuple[Place, float] | None = None
        for (place, asked), wait_s in zip(callers, answer.waits, strict=True):
            caller = self._line.caller_at(place)
            if not wait_s:
                if not self._line.admit(place, answer.at):
                    self._returned.append((abs(asked), answer.at))
                continue
            if caller is not None and caller < 0:
                self._line.refuse(place, wait_s)
            if blocked is None and asked > 0:
                blocked = (place, wait_s)
        # If that one is gone by now, the loop asks at once for those behind it.
        if blocked is not None:
            self._come_back(*blocked)

    def _come_back(self, place: Place, wait_s: float) -> None:
        """Ask again for the head in `wait_s`, if it is the head still."""
        head = self._line.head()
        if head is None or head[0] is not place or self._returned:
            return
        loop = place.get_loop()
        if self._line.ends_before(place, loop.time() + wait_s):
            self._line.refuse(place, wait_s)
            return
        # Who came while the question was under way, and would not wait.
        self._line.refuse_impatient(wait_s)
        self._timer = loop.call_later(max(wait_s, _TIMER_S_MIN), self._serve)

    async def _answered(self, question: _Question) -> _Answer:
        count = len(question.callers)
        if self._is_silent():
            return self._answer_without(count)
        try:
            async with asyncio.timeout(self._answer_s_max):
                said = await self._run(keys=self._keys, args=self._arguments(question))
        except Exception as error:  # whatever it is, nobody may be left waiting for it
            self._fall_silent(error)
            return self._answer_without(count)
        self._speak_again()
        at, limit, remaining, reset_after, *waits = said
        waits_s = [wait / 1e6 for wait in waits]
        return _Answer(at, limit, remaining, reset_after / 1e6, waits_s)

    def _arguments(self, question: _Question) -> list[Any]:
        return [
            *self._shape,
            len(question.returned),
            *(number for pair in question.returned for number in pair),
            *(caller for _, caller in question.callers),
        ]

    def _answer_without(self, count: int) -> _Answer:
        if self._admits_unreachable:
            return _Answer(0, self.weight_max, self.weight_max, 0.0, [0.0] * count)
        return _Answer(0, self.weight_max, 0, _REST_S, [_REST_S] * count)

    def _is_silent(self) -> bool:
        until = self._silent_until
        return until is not None and asyncio.get_running_loop().time() < until

    def _fall_silent(self, error: Exception) -> None:
        is_news = self._silent_until is None
        self._silent_until = asyncio.get_running_loop().time() + _REST_S
        if is_news and self._on_event is not None:
            reason = f"{type(error).__name__}: {error}"
            self._on_event(StoreUnreachable(self.name, reason))

    def _speak_again(self) -> None:
        if self._silent_until is not None:
            self._silent_until = None
            if self._on_event is not None:
                self._on_event(StoreReachable(self.name))


class RedisFixedWindow(RedisRateLimiter):
    """`FixedWindow` for many processes; windows begin at multiples of the period."""

    _kind = _script = "fixed_window"


class RedisSlidingWindow(RedisRateLimiter):
    """`SlidingWindow` for many processes: exact, and `limit` entries per key at most."""

    _kind = _script = "sliding_window"


class RedisLeakyBucket(RedisRateLimiter):
    """`LeakyBucket` for many processes: their calls together are spaced."""

    _kind, _script = "leaky_bucket", "bucket"
    _is_queue = True


class RedisTokenBucket(RedisRateLimiter):
    """`TokenBucket` for many processes."""

    _kind, _script = "token_bucket", "bucket"

    def __init__(
        self,
        client: Redis,
        key: str,
        *,
        limit: int,
        period_s: float,
        burst: int | None = None,
        **settings: Unpack[RedisSettings],
    ) -> None:
        """Args: as for `TokenBucket`; `key` names the limit among all that use Redis."""
        self._size = or_limit("burst", burst, limit)
        super().__init__(client, key, limit=limit, period_s=period_s, **settings)


class RedisLeakyBucketMeter(RedisRateLimiter):
    """`LeakyBucketMeter` for many processes."""

    _kind, _script = "leaky_bucket_meter", "bucket"

    def __init__(
        self,
        client: Redis,
        key: str,
        *,
        limit: int,
        period_s: float,
        capacity: int | None = None,
        **settings: Unpack[RedisSettings],
    ) -> None:
        """Args: as for `LeakyBucketMeter`; `key` names the limit among all of Redis."""
        self._size = or_limit("capacity", capacity, limit)
        super().__init__(client, key, limit=limit, period_s=period_s, **settings)


_KINDS: Final[Mapping[str, type[Any]]] = {
    kind._kind: kind
    for kind in (
        RedisFixedWindow,
        RedisSlidingWindow,
        RedisTokenBucket,
        RedisLeakyBucket,
        RedisLeakyBucketMeter,
    )
}


def redis_rate_limiter(
    client: Redis,
    key: str,
    strategy: str,
    *,
    limit: int,
    period_s: float,
    burst: int | None = None,
    **settings: Unpack[RedisSettings],
) -> RedisRateLimiter:
    """Return a limiter through Redis by its strategy's name, as `rate_limiter` does."""
    kind, size = chosen(strategy, _KINDS, burst)
    limiter: RedisRateLimiter = kind(
        client, key, limit=limit, period_s=period_s, **size, **settings
    )
    return limiter


@functools.cache
def script_text(script: str, clock: str = "") -> str:
    """Return the whole script; the clock is the server's unless another is given."""
    folder = resources.files(__package__) / "scripts"
    names = ("clock", "before", script, "after")
    texts = [(folder / f"{name}.lua").read_text("utf-8") for name in names]
    return "\n".join([clock or texts[0], *texts[1:]])
