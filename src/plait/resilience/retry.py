"""Retry: a failed call is made again, after a wait, a few times.

Rule 1. Only errors that `on` names are retried, and never anything but an `Exception`:
    cancellation goes through at once, also while waiting.
Rule 2. What ends in an error ends in the last attempt's own error; `error.attempts` and its
    notes tell of all of them.

Not here: how much an upstream can bear (plait.resilience.retry_budget).
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, ParamSpec, TypeVar, get_args

from plait.resilience.checks import (
    check_choice,
    check_count,
    check_factor,
    check_seconds,
    check_share,
)
from plait.resilience.clock import SYSTEM_CLOCK, Clock
from plait.resilience.matching import ErrorWords, is_transient, matcher, retry_after_s
from plait.resilience.policy import SyncPolicy, finished
from plait.resilience.retry_budget import RetryBudget

P = ParamSpec("P")
T = TypeVar("T")

Backoff = Literal["fixed", "linear", "exponential", "random"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that failed.

    Attributes:
        number: From 1.
        error: What it raised.
        duration_s: How long it took.
        delay_s: How long is waited before the next one; None: there is none.
    """

    number: int
    error: Exception
    duration_s: float
    delay_s: float | None

    def __str__(self) -> str:
        then = "" if self.delay_s is None else f"; next after {self.delay_s:.3g} s"
        what = f"{type(self.error).__name__}: {self.error}"
        return f"attempt {self.number} failed after {self.duration_s:.3g} s: {what}{then}"


@dataclass(frozen=True, slots=True)
class Retried(Generic[T]):
    """What a function returned in the end, and the attempts that failed before."""

    value: T
    attempts: tuple[Attempt, ...]


