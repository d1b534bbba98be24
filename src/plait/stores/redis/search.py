"""Searching: the fitting index from its latest entry on, row by row, until enough fit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from plait.ports.journal import Search, Summary
from plait.stores.fits import fits
from plait.stores.redis.rows import PREFIX, index_of, summary_of

_ROWS_MAX: Final = 200


async def find(client: Any, search: Search) -> list[Summary]:
    """See plait.ports.journal.Journal.find."""
    below = float("inf")
    if search.before is not None:
        number = await client.hget(f"{PREFIX}x:{search.before}", "number")
        if number is None:
            return []
        below = float(number)
    found: list[Summary] = []
    async for summary in _candidates(client, search, below):
        if fits(summary, search):
            found.append(summary)
        if len(found) >= search.limit:
            break
    return found


async def _candidates(client: Any, search: Search, below: float) -> AsyncIterator[Summary]:
    """Yield rows numbered below a number, the latest first."""
    if search.execution_ids:
        rows = await rows_of(client, list(search.execution_ids))
        for number, summary in sorted(rows, key=lambda row: row[0], reverse=True):
            if number < below:
                yield summary
        return
    while True:
        ids = await client.zrange(
            index_of(search),
            f"({below}",
            "-inf",
            desc=True,
            byscore=True,
            offset=0,
            num=_ROWS_MAX,
        )
        rows = await rows_of(client, [one.decode() for one in ids])
        for _, summary in rows:
            yield summary
        if len(ids) < _ROWS_MAX:
            return
        below = rows[-1][0]


async def rows_of(client: Any, ids: list[str]) -> list[tuple[int, Summary]]:
    """Return number and row of each execution that there is."""
    pipeline = client.pipeline(transaction=False)
    for execution_id in ids:
        pipeline.hgetall(f"{PREFIX}x:{execution_id}")
    rows = await pipeline.execute()
    return [(int(row[b"number"]), summary_of(row)) for row in rows if row]
