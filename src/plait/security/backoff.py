"""Back-off: whoever guesses passwords waits longer with each wrong one.

Three counts at once. Of one name from one address: the fifth failure makes it wait, each
further one twice as long. Of one address: the twentieth, whatever the names. Of one name
from anywhere: the hundredth, and only up to ten seconds, so that nobody can lock another
out for longer.

Rule 1. An attempt counts before it is made: a hundred at the same time are a hundred.
Rule 2. Counts are this process's own, and few: those that matter least are forgotten.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plait.ports.identity import RateExceeded

_KEYS_MAX: Final = 10_000
# After so long without an attempt all is forgotten.
_QUIET_S: Final = 900.0
_FIRST_WAIT_S: Final = 1.0
# 2**9 s is above every ceiling; a larger exponent only makes a larger number.
_DOUBLINGS_MAX: Final = 9


@dataclass(slots=True)
class _Count:
    failures: int = 0
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

    def begin(self, key: str, now_s: float) -> None:
        count = self._kept.setdefault(key, _Count())
        self._kept.move_to_end(key)
        if now_s - count.last_s > _QUIET_S:
            count.failures = 0
        count.failures, count.last_s = count.failures + 1, now_s
        excess = count.failures - self._free
        if excess >= 0:
            wait_s = _FIRST_WAIT_S * 2 ** min(excess, _DOUBLINGS_MAX)
            count.until_s = now_s + min(wait_s, self._wait_s_max)
        if len(self._kept) > _KEYS_MAX:
            self._kept.popitem(last=False)

    def undo(self, key: str) -> None:
        """Take back what `begin` counted: the attempt succeeded."""
        count = self._kept.get(key)
        if count is not None:
            count.failures -= 1
            if count.failures < self._free:
                count.until_s = -math.inf

    def forget(self, key: str) -> None:
        self._kept.pop(key, None)


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

    def begin(self, client: str, name: str) -> None:
        """Count an attempt as failed, until `succeeded` says otherwise.

        Raises:
            RateExceeded: It comes too early.
        """
        self.check(client, name)
        self.failed(client, name)

    def check(self, client: str, name: str) -> None:
        """Let an attempt be made, and count nothing yet.

        For what nobody can guess: of programs that log in at the same time, none waits.

        Raises:
            RateExceeded: It comes too early.
        """
        now_s, pair = self._now_s(), f"{client} {name}"
        wait_s = max(
            self._pairs.wait_s(pair, now_s),
            self._clients.wait_s(client, now_s),
            self._names.wait_s(name, now_s),
        )
        if wait_s > 0:
            raise RateExceeded(
                "too many attempts to log in have failed",
                retry_after_s=max(1, math.ceil(wait_s)),
            )

    def failed(self, client: str, name: str) -> None:
        """Count an attempt that has failed."""
        now_s = self._now_s()
        self._pairs.begin(f"{client} {name}", now_s)
        self._clients.begin(client, now_s)
        self._names.begin(name, now_s)

    def succeeded(self, client: str, name: str) -> None:
        """Forget what this name failed from there; what others did still counts."""
        self._pairs.forget(f"{client} {name}")
        self._clients.undo(client)
        self._names.undo(name)
