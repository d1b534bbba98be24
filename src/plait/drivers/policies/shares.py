"""Shares: a bounded number of things, of which each tenant has its part.

Rule 1. A tenant has at most as many as are free: one alone half of them, two a third each.
        So whoever comes later finds room, however many names another has made up.
Rule 2. What goes for a tenant's new one is its own, or that of the tenant that has most: no
        other's. What is in use never goes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Shares(Generic[K, V]):
    """Things by tenant and key.

    Args:
        room: How many there may be of all tenants together.
        is_idle: Whether one may go for another.
        looked_at: How many are asked that when one has to go, the longest unused first.
            All of them that may go do.

    >>> shares = Shares[str, int](4, lambda _: False, looked_at=1)
    >>> for key in "abc":
    ...     if shares.make_room("acme"):
    ...         shares.add("acme", key, 1)
    >>> shares.get("acme", "b"), shares.get("acme", "c"), shares.make_room("beta")
    (1, None, True)
    """

    def __init__(self, room: int, is_idle: Callable[[V], bool], *, looked_at: int) -> None:
        self._room = room
        self._is_idle = is_idle
        self._looked_at = looked_at
        self._by_tenant: dict[str, OrderedDict[K, V]] = {}
        self._count = 0

    def __len__(self) -> int:
        """Return how many there are of all tenants."""
        return self._count

    def __iter__(self) -> Iterator[tuple[K, V]]:
        """Yield all of them."""
        for own in self._by_tenant.values():
            yield from own.items()

    def count(self, tenant: str) -> int:
        """Return how many a tenant has."""
        return len(self._by_tenant.get(tenant, ()))

    def get(self, tenant: str, key: K) -> V | None:
        """Return what a tenant has under a key, and note that it is used; None: nothing."""
        own = self._by_tenant.get(tenant)
        found = None if own is None else own.get(key)
        if own is not None and found is not None:
            own.move_to_end(key)
        return found

    def add(self, tenant: str, key: K, value: V) -> None:
        """Keep another one, for which there is room."""
        self._by_tenant.setdefault(tenant, OrderedDict())[key] = value
        self._count += 1

    def make_room(self, tenant: str) -> bool:
        """Tell whether a tenant may have one more, after what may go for it has gone."""
        if self._has_room(tenant) or self._drop(tenant):
            return True
        most = max(self._by_tenant, key=self.count, default=tenant)
        is_less = self.count(tenant) < self.count(most)
        return is_less and self._drop(most) and self._has_room(tenant)

    def _has_room(self, tenant: str) -> bool:
        return self.count(tenant) < self._room - self._count

    def _drop(self, tenant: str) -> bool:
        """Drop some of a tenant's that may go; return whether there were any."""
        own = self._by_tenant.get(tenant)
        if own is None:
            return False
        dropped = 0
        for key in list(islice(own, self._looked_at)):
            if self._is_idle(own[key]):
                del own[key]
                dropped += 1
            else:
                # Or a few that are busy for long would hide the idle ones behind them.
                own.move_to_end(key)
        if not own:
            del self._by_tenant[tenant]
        self._count -= dropped
        return dropped > 0
