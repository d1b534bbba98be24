"""Searching: the shortest index from its latest entry on, row by row, until enough fit.

Rows are fetched some at a time: between two such pages others have their turn.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from plait.ports.journal import Search, Summary
from plait.stores.fits import fits
from plait.stores.redis.rows import PREFIX, indexes_of, key_field, summary_of

_ROWS_MAX: Final = 200


async def find(client: Any, search: Search) -> list[Summary]:
    """See plait.ports.journal.Journal.find."""
    below = float("inf") if search.before is None else search.before
    found: list[Summary] = []
    async for summary in _candidates(client, search, below):
        if fits(summary, search):
            found.append(summary)
        if len(found) >= search.limit:
            break
    return found


async def _candidates(client: Any, search: Search, below: float) -> AsyncIterator[Summary]:
    """Yield rows numbered below a number, the latest first."""
    ids = list(search.execution_ids) or await _ids_by_key(client, search)
    if ids is not None:
        rows = await rows_of(client, ids)
        for summary in sorted(rows, key=lambda row: row.number, reverse=True):
            if summary.number < below:
                yield summary
        return
    index = await _shortest(client, indexes_of(search))
    # Perhaps the first ones all fit.
    count = min(search.limit, _ROWS_MAX)
    while True:
        ids = await client.zrange(
            index,
            f"({below}",
            "-inf",
            desc=True,
            byscore=True,
            offset=0,
            num=count,
        )
        if not ids:
            return
        rows = await rows_of(client, [one.decode() for one in ids])
        for summary in rows:
            yield summary
        if len(ids) < count:
            return
        count = _ROWS_MAX
        below = await client.zscore(index, ids[-1]) or rows[-1].number


async def _ids_by_key(client: Any, search: Search) -> list[str] | None:
    """Return the executions with the key that is asked for; None: none is asked for."""
    if search.key is None:
        return None
    workflows = [search.workflow]
    if search.workflow is None:
        workflows = [one.decode() for one in await client.smembers(f"{PREFIX}workflows")]
    fields = [key_field(one, search.key) for one in workflows if one is not None]
    found = await client.hmget(f"{PREFIX}keys", fields) if fields else []
    return [one.decode() for one in found if one is not None]


async def _shortest(client: Any, indexes: list[str]) -> str:
    if len(indexes) == 1:
        return indexes[0]
    pipeline = client.pipeline(transaction=False)
    for index in indexes:
        pipeline.zcard(index)
    lengths = await pipeline.execute()
    return min(zip(lengths, indexes, strict=True))[1]


async def rows_of(client: Any, ids: list[str]) -> list[Summary]:
    """Return the row of each execution that there is."""
    pipeline = client.pipeline(transaction=False)
    for execution_id in ids:
        pipeline.hgetall(f"{PREFIX}x:{execution_id}")
    rows = await pipeline.execute()
    return [summary_of(row) for row in rows if row]