class RetryPolicy(SyncPolicy):
    """Makes a failed call again: a policy, a decorator, for all kinds of functions.

    Attributes:
        retries: Attempts so far that were not a call's first.
        failures: Calls so far that failed in the end.

    >>> from asyncio import run
    >>> answers = iter([503, 200])
    >>> @RetryPolicy(max_attempts=3, delay_s=0.001, on=LookupError)
    ... async def fetch():
    ...     status = next(answers)
    ...     if status != 200:
    ...         raise LookupError(status)
    ...     return status
    >>> run(fetch())
    200
    """

    __slots__ = (
        "_clock",
        "_matches",
        "_now",
        "_on_retry",
        "_random",
        "_sleep_sync",
        "backoff",
        "budget",
        "deadline_s",
        "delay_s",
        "factor",
        "failures",
        "jitter",
        "max_attempts",
        "max_delay_s",
        "name",
        "retries",
    )

    def __init__(
        self,
        *,
        max_attempts: int = 3,
        delay_s: float = 0.1,
        backoff: Backoff = "fixed",
        factor: float = 2.0,
        max_delay_s: float = 30.0,
        jitter: float = 0.0,
        on: ErrorWords = is_transient,
        deadline_s: float | None = None,
        budget: RetryBudget | None = None,
        on_retry: Callable[[Attempt], None] | None = None,
        name: str = "",
        clock: Clock = SYSTEM_CLOCK,
        sleep_sync: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Describe which errors are retried, how often and when.

        Args:
            max_attempts: All attempts, the first included; >= 1.
            delay_s: Wait before the second attempt; >= 0.
            backoff: `fixed`; `linear`: delay × attempts made; `exponential`: delay ×
                factor^(attempts made - 1); `random`: between delay and ceiling, which
                then is no less.
            factor: Base of the exponential back-off; >= 1.
            max_delay_s: Ceiling of every wait, also of one that the error asks for.
            jitter: 0 to 1: the wait is drawn from (1 ± jitter) × itself.
            on: The errors that are retried; see `plait.resilience.matching`.
            deadline_s: No attempt begins later than this after the first; None: no bound.
                A running attempt is not cut off: that is what a timeout does.
            budget: Asked before every retry; shared by all that call one upstream.
            on_retry: Called before each wait. What it raises ends the call.
            name: For metrics.
            clock: What tells the time, and waits.
            sleep_sync: What waits between attempts of functions that do not wait.
            draw: Gives numbers from 0 up to, not including, 1.

        Raises:
            ValueError: An argument is out of its range.
        """
        check_count("max_attempts", max_attempts)
        check_seconds("delay_s", delay_s, zero=True)
        check_choice("backoff", backoff, get_args(Backoff))
        check_factor("factor", factor)
        check_seconds("max_delay_s", max_delay_s, zero=True)
        if backoff == "random":
            _check_spread(delay_s, max_delay_s)
        check_share("jitter", jitter, zero=True)
        if deadline_s is not None:
            check_seconds("deadline_s", deadline_s)
        self.max_attempts = max_attempts
        self.delay_s = delay_s
        self.backoff = backoff
        self.factor = factor
        self.max_delay_s = max_delay_s
        self.jitter = jitter
        self.deadline_s = deadline_s
        self.budget = budget
        self.name = name
        self.retries = self.failures = 0
        self._matches = matcher("on", on)
        self._on_retry = on_retry
        self._clock = clock
        self._now = clock.now
        self._sleep_sync = sleep_sync
        self._random = draw

    def begin(self) -> RetrySession:
        """Begin a call: for drivers, who make attempts and wait themselves."""
        if self.budget is not None:
            self.budget.requested()
        return RetrySession(self, self._now())

    async def call(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function`, again when it fails; return what it returns.

        Raises:
            Exception: The last attempt's error; `error.attempts` has all `Attempt`s.
        """
        budget = self.budget
        if budget is not None:
            budget.requested()
        begun_at = self._now()
        try:
            value = await function(*args, **kwargs)
        except Exception as error:
            session = RetrySession(self, begun_at)
            delay_s = session.next_delay_s(error)
        else:
            if budget is not None:
                budget.succeeded()
            return value
        await self._clock.sleep(delay_s)
        return await self._again(session, function, args, kwargs)

    async def call_with_history(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Retried[T]:
        """Do as `call` does; return the attempts that failed as well."""
        session = self.begin()
        value = await self._again(session, function, args, kwargs)
        return Retried(value, tuple(session.attempts))

    def call_sync(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do as `call` does, for a function that does not wait; blocks the thread."""
        session = self.begin()
        while True:
            try:
                value = finished(function(*args, **kwargs))
            except Exception as error:
                delay_s = session.next_delay_s(error)
            else:
                session.succeeded()
                return value
            self._sleep_sync(delay_s)
            session.resumed()

    def delay_after_s(self, attempt: int, asked_s: float | None = None) -> float:
        """Return how long to wait after failed attempt number `attempt`.

        Args:
            attempt: >= 1.
            asked_s: What the other side asked for; waited at least, up to the ceiling.

        >>> policy = RetryPolicy(backoff="exponential", max_delay_s=0.5)
        >>> [policy.delay_after_s(n) for n in (1, 2, 3, 9)]
        [0.1, 0.2, 0.4, 0.5]
        """
        delay_s = self._base_delay_s(attempt)
        if self.jitter:
            delay_s *= 1 + self.jitter * (2 * self._random() - 1)
        return min(max(delay_s, asked_s or 0.0), self.max_delay_s)

    def _base_delay_s(self, attempt: int) -> float:
        match self.backoff:
            case "fixed":
                return self.delay_s
            case "linear":
                return self.delay_s * attempt
            case "exponential":
                try:
                    delay_s = self.delay_s * self.factor ** (attempt - 1)
                except OverflowError:
                    return self.max_delay_s if self.delay_s else 0.0
                return min(delay_s, self.max_delay_s)
            case "random":
                spread_s = self.max_delay_s - self.delay_s
                return self.delay_s + spread_s * self._random()

    async def _again(
        self,
        session: RetrySession,
        function: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
    ) -> T:
        """Make one attempt after the other until one succeeds or none is left."""
        while True:
            session.resumed()
            try:
                value = await function(*args, **kwargs)
            except Exception as error:
                delay_s = session.next_delay_s(error)
            else:
                session.succeeded()
                return value
            await self._clock.sleep(delay_s)


retry: Final = RetryPolicy
"""The policy, spelled as decorators are: `@retry(max_attempts=5)`."""


def _check_spread(delay_s: float, max_delay_s: float) -> None:
    if max_delay_s < delay_s:
        raise ValueError(
            f"max_delay_s is {max_delay_s}; give {delay_s} or more: a random wait is "
            "drawn between the two"
        )


class RetrySession:
    """One call's attempts: what was tried, and whether there is another try.

    Attributes:
        attempts: Those that failed so far.
    """

    __slots__ = ("_attempt_at", "_begun_at", "_policy", "attempts")

    def __init__(self, policy: RetryPolicy, begun_at: float) -> None:
        self._policy = policy
        self._begun_at = self._attempt_at = begun_at
        self.attempts: list[Attempt] = []

    def resumed(self) -> None:
        """Note that an attempt begins."""
        self._attempt_at = self._policy._now()

    def succeeded(self) -> None:
        """Note that the attempt has succeeded."""
        if self._policy.budget is not None:
            self._policy.budget.succeeded()

    def next_delay_s(self, error: Exception) -> float:
        """Note that the attempt has failed; return how long to wait before the next one.

        Raises:
            Exception: `error` itself: there is no other attempt.
        """
        policy = self._policy
        now = policy._now()
        number = len(self.attempts) + 1
        delay_s = self._allowed_delay_s(number, error, now)
        attempt = Attempt(number, error, now - self._attempt_at, delay_s)
        self.attempts.append(attempt)
        if delay_s is None:
            policy.failures += 1
            self._tell(error)
            raise error
        policy.retries += 1
        if policy._on_retry is not None:
            policy._on_retry(attempt)
        return delay_s

    def _allowed_delay_s(self, number: int, error: Exception, now: float) -> float | None:
        policy = self._policy
        if number >= policy.max_attempts or not policy._matches(error):
            return None
        delay_s = policy.delay_after_s(number, retry_after_s(error))
        deadline_s = policy.deadline_s
        if deadline_s is not None and now + delay_s - self._begun_at >= deadline_s:
            return None
        # Last, so that only what is going to be made is taken out of the budget.
        if policy.budget is not None and not policy.budget.try_retry():
            return None
        return delay_s

    def _tell(self, error: Exception) -> None:
        """Attach the history to the error that ends the call."""
        for attempt in self.attempts if len(self.attempts) > 1 else ():
            error.add_note(str(attempt))
        with suppress(AttributeError):  # an error may have fixed slots
            error.attempts = tuple(self.attempts)  # type: ignore[attr-defined]
