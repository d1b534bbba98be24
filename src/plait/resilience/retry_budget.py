"""Retry budget: how many retries an upstream can bear, so that they multiply no outage.

Rule 1. In any `window_s`, retries are at most `ratio` × the requests of that time, or
    `min_retries` where that is more: a service with little traffic may retry as well.
Rule 2. Since the last success the same holds again: what was asked for while all was well
    pays for nothing while the upstream is down.

From both follows: attempts <= (1 + `ratio`) × requests during an outage, once there are
`min_retries` / `ratio` requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from plait.resilience.checks import check_count, check_seconds, check_share
from plait.resilience.clock import SYSTEM_CLOCK, Clock

_SLICES: Final = 10


@dataclass(frozen=True, slots=True)
class RetryBudgetSnapshot:
    """What was asked for in the window, what was retried there, what was refused ever."""

    requests: int
    retries: int
    refused: int


class RetryBudget:
    """One upstream's budget, shared by all policies that retry calls of it.

    >>> budget = RetryBudget(ratio=0.2, min_retries=0)
    >>> for _ in range(9):
    ...     budget.requested()
    >>> budget.try_retry(), budget.try_retry()
    (True, False)
    """

    __slots__ = (
        "_clock",
        "_refused",
        "_requests",
        "_requests_sum",
        "_retries",
        "_retries_sum",
        "_since_requests",
        "_since_retries",
        "_slice",
        "_slice_s",
        "min_retries",
        "ratio",
        "window_s",
    )

    def __init__(
        self,
        *,
        ratio: float = 0.2,
        min_retries: int = 10,
        window_s: float = 10.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Make a budget that nothing was taken from.

        Args:
            ratio: Retries per request, above 0 and at most 1.
            min_retries: Retries that are always granted per window; >= 0.
            window_s: Length of the window, counted in ten slices.
            clock: What tells the time.

        Raises:
            ValueError: A number is out of its range.
        """
        check_share("ratio", ratio)
        check_count("min_retries", min_retries, least=0)
        check_seconds("window_s", window_s)
        self.ratio = ratio
        self.min_retries = min_retries
        self.window_s = window_s
        self._clock = clock
        self._slice_s = window_s / _SLICES
        self._slice = int(clock.now() / self._slice_s)
        self._requests = [0] * _SLICES
        self._retries = [0] * _SLICES
        self._requests_sum = self._retries_sum = 0
        self._since_requests = self._since_retries = 0
        self._refused = 0

    def requested(self) -> None:
        """Count a request: the first attempt of a call."""
        position = self._turned()
        self._requests[position] += 1
        self._requests_sum += 1
        self._since_requests += 1

    def try_retry(self) -> bool:
        """Take one retry out of the budget; False: there is none left for now."""
        position = self._turned()
        if not (
            self._retries_sum < self._allowed(self._requests_sum)
            and self._since_retries < self._allowed(self._since_requests)
        ):
            self._refused += 1
            return False
        self._retries[position] += 1
        self._retries_sum += 1
        self._since_retries += 1
        return True

    def succeeded(self) -> None:
        """Note that the upstream has answered: it is not down."""
        self._since_requests = self._since_retries = 0

    def snapshot(self) -> RetryBudgetSnapshot:
        """Return the counts of now."""
        self._turned()
        return RetryBudgetSnapshot(self._requests_sum, self._retries_sum, self._refused)

    def _allowed(self, requests: int) -> int:
        # 1e-9: 0.2 × 15 is a little more than 3, 0.1 × 30 as well, 0.7 × 10 a little less.
        return max(self.min_retries, int(requests * self.ratio + 1e-9))

    def _turned(self) -> int:
        """Empty the slices that have left the window; return the position of now's."""
        current = int(self._clock.now() / self._slice_s)
        if current != self._slice:
            for passed in range(self._slice + 1, min(current, self._slice + _SLICES) + 1):
                position = passed % _SLICES
                self._requests_sum -= self._requests[position]
                self._retries_sum -= self._retries[position]
                self._requests[position] = self._retries[position] = 0
            self._slice = current
        return current % _SLICES
