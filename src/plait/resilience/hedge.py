"""Hedge: a second call when the first is slow; whichever answers first is the answer.

Rule 1. Only for what may be done twice: calls that read.
Rule 2. Hedges are paid from a share of the requests (`max_share`), so that a slow upstream
        is not sent twice as much.
Rule 3. How long the first call took counts also when it was cancelled: without the slowest
        the quantile would fall, and more and more calls would be hedged.

Two faces: `requested`, `delay_s`, `try_hedge` and `answered` for drivers, which make the
calls themselves; `call`, which is a decorator as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final, Generic, NamedTuple, ParamSpec, TypeVar

from plait.resilience.checks import check_count, check_seconds, check_share
from plait.resilience.clock import SYSTEM_CLOCK, Clock
from plait.resilience.errors import ResilienceError, TimedOut
from plait.resilience.latencies import Latencies
from plait.resilience.policy import Policy

P = ParamSpec("P")
T = TypeVar("T")

# One that has never been called has no times yet; it may hedge this often at once.
CREDIT_MAX: Final = 10.0


class HedgeSnapshot(NamedTuple):
    """What a hedge did so far.

    Attributes:
        requests: Calls asked for.
        hedges: Further calls made.
        won: How often a further one answered first.
        refused: How often none was made because the share was used up.
        delay_s: How long the first has now; None: too little is known.
    """

    requests: int
    hedges: int
    won: int
    refused: int
    delay_s: float | None


class Hedge(Policy):
    """A second call when the first has not answered for a while: a policy, a decorator.

    >>> hedge = Hedge(0.01, name="prices")
    >>> calls = []
    >>> @hedge
    ... async def price() -> str:
    ...     calls.append(1)
    ...     await asyncio.sleep(60 if len(calls) == 1 else 0)
    ...     return f"from call {len(calls)}"
    >>> asyncio.run(price())
    'from call 2'
    """

    __slots__ = (
        "_clock",
        "_credit",
        "_hedges",
        "_latencies",
        "_leaving",
        "_refused",
        "_requests",
        "_won",
        "after_s",
        "max_hedges",
        "max_share",
        "min_calls",
        "name",
        "quantile",
    )

    def __init__(
        self,
        after_s: float | None = None,
        *,
        quantile: float | None = None,
        max_hedges: int = 1,
        max_share: float = 0.1,
        min_calls: int = 20,
        window_calls: int = 500,
        name: str = "",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Remember when a further call is made.

        Args:
            after_s: When the one before has not answered for so many seconds…
            quantile: …or for longer than this share of the latest calls took: 0.95.
            max_hedges: How many further calls at most, each after the same time.
            max_share: How many further calls there are at most, per request.
            min_calls: With a `quantile`: before so many calls nothing is hedged.
            window_calls: Of how many calls the times are kept.
            name: For messages and metrics.
            clock: Tells how long calls take.

        Raises:
            ValueError: An argument is out of its range, or not one of `after_s` and
                `quantile` is given.
        """
        if (after_s is None) == (quantile is None):
            raise ValueError("give either after_s, in seconds, or a quantile, such as 0.95")
        if after_s is not None:
            check_seconds("after_s", after_s)
        if quantile is not None:
            check_share("quantile", quantile)
        check_count("max_hedges", max_hedges)
        check_share("max_share", max_share)
        check_count("min_calls", min_calls)
        check_count("window_calls", window_calls, least=min_calls)
        self.after_s = after_s
        self.quantile = quantile
        self.max_hedges = max_hedges
        self.max_share = max_share
        self.min_calls = min_calls
        self.name = name
        self._clock = clock
        self._latencies = Latencies(window_calls)
        # So that the first slow call, too, can be hedged.
        self._credit = 1.0
        self._requests = self._hedges = self._won = self._refused = 0
        self._leaving: set[asyncio.Task[Any]] = set()

    # -- for drivers -------------------------------------------------------------------

    def requested(self) -> None:
        """Note a request: it pays for `max_share` of a hedge."""
        self._requests += 1
        self._credit = min(self._credit + self.max_share, CREDIT_MAX)

    @property
    def delay_s(self) -> float | None:
        """How long the call before has until the next is made; None: nobody knows yet."""
        if self.quantile is None:
            return self.after_s
        if self._latencies.count < self.min_calls:
            return None
        return self._latencies.quantile(self.quantile)

    def try_hedge(self) -> bool:
        """Tell whether a further call may be made now; it counts as made then."""
        if self._credit < 1.0:
            self._refused += 1
            return False
        self._credit -= 1.0
        self._hedges += 1
        return True

    def answered(self, took_s: float, *, by_hedge: bool) -> None:
        """Note an answer.

        Args:
            took_s: Since the first call was made, whoever answered.
        """
        self._latencies.record(took_s)
        self._won += by_hedge

    def snapshot(self) -> HedgeSnapshot:
        """Return what it did so far."""
        return HedgeSnapshot(
            self._requests, self._hedges, self._won, self._refused, self.delay_s
        )

    # -- around a function -------------------------------------------------------------

    async def call(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function`, again if it is slow; return what the first that succeeds does.

        The others are cancelled, and not waited for. A call that fails leaves the answer to
        those under way; when all have failed, the error is that of the first to fail. A
        refusal by a policy gives way to the error of a call that was made.
        """
        self.requested()
        begun_at, delay_s = self._clock.now(), self.delay_s
        if delay_s is None:
            value = await function(*args, **kwargs)
            self.answered(self._clock.now() - begun_at, by_hedge=False)
            return value
        race = _Race(self, partial(_made, function, *args, **kwargs))
        try:
            value, by_hedge = await race.run(delay_s)
        finally:
            self._drop(race.under_way)
        self.answered(self._clock.now() - begun_at, by_hedge=by_hedge)
        return value

    def _drop(self, losers: set[asyncio.Task[Any]]) -> None:
        """Cancel calls that nobody waits for any more, and keep them until they end."""
        for task in losers:
            task.cancel()
            self._leaving.add(task)
            task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[Any]) -> None:
        self._leaving.discard(task)
        if not task.cancelled():
            task.exception()  # whatever it was, it came too late to be told


class _Race(Generic[T]):
    """One call and its hedges."""

    __slots__ = ("_begin", "_failure", "_first", "_hedge", "under_way")

    def __init__(self, hedge: Hedge, begin: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._hedge = hedge
        self._begin = begin
        self._first = asyncio.create_task(begin())
        self._failure: BaseException | None = None
        self.under_way: set[asyncio.Task[T]] = {self._first}

    async def run(self, delay_s: float) -> tuple[T, bool]:
        """Return what the first that succeeds returns, and whether that was a hedge."""
        left = self._hedge.max_hedges
        while self.under_way:
            # One that failed was not slow: whether it is made again is for a retry to say.
            wait_s = delay_s if left and self._failure is None else None
            ended, self.under_way = await asyncio.wait(
                self.under_way, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not ended:
                left = left - 1 if self._hedge.try_hedge() else -1
                if left >= 0:
                    self.under_way.add(asyncio.create_task(self._begin()))
                left = max(left, 0)
            for task in ended:
                if self._has_succeeded(task):
                    return task.result(), task is not self._first
        assert self._failure is not None
        raise self._failure

    def _has_succeeded(self, task: asyncio.Task[T]) -> bool:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            return True
        # One that a policy has refused says nothing of the upstream, which the others ask.
        if self._failure is None or (_is_refusal(self._failure) and not _is_refusal(error)):
            self._failure = error
        return False


def _is_refusal(error: BaseException) -> bool:
    """Tell whether a policy kept the call from being made."""
    return isinstance(error, ResilienceError) and not isinstance(error, TimedOut)


async def _made(
    function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    return await function(*args, **kwargs)
