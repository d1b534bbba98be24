"""Sliding windows over the outcomes of calls: the last N calls, or the last N seconds.

Memory is fixed: one byte per call, or ten slices of counts.
"""

from __future__ import annotations

from typing import Final, Protocol

FAILED: Final = 1
SLOW: Final = 2
SLICES: Final = 10


class Window(Protocol):
    """Outcomes of the latest calls. An outcome is 0, FAILED, SLOW or both.

    Attributes:
        calls, failures, slow: How many of them there are.
    """

    calls: int
    failures: int
    slow: int

    def record(self, outcome: int, now: float) -> None:
        """Add one outcome, and drop what has left the window."""
        ...

    def clear(self) -> None:
        """Forget all outcomes."""
        ...


class CountWindow:
    """The last `size` calls.

    >>> window = CountWindow(2)
    >>> for outcome in (FAILED, 0, SLOW):
    ...     window.record(outcome, now=0.0)
    >>> window.calls, window.failures, window.slow
    (2, 0, 1)
    """

    __slots__ = ("_next", "_outcomes", "_size", "calls", "failures", "slow")

    def __init__(self, size: int) -> None:
        self._size = size
        self._outcomes = bytearray(size)
        self._next = self.calls = self.failures = self.slow = 0

    def record(self, outcome: int, now: float) -> None:
        """Add one outcome in the place of the oldest. The moment does not matter."""
        position = self._next
        oldest = self._outcomes[position]
        if self.calls < self._size:
            self.calls += 1
        elif oldest:
            self.failures -= oldest & FAILED
            self.slow -= oldest >> 1
        self._outcomes[position] = outcome
        if outcome:
            self.failures += outcome & FAILED
            self.slow += outcome >> 1
        self._next = position + 1 if position + 1 < self._size else 0

    def clear(self) -> None:
        """Forget all outcomes."""
        self._outcomes = bytearray(self._size)
        self._next = self.calls = self.failures = self.slow = 0


class TimeWindow:
    """The calls of the last `window_s`, dropped a tenth of the window at a time.

    >>> window = TimeWindow(10.0)
    >>> window.record(FAILED, now=0.5)
    >>> window.record(0, now=9.9)
    >>> window.calls, window.failures
    (2, 1)
    >>> window.record(0, now=10.0)
    >>> window.calls, window.failures
    (2, 0)
    """

    __slots__ = ("_counts", "_slice", "_slice_s", "calls", "failures", "slow")

    def __init__(self, window_s: float) -> None:
        self._slice_s = window_s / SLICES
        self._slice = 0
        self._counts = [[0, 0, 0] for _ in range(SLICES)]
        self.calls = self.failures = self.slow = 0

    def record(self, outcome: int, now: float) -> None:
        """Add one outcome of this moment."""
        current = int(now / self._slice_s)
        if current > self._slice:
            self._turn(current)
        counts = self._counts[self._slice % SLICES]
        counts[0] += 1
        self.calls += 1
        if outcome:
            counts[1] += outcome & FAILED
            counts[2] += outcome >> 1
            self.failures += outcome & FAILED
            self.slow += outcome >> 1

    def clear(self) -> None:
        """Forget all outcomes."""
        self._counts = [[0, 0, 0] for _ in range(SLICES)]
        self.calls = self.failures = self.slow = 0

    def _turn(self, current: int) -> None:
        """Empty the slices that have left the window."""
        for passed in range(self._slice + 1, min(current, self._slice + SLICES) + 1):
            counts = self._counts[passed % SLICES]
            self.calls -= counts[0]
            self.failures -= counts[1]
            self.slow -= counts[2]
            counts[:] = (0, 0, 0)
        self._slice = current
