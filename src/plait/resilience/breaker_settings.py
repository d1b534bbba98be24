"""What circuit breakers are told, and what they tell: the same for each kind of breaker."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from plait.resilience.checks import check_count, check_seconds, check_share


class BreakerState(StrEnum):
    """What a breaker does with calls.

    CLOSED lets all through, OPEN none, HALF_OPEN a few to see how they fare. ISOLATED lets
    none through until somebody closes it by hand.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    ISOLATED = "isolated"


Reason: TypeAlias = Literal[
    "failures",
    "failure_rate",
    "slow_rate",
    "open_time_over",
    "probes_succeeded",
    "probe_failed",
    "probes_lost",
    "by_hand",
]
"""Why a breaker changed its state."""


@dataclass(frozen=True, slots=True)
class BreakerStateChanged:
    """A breaker has changed its state.

    Attributes:
        name: The breaker's name.
        at: The moment, by the breaker's clock.
    """

    name: str
    before: BreakerState
    after: BreakerState
    reason: Reason
    at: float


@dataclass(frozen=True, slots=True)
class BreakerSnapshot:
    """What a breaker holds now.

    Attributes:
        state: Stays OPEN when the open time is over, until the next call asks.
        consecutive_failures: Since the last success.
        window_calls, window_failures, window_slow: Calls in the window; zero for a breaker
            that needs none.
        half_open_calls: Calls under way to see how they fare.
        retry_after: Seconds until calls may be let through; None: they may be now, or
            nobody knows.
        succeeded, failed, slow, refused: Calls since the breaker was made or reset.
    """

    state: BreakerState
    consecutive_failures: int
    window_calls: int
    window_failures: int
    window_slow: int
    half_open_calls: int
    retry_after: float | None
    succeeded: int
    failed: int
    slow: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When a breaker opens, for how long, and what closes it again.

    Attributes:
        failure_threshold: Opens after so many failures in a row; None: not for that.
        failure_rate: Opens when this share of the window's calls failed; None: not for
            that.
        slow_call_s: A call that takes so long is slow; None: none is.
        slow_rate: Opens when this share of the window's calls was slow. None: a slow call
            is a failure like any other.
        window_calls: The window is the last so many calls…
        window_s: …or, when given, the calls of the last so many seconds.
        min_calls: No rate opens the breaker before so many calls are in the window.
        success_threshold: Closes after so many successes while half-open.
        open_s: How long it stays open before it lets calls through to see how they fare.
        max_half_open_calls: How many calls it lets through at a time while half-open.
        half_open_s: Calls that are out for longer than that while half-open, with none
            let through since, count as a failure: who made them may be gone.

    Raises:
        ValueError: A number is out of its range, or the breaker could never open.

    >>> BreakerSettings(failure_rate=0.5, window_calls=10, min_calls=20)
    Traceback (most recent call last):
    ValueError: min_calls is 20, more than window_calls, 10: the rates would never count
    """

    failure_threshold: int | None = 5
    failure_rate: float | None = None
    slow_call_s: float | None = None
    slow_rate: float | None = None
    window_calls: int = 100
    window_s: float | None = None
    min_calls: int = 10
    success_threshold: int = 1
    open_s: float = 30.0
    max_half_open_calls: int = 1
    half_open_s: float = 60.0

    def __post_init__(self) -> None:
        for count in ("window_calls", "min_calls", "success_threshold"):
            check_count(count, getattr(self, count))
        check_count("max_half_open_calls", self.max_half_open_calls)
        check_seconds("open_s", self.open_s)
        check_seconds("half_open_s", self.half_open_s)
        if self.failure_threshold is not None:
            check_count("failure_threshold", self.failure_threshold)
        for share in ("failure_rate", "slow_rate"):
            if getattr(self, share) is not None:
                check_share(share, getattr(self, share))
        for seconds in ("slow_call_s", "window_s"):
            if getattr(self, seconds) is not None:
                check_seconds(seconds, getattr(self, seconds))
        self._check_sense()

    @property
    def has_rates(self) -> bool:
        """Whether a window of outcomes is kept at all."""
        return self.failure_rate is not None or self.slow_rate is not None

    def _check_sense(self) -> None:
        if self.failure_threshold is None and not self.has_rates:
            message = (
                "failure_threshold, failure_rate and slow_rate are None: the breaker "
                "would never open; give one of them"
            )
            raise ValueError(message)
        if self.slow_rate is not None and self.slow_call_s is None:
            raise ValueError("slow_rate is given without slow_call_s: nothing is slow")
        by_count = self.has_rates and self.window_s is None
        if by_count and self.min_calls > self.window_calls:
            message = (
                f"min_calls is {self.min_calls}, more than window_calls, "
                f"{self.window_calls}: the rates would never count"
            )
            raise ValueError(message)
