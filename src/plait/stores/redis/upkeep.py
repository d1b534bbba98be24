"""Upkeep of the Redis store: removing what ended long ago, and looking for damage.

Each execution is removed by one script, which takes some microseconds: its history, however
long, is freed beside the commands of others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from itertools import count
from pathlib import Path
from shlex import quote
from typing import Final

from plait.ports.derived import Difference
from plait.ports.journal import Summary
from plait.ports.upkeep import BackupElsewhere, check_target
from plait.stores.parents import may_go, parents_may_go
from plait.stores.redis.derived import Comparer
from plait.stores.redis.rows import PREFIX, key_field
from plait.stores.redis.scripting import Scripts
from plait.stores.redis.search import holds_something_else, known, rows_of
from plait.stores.redis.server import Server

_PAGE: Final = 200


class RedisUpkeep:
    """Looks after the store on one server. Implements Upkeep."""

    def __init__(self, server: Server, scripts: Scripts) -> None:
        self._server = server
        self._scripts = scripts

    async def ids(self) -> list[str]:
        """See plait.ports.upkeep.Upkeep."""
        return sorted([one async for page in self._pages() for one, _ in page])

    async def check(self) -> list[str]:
        """See plait.ports.upkeep.Upkeep."""
        found = []
        async for page in self._pages():
            rows = await self._rows(page)
            for (execution_id, _), row in zip(page, rows, strict=True):
                if not row and await self._is_listed(execution_id):
                    found.append(f"{execution_id}: its row is gone")
        return found

    async def _is_listed(self, execution_id: str) -> bool:
        """Whether it is no execution that was removed between two looks."""
        with self._server.errors():
            score = await self._server.client.zscore(f"{PREFIX}all", execution_id)
        return score is not None

    async def differences(
        self, *, mends: bool = False, unsure: Collection[str] = ()
    ) -> list[Difference]:
        """See plait.ports.derived.Derived."""
        comparer = Comparer(self._server, self._scripts, mends, unsure)
        return await comparer.compare()

    async def backup(self, target: Path) -> None:
        """See plait.ports.upkeep.Upkeep."""
        check_target(target)
        command = f"redis-cli -u ADDRESS --rdb {quote(str(target))}"
        where = f"Redis at {self._server.place}"
        raise BackupElsewhere(where, f"its own means: `{command}`")

    async def charge(self, worker_id: str, now_ms: int, until_ms: int) -> bool:
        """See plait.ports.upkeep.Upkeep."""
        return bool(await self._scripts.run("charge", "", worker_id, now_ms, until_ms))

    async def ended(
        self,
        before_ms: int,
        statuses: Sequence[str],
        limit: int,
        after: Summary | None = None,
    ) -> list[Summary]:
        """See plait.ports.upkeep.Upkeep."""
        found: list[Summary] = []
        async for row in self._rows_by_end(before_ms, after):
            may = may_go(row, before_ms, statuses)
            if may and await parents_may_go(row, self._row, before_ms, statuses):
                found.append(row)
            if len(found) >= limit:
                break
        return found

    async def remove(self, ended: Sequence[Summary]) -> list[str]:
        """See plait.ports.upkeep.Upkeep."""
        outcomes = await asyncio.gather(*(self._removed(one) for one in ended))
        pairs = zip(ended, outcomes, strict=True)
        return [one.new.execution_id for one, is_removed in pairs if is_removed]

    async def tidy(self) -> int:
        """See plait.ports.upkeep.Upkeep. The server frees memory by itself."""
        return 0

    async def _removed(self, wanted: Summary) -> bool:
        new = wanted.new
        arguments = (new.execution_id, wanted.length, new.workflow)
        key = key_field(new.workflow, new.key, new.tenant)
        places = (key, new.parent or "", new.tenant, *new.tags)
        return bool(await self._scripts.run("remove", "", *arguments, *places))

    async def _row(self, execution_id: str) -> Summary | None:
        with self._server.errors():
            found = await rows_of(self._server.client, [execution_id])
        return found[0] if found else None

    async def _rows_by_end(
        self, before_ms: int, after: Summary | None
    ) -> AsyncIterator[Summary]:
        """Yield the rows of what ended before a moment, from behind one of them on."""
        from_ms, from_id = (0, "")
        if after is not None:
            from_ms, from_id = after.standing.at_ms, after.new.execution_id
        key, last = f"{PREFIX}ended", f"({before_ms}"
        for offset in count(0, _PAGE):
            with self._server.errors():
                client = self._server.client
                where = {"byscore": True, "offset": offset, "num": _PAGE}
                page = await client.zrange(key, from_ms, last, **where, withscores=True)
                ids = [(score, one.decode()) for one, score in page]
                beyond = [one for one in ids if one > (from_ms, from_id)]
                rows = await rows_of(client, [execution_id for _, execution_id in beyond])
            for summary in rows:
                yield summary
            if len(page) < _PAGE:
                return

    async def _pages(self) -> AsyncIterator[list[tuple[str, float]]]:
        """Yield id and number of all executions."""
        first: float | str = "-inf"
        while True:
            with self._server.errors():
                page = await self._server.client.zrange(
                    f"{PREFIX}all",
                    first,
                    "+inf",
                    byscore=True,
                    offset=0,
                    num=_PAGE,
                    withscores=True,
                )
            if page:
                yield [(one.decode(), number) for one, number in page]
            if len(page) < _PAGE:
                return
            first = f"({page[-1][1]}"

    async def _rows(self, page: list[tuple[str, float]]) -> list[dict[bytes, bytes]]:
        with self._server.errors():
            pipeline = self._server.client.pipeline(transaction=False)
            for execution_id, _ in page:
                pipeline.hgetall(f"{PREFIX}x:{execution_id}")
            rows = await pipeline.execute(raise_on_error=False)
            return [{} if holds_something_else(row) else known(row) for row in rows]
