"""Records in this process: for tests, and for a gateway that shall keep nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from plait.ports.records import Change, Conflict, Record
from plait.stores.records import check, is_text


class MemoryRecords:
    """Keeps records until the process ends (plait.ports.records)."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], Record] = {}
        # One row of versions for all, so that none is used twice.
        self._versions = count(1)
        self._revision = 0

    async def get(self, kind: str, tenant: str, key: str) -> Record | None:
        """Return one record; None when there is none."""
        return self._kept.get((kind, tenant, key))

    async def find(
        self,
        kind: str,
        tenant: str | None,
        *,
        prefix: str = "",
        after: str = "",
        limit: int = 100,
        is_backward: bool = False,
    ) -> list[Record]:
        """Return records in the order of their keys' bytes."""
        kept = [one for one in self._kept.values() if one.kind == kind]
        kept.sort(key=lambda one: (one.tenant.encode(), one.key.encode()))
        if tenant is None:
            return kept[::-1] if is_backward else kept
        if not is_text(after):
            return []
        own = [one for one in kept if one.tenant == tenant and one.key.startswith(prefix)]
        edge = after.encode()
        if is_backward:
            own = [one for one in reversed(own) if not after or one.key.encode() < edge]
        else:
            own = [one for one in own if one.key.encode() > edge]
        return own[:limit]

    async def count(self, kind: str, tenant: str) -> int:
        """Return how many records of a kind a tenant has."""
        return sum(one.kind == kind and one.tenant == tenant for one in self._kept.values())

    async def change(self, changes: Sequence[Change], at_ms: int) -> list[int]:
        """Make all changes or none; return each record's new version."""
        check(changes)
        for one in changes:
            kept = self._kept.get((one.kind, one.tenant, one.key))
            found = 0 if kept is None else kept.version
            if one.expected is not None and one.expected != found:
                raise Conflict(one.kind, one.key)
        self._revision += bool(changes)
        return [self._make(one, at_ms) for one in changes]

    def _make(self, change: Change, at_ms: int) -> int:
        version, name = next(self._versions), (change.kind, change.tenant, change.key)
        if change.value is None:
            self._kept.pop(name, None)
        else:
            self._kept[name] = Record(*name, change.value, version, at_ms)
        return version

    async def revision(self) -> int:
        """Return a number that grows with every `change`."""
        return self._revision

    async def close(self) -> None:
        """Forget everything."""
        self._kept.clear()
