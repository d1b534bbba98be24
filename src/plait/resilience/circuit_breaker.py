"""Circuit breaker: what keeps failing is left alone for a while.

Rule 1. Between a decision and its effect there is no await: on one event loop no two calls
    see the same free place.
Rule 2. Each change of state begins a new round. A permit is its round's number; what is
    settled with a permit of an earlier round counts for nothing.
Rule 3. A breaker belongs to one event loop, or to one thread that has none.

Not here: one breaker for several processes (plait.resilience.redis_breaker).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from plait.resilience.breaker_settings import (
    BreakerSettings,
    BreakerSnapshot,
    BreakerState,
    BreakerStateChanged,
    Reason,
)
from plait.resilience.clock import SYSTEM_CLOCK, Clock, seconds_until
from plait.resilience.errors import CircuitOpen, ResilienceError, TimedOut
from plait.resilience.matching import ErrorWords, is_upstream_failure, matcher
from plait.resilience.policy import Scopes, SyncPolicy, finished
from plait.resilience.windows import FAILED, SLOW, CountWindow, TimeWindow, Window

P = ParamSpec("P")
T = TypeVar("T")

_CLOSED = BreakerState.CLOSED
_OPEN = BreakerState.OPEN
_HALF_OPEN = BreakerState.HALF_OPEN
_ISOLATED = BreakerState.ISOLATED


class CircuitBreaker(SyncPolicy):
    """Refuses calls for a while after too many have failed: a policy, a decorator.

    Drivers ask `try_acquire` for a permit and settle it once, with `succeeded`, `raised` or
    `abandoned`.

    >>> breaker = CircuitBreaker(BreakerSettings(failure_threshold=2), name="payments")
    >>> for _ in range(2):
    ...     breaker.failed(breaker.try_acquire())
    >>> breaker.call_sync(print, "not reached")
    Traceback (most recent call last):
    plait.resilience.errors.CircuitOpen: payments is open for another 30 s
    """

    __slots__ = (
        "_consecutive",
        "_fallback",
        "_is_failure",
        "_now",
        "_on_event",
        "_open_until",
        "_probe_at",
        "_refusal_text",
        "_round",
        "_running",
        "_scopes",
        "_slow_call_s",
        "_state",
        "_successes",
        "_timed",
        "_totals",
        "_window",
        "name",
        "settings",
    )

    def __init__(
        self,
        settings: BreakerSettings | None = None,
        *,
        failures: ErrorWords = is_upstream_failure,
        fallback: Callable[[CircuitOpen], Any] | None = None,
        name: str = "",
        on_event: Callable[[BreakerStateChanged], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Make a closed breaker.

        Args:
            settings: When it opens and closes; None: the defaults.
            failures: The errors that count as failures, see `plait.resilience.matching`.
                Others tell that the upstream answers, and count as successes; refusals of
                other policies and cancelled calls count as nothing.
            fallback: Answers refused calls in place of `CircuitOpen`; awaited where it asks
                for that.
            name: For messages, events and metrics.
            on_event: Called at each change of state. It must not raise.
            clock: What tells the time.

        Raises:
            ValueError: `failures` names no errors.
        """
        self.settings = settings if settings is not None else BreakerSettings()
        self.name = name
        self._is_failure = matcher("failures", failures)
        self._fallback = fallback
        self._on_event = on_event
        self._now = clock.now
        self._window = _window(self.settings)
        self._slow_call_s = self.settings.slow_call_s
        # Only these ask the clock twice in each call.
        self._timed = self._slow_call_s is not None
        self._scopes: Scopes[tuple[int, float]] = Scopes()
        self._state = _CLOSED
        self._refusal_text = _refusal_text(name, _CLOSED)
        self._round = 1
        self._consecutive = self._successes = self._running = 0
        self._open_until = self._probe_at = 0.0
        self._totals = _Totals()

    @property
    def state(self) -> BreakerState:
        """The state; OPEN also when the open time is over and nobody has asked since."""
        return self._state

    def try_acquire(self) -> int:
        """Return a permit for one call, or 0: it is refused."""
        if self._state is _CLOSED:
            return self._round
        return self._try_probe()

    def acquire(self) -> int:
        """Return a permit for one call.

        Raises:
            CircuitOpen: There is none.
        """
        permit = self.try_acquire()
        if not permit:
            raise self.refusal()
        return permit

    def refusal(self) -> CircuitOpen:
        """Return the error that a refused call fails with."""
        is_open = self._state is _OPEN
        after = seconds_until(self._open_until, self._now()) if is_open else None
        return CircuitOpen(self._refusal_text, name=self.name, retry_after=after)

    def succeeded(self, permit: int, duration_s: float = 0.0) -> None:
        """Settle `permit`: the call has succeeded in so many seconds."""
        if self._timed and duration_s >= (self._slow_call_s or 0.0):
            self._totals.slow += 1
            failed = self.settings.slow_rate is None
            self._settle(permit, SLOW | FAILED if failed else SLOW)
        elif permit == self._round and self._window is None and self._state is _CLOSED:
            self._totals.succeeded += 1
            self._consecutive = 0
        else:
            self._settle(permit, 0)

    def failed(self, permit: int, duration_s: float = 0.0) -> None:
        """Settle `permit`: the call has failed after so many seconds."""
        slow = self._timed and duration_s >= (self._slow_call_s or 0.0)
        self._totals.slow += slow
        self._settle(permit, SLOW | FAILED if slow else FAILED)

    def raised(self, permit: int, error: BaseException, duration_s: float = 0.0) -> None:
        """Settle `permit`: the call has ended in `error`, whatever that counts as."""
        refused = isinstance(error, ResilienceError) and not isinstance(error, TimedOut)
        if refused or not isinstance(error, Exception):
            self.abandoned(permit)
        elif self._is_failure(error):
            self.failed(permit, duration_s)
        else:
            self.succeeded(permit, duration_s)

    def abandoned(self, permit: int) -> None:
        """Settle `permit`: the call was not made, or nobody knows how it would end."""
        if permit == self._round and self._state is _HALF_OPEN:
            self._running -= 1

    def open(self) -> None:
        """Let nothing through until `close` or `reset`."""
        self._change(_ISOLATED, "by_hand")

    def close(self) -> None:
        """Let everything through again, and forget the failures."""
        self._change(_CLOSED, "by_hand")

    def reset(self) -> None:
        """Do as `close` does, and begin the totals of `snapshot` anew."""
        self._change(_CLOSED, "by_hand")
        self._totals = _Totals()

    def snapshot(self) -> BreakerSnapshot:
        """Return what the breaker holds now."""
        window = self._window
        return BreakerSnapshot(
            state=self._state,
            consecutive_failures=self._consecutive,
            window_calls=window.calls if window is not None else 0,
            window_failures=window.failures if window is not None else 0,
            window_slow=window.slow if window is not None else 0,
            half_open_calls=self._running,
            retry_after=self.refusal().retry_after,
            succeeded=self._totals.succeeded,
            failed=self._totals.failed,
            slow=self._totals.slow,
            refused=self._totals.refused,
        )

    async def call(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function` if the circuit lets it through.

        Raises:
            CircuitOpen: It does not; nothing was called.
        """
        permit = self._round if self._state is _CLOSED else self._try_probe()
        if not permit:
            if self._fallback is None:
                raise self.refusal()
            answer = self._fallback(self.refusal())
            return cast("T", await answer if isawaitable(answer) else answer)
        begun_at = self._now() if self._timed else 0.0
        try:
            value = await function(*args, **kwargs)
        except BaseException as error:
            self.raised(permit, error, self._now() - begun_at)
            raise
        self.succeeded(permit, self._now() - begun_at if self._timed else 0.0)
        return value

    def call_sync(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do as `call` does, for a function that does not wait."""
        permit = self.try_acquire()
        if not permit:
            if self._fallback is None:
                raise self.refusal()
            return cast("T", finished(self._fallback(self.refusal())))
        begun_at = self._now()
        try:
            value = finished(function(*args, **kwargs))
        except BaseException as error:
            self.raised(permit, error, self._now() - begun_at)
            raise
        self.succeeded(permit, self._now() - begun_at)
        return value

    async def __aenter__(self) -> None:
        self._scopes.push((self.acquire(), self._now()))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        permit, begun_at = self._scopes.pop()
        if error is None:
            self.succeeded(permit, self._now() - begun_at)
        else:
            self.raised(permit, error, self._now() - begun_at)

    def _try_probe(self) -> int:
        """Return a permit of a circuit that is not closed, or 0."""
        if self._state is _OPEN and self._now() >= self._open_until:
            self._change(_HALF_OPEN, "open_time_over")
        if self._state is _HALF_OPEN:
            now = self._now()
            if self._running < self.settings.max_half_open_calls:
                self._running += 1
                self._probe_at = now
                return self._round
            if now - self._probe_at >= self.settings.half_open_s:
                self._change(_OPEN, "probes_lost")
        self._totals.refused += 1
        return 0

    def _settle(self, permit: int, outcome: int) -> None:
        """Count how a call has ended, and draw the conclusion."""
        failed = outcome & FAILED
        if failed:
            self._totals.failed += 1
        else:
            self._totals.succeeded += 1
        if permit != self._round:
            return
        if self._state is _CLOSED:
            self._settle_closed(failed, outcome)
        elif self._state is _HALF_OPEN:
            self._settle_probe(bool(failed or outcome & SLOW))

    def _settle_closed(self, failed: int, outcome: int) -> None:
        self._consecutive = self._consecutive + 1 if failed else 0
        if self._window is not None:
            self._window.record(outcome, self._now())
        reason = self._reason_to_open()
        if reason is not None:
            self._change(_OPEN, reason)

    def _settle_probe(self, failed: bool) -> None:
        self._running -= 1
        if failed:
            self._change(_OPEN, "probe_failed")
            return
        self._successes += 1
        if self._successes >= self.settings.success_threshold:
            self._change(_CLOSED, "probes_succeeded")

    def _reason_to_open(self) -> Reason | None:
        settings, window = self.settings, self._window
        threshold = settings.failure_threshold
        if threshold is not None and self._consecutive >= threshold:
            return "failures"
        if window is None or window.calls < settings.min_calls:
            return None
        # Divided, not multiplied: 3 / 30 is 0.1, and 30 × 0.1 is more than 3.
        rate = settings.failure_rate
        if rate is not None and window.failures / window.calls >= rate:
            return "failure_rate"
        rate = settings.slow_rate
        if rate is not None and window.slow / window.calls >= rate:
            return "slow_rate"
        return None

    def _change(self, after: BreakerState, reason: Reason) -> None:
        """Begin a new round in state `after`."""
        before, now = self._state, self._now()
        self._state = after
        self._refusal_text = _refusal_text(self.name, after)
        self._round += 1
        self._consecutive = self._successes = self._running = 0
        if self._window is not None:
            self._window.clear()
        if after is _OPEN:
            self._open_until = now + self.settings.open_s
        if before is not after and self._on_event is not None:
            self._on_event(BreakerStateChanged(self.name, before, after, reason, now))


class _Totals:
    """Calls since the breaker was made or reset."""

    __slots__ = ("failed", "refused", "slow", "succeeded")

    def __init__(self) -> None:
        self.succeeded = self.failed = self.slow = self.refused = 0


def _window(settings: BreakerSettings) -> Window | None:
    if not settings.has_rates:
        return None
    if settings.window_s is not None:
        return TimeWindow(settings.window_s)
    return CountWindow(settings.window_calls)


def _refusal_text(name: str, state: BreakerState) -> str:
    return f"{name or 'the circuit'} is {state.value.replace('_', '-')}"
