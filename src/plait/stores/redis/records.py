"""Records beside the executions, under one prefix; a script makes each change whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plait.ports.records import Change, Conflict, Record
from plait.stores.faults import StoreDamaged
from plait.stores.records import check, end_of, is_text
from plait.stores.redis.rows import PREFIX
from plait.stores.redis.scripting import Argument, Scripts
from plait.stores.redis.server import Server


class RedisRecords:
    """Keeps records on a Redis server. Implements plait.ports.records.Records.

    Make it with `open`, inside a running event loop.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._scripts = Scripts(server)

    @classmethod
    async def open(cls, url: str) -> RedisRecords:
        """Connect to `redis://user:password@host:port/number`.

        Raises:
            StoreTooNew: A newer version has changed the store.
            StoreNotDurable: The server may lose what it has acknowledged.
            StoreUnavailable: The server cannot be reached or used.
        """
        server = Server(url)
        await server.open()
        return cls(server)

    async def get(self, kind: str, tenant: str, key: str) -> Record | None:
        """See plait.ports.records.Records.get."""
        if not is_text(kind, tenant, key):
            return None
        with self._server.errors():
            data = await self._server.client.hget(_place_of("r", kind, tenant), key)
        if data is None:
            return None
        return self._record_of(kind, tenant.encode(), key.encode(), data)

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
        """See plait.ports.records.Records.find."""
        whose = [] if tenant is None else [tenant]
        if not is_text(kind, prefix, after, *whose):
            return []
        first, last = _range_of(prefix, after, is_backward)
        given: list[Argument] = [kind, first, last, limit, int(is_backward), *whose]
        found = await self._scripts.run("find_records", "", *given)
        return [
            self._record_of(kind, *found[at : at + 3]) for at in range(0, len(found), 3)
        ]

    async def count(self, kind: str, tenant: str) -> int:
        """See plait.ports.records.Records.count."""
        if not is_text(kind, tenant):
            return 0
        with self._server.errors():
            keys = _place_of("rk", kind, tenant)
            return int(await self._server.client.zcard(keys))

    async def change(self, changes: Sequence[Change], at_ms: int) -> list[int]:
        """See plait.ports.records.Records.change."""
        check(changes)
        if not changes:
            return []
        given = [part for one in changes for part in _arguments_of(one)]
        last = int(await self._scripts.run("change_records", "", at_ms, *given))
        if last < 0:
            refused = changes[-last - 1]
            raise Conflict(refused.kind, refused.key)
        return list(range(last - len(changes) + 1, last + 1))

    async def revision(self) -> int:
        """See plait.ports.records.Records.revision."""
        with self._server.errors():
            return int(await self._server.client.get(f"{PREFIX}revision") or 0)

    async def close(self) -> None:
        """See plait.ports.records.Records.close."""
        await self._scripts.close()
        await self._server.close()

    def _record_of(self, kind: str, tenant: bytes, key: bytes, data: Any) -> Record:
        try:
            version, at_ms, value = data.split(b"|", 2)
            numbers = int(version), int(at_ms)
            return Record(kind, tenant.decode(), key.decode(), value, *numbers)
        except (ValueError, AttributeError) as error:
            place = f"Redis at {self._server.place}"
            reason = f"the record {kind!r} {key!r} of {tenant!r} was altered"
            raise StoreDamaged(place, reason) from error


def _place_of(what: str, kind: str, tenant: str) -> str:
    """Return the key of what a tenant has of a kind (scripts/common.lua).

    >>> _place_of("r", "session", "default")
    '{plait}:r:7:sessiondefault'
    """
    return f"{PREFIX}{what}:{len(kind.encode())}:{kind}{tenant}"


def _arguments_of(change: Change) -> tuple[Argument, ...]:
    expected = "" if change.expected is None else change.expected
    has_value, value = int(change.value is not None), change.value or b""
    return change.kind, change.tenant, change.key, expected, has_value, value


def _range_of(prefix: str, after: str, is_backward: bool) -> tuple[str, str]:
    """Return the first and the last key that are asked for, as ZRANGE takes them.

    >>> _range_of("run/", "", False), _range_of("run/", "run/3", True)
    (('[run/', '(run0'), ('[run/', '(run/3'))
    >>> _range_of("", "b", False)
    ('(b', '+')
    """
    first = f"[{prefix}" if prefix else "-"
    end = end_of(prefix)
    last = "+" if end is None else f"({end}"
    if is_backward:
        is_nearer = after and (end is None or after < end)
        return first, f"({after}" if is_nearer else last
    return f"({after}" if after >= prefix and after else first, last
