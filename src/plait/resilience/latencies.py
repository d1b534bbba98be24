"""Latencies: how long the latest calls took, and which of those times few are above.

Memory is fixed: eight bytes per call of the window.
"""

from __future__ import annotations

from array import array
from math import ceil


class Latencies:
    """The times of the last `size` calls, in seconds.

    >>> latencies = Latencies(100)
    >>> for took_s in range(1, 101):
    ...     latencies.record(took_s)
    >>> latencies.quantile(0.95), latencies.count
    (95.0, 100)
    """

    __slots__ = ("_known", "_next", "_since", "_size", "_times", "count")

    # So many new times move a quantile little: they are sorted once for all of them.
    _EVERY = 32

    def __init__(self, size: int) -> None:
        self._size = size
        self._times = array("d")
        self._next = self._since = self.count = 0
        self._known: dict[float, float] = {}

    def record(self, took_s: float) -> None:
        """Add one time, in the place of the oldest when there are `size` of them."""
        if self.count < self._size:
            self._times.append(took_s)
            self.count += 1
        else:
            self._times[self._next] = took_s
            self._next = (self._next + 1) % self._size
        self._since += 1
        if self._since >= self._EVERY or self.count < self._EVERY:
            self._since = 0
            self._known.clear()

    def quantile(self, share: float) -> float:
        """Return the time that `share` of the calls did not take longer than.

        Args:
            share: Above 0 and at most 1. There is a time at least.
        """
        known = self._known.get(share)
        if known is None:
            place = ceil(share * self.count) - 1
            known = self._known[share] = sorted(self._times)[place]
        return known
