"""Back-off: whoever guesses passwords waits longer with each wrong one.

Three counts at once. Of one name from one address: the fifth failure makes it wait, each
further one twice as long. Of one address: the twentieth, whatever the names. Of one name
from anywhere: the hundredth, and only up to ten seconds, so that nobody can lock another
out for longer.

Rule 1. Only failures count, and a hundred attempts at the same time are a hundred all the
        same: so many are made at once as may fail without a wait, the others when it is
        known how those ended.
Rule 2. Counts are this process's own, and few: those that matter least are forgotten.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plait.ports.identity import RateExceeded

_KEYS_MAX: Final = 10_000
# More are refused at once: attempts that wait hold places of requests.
_WAITING_MAX: Final = 200
# After so long without a failure all is forgotten.
_QUIET_S: Final = 900.0
_FIRST_WAIT_S: Final = 1.0
# 2**9 s is above every ceiling; a larger exponent only makes a larger number.
_DOUBLINGS_MAX: Final = 9


@dataclass(slots=True)
class _Count:
    failures: int = 0
    under_way: int = 0
    until_s: float = -math.inf
    last_s: float = -math.inf


class _Counts:
    """Failures by key, with so many free ones and a longest wait."""

    def __init__(self, free: int, wait_s_max: float) -> None:
        self._free = free
        self._wait_s_max = wait_s_max
        self._kept: OrderedDict[str, _Count] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        count = self._kept.get(key)
        return 0.0 if count is None else max(0.0, count.until_s - now_s)

    def has_room(self, key: str, now_s: float) -> bool:
        """Tell whether no wait is due even if all that is under way fails."""
        count = self._kept.get(key)
        if count is None or not count.under_way:
            return True
        failures = 0 if now_s - count.last_s > _QUIET_S else count.failures
        return failures + count.under_way < self._free

    def begin(self, key: str) -> None:
        self._of(key).under_way += 1

    def end(self, key: str) -> None:
        count = self._kept.get(key)
        if count is not None:
            count.under_way = max(0, count.under_way - 1)
            if not count.under_way and not count.failures:
                del self._kept[key]

    def fail(self, key: str, now_s: float) -> None:
        count = self._of(key)
        if now_s - count.last_s > _QUIET_S:
            count.failures = 0
        count.failures, count.last_s = count.failures + 1, now_s
        excess = count.failures - self._free
        if excess >= 0:
            wait_s = _FIRST_WAIT_S * 2 ** min(excess, _DOUBLINGS_MAX)
            count.until_s = now_s + min(wait_s, self._wait_s_max)

    def forget(self, key: str) -> None:
        """Forget what failed; what is under way still is."""
        count = self._of(key)
        count.failures, count.until_s = 0, -math.inf

    def _of(self, key: str) -> _Count:
        count = self._kept.setdefault(key, _Count())
        self._kept.move_to_end(key)
        if len(self._kept) > _KEYS_MAX:
            self._kept.popitem(last=False)
        return count


class Backoff:
    """Lets attempts to log in pass, fewer with each that failed.

    Args:
        now_s: Monotonic seconds.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._pairs = _Counts(free=5, wait_s_max=300.0)
        self._clients = _Counts(free=20, wait_s_max=300.0)
        self._names = _Counts(free=100, wait_s_max=10.0)
        self._waiting = 0
        # Set, and replaced, whenever an attempt has ended.
        self._one_ended = asyncio.Event()

    async def begin(self, client: str, name: str) -> None:
        """Let an attempt be made; `ended` has to be called after it.

        Raises:
            RateExceeded: It comes too early.
        """
        self.check(client, name)
        while not self._has_room(client, name):
            if self._waiting >= _WAITING_MAX:
                raise _exceeded(1)
            self._waiting += 1
            try:
                await self._one_ended.wait()
            finally:
                self._waiting -= 1
            self.check(client, name)
        for counts, key in self._all(client, name):
            counts.begin(key)

    def ended(self, client: str, name: str, *, is_right: bool) -> None:
        """Count an attempt that has failed, or forget what this name failed from there;
        what others did still counts."""
        if is_right:
            self._pairs.forget(f"{client} {name}")
        else:
            self.failed(client, name)
        for counts, key in self._all(client, name):
            counts.end(key)
        self._one_ended.set()
        self._one_ended = asyncio.Event()

    def check(self, client: str, name: str) -> None:
        """Let an attempt be made, and count nothing yet.

        For what nobody can guess: of programs that log in at the same time, none waits.

        Raises:
            RateExceeded: It comes too early.
        """
        now_s = self._now_s()
        wait_s = max(one.wait_s(key, now_s) for one, key in self._all(client, name))
        if wait_s > 0:
            raise _exceeded(max(1, math.ceil(wait_s)))

    def failed(self, client: str, name: str) -> None:
        """Count an attempt that has failed."""
        now_s = self._now_s()
        for counts, key in self._all(client, name):
            counts.fail(key, now_s)

    def _has_room(self, client: str, name: str) -> bool:
        now_s = self._now_s()
        return all(one.has_room(key, now_s) for one, key in self._all(client, name))

    def _all(self, client: str, name: str) -> tuple[tuple[_Counts, str], ...]:
        pair = self._pairs, f"{client} {name}"
        return pair, (self._clients, client), (self._names, name)


def _exceeded(retry_after_s: int) -> RateExceeded:
    text = "too many attempts to log in have failed"
    return RateExceeded(text, retry_after_s=retry_after_s)
