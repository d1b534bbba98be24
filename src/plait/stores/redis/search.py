"""Searching: the shortest index from its latest entry on, row by row, until enough fit.

The server looks at some rows at a time: between two such pieces others have their turn.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any, Final

from redis import exceptions

from plait.ports.journal import Search, Summary
from plait.stores.damaged import whole_of
from plait.stores.faults import StoreDamaged
from plait.stores.fits import fits
from plait.stores.redis.rows import (
    PREFIX,
    fields_of,
    indexes_of,
    key_field,
    name_of,
    summary_of,
)
from plait.stores.redis.scripting import Scripts

# Some 3 ms of the server's, when none fits.
IDS_MAX: Final = 1_000
# Some 2 ms, and what crosses the network at once.
ROWS_MAX: Final = 200


async def find(client: Any, scripts: Scripts, search: Search) -> list[Summary]:
    """See plait.ports.journal.Journal.find."""
    ids = list(search.execution_ids) or await _ids_by_key(client, search)
    if ids is None:
        return await _from_index(client, scripts, search)
    before = float("inf") if search.before is None else search.before
    rows = [row for row in await rows_of(client, ids) if row.number < before]
    rows.sort(key=lambda row: row.number, reverse=True)
    return [row for row in rows if fits(row, search)][: search.limit]


async def _from_index(client: Any, scripts: Scripts, search: Search) -> list[Summary]:
    index = await _shortest(client, indexes_of(search))
    below: str | int | None = "+inf" if search.before is None else search.before
    wanted = _wanted(search)
    found: list[Summary] = []
    while below is not None and len(found) < search.limit:
        rows_max = min(search.limit - len(found), ROWS_MAX)
        rows, below = await scripts.run(
            "search", "", index, below, IDS_MAX, rows_max, *wanted
        )
        found += whole_of(map(fields_of, rows), summary_of, name_of)
    return found


def _wanted(search: Search) -> list[str]:
    """Return what is asked for, in the order in which search.lua takes it."""
    given = (
        search.since_ms,
        search.until_ms,
        search.text,
        search.workflow,
        search.error_code,
        search.parent,
        search.lane,
        search.tag,
    )
    return ["" if one is None else str(one) for one in given] + list(search.statuses)


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
    """Return the row of each execution that there is and whose row is whole."""
    pipeline = client.pipeline(transaction=False)
    for execution_id in ids:
        pipeline.hgetall(f"{PREFIX}x:{execution_id}")
    rows = await pipeline.execute(raise_on_error=False)
    found: list[Any] = [pair for pair in zip(ids, rows, strict=True) if pair[1]]
    return whole_of(found, lambda pair: summary_of(known(pair[1])), itemgetter(0))


def holds_something_else(row: Any) -> bool:
    """Say whether a pipeline answered that a row's key holds no row."""
    return isinstance(row, exceptions.ResponseError) and str(row).startswith("WRONGTYPE")


def known(row: Any) -> Any:
    """Return a row that a pipeline answered with.

    Raises:
        StoreDamaged: What stands in its place is none.
        RedisError: The server has refused.
    """
    if holds_something_else(row):
        raise StoreDamaged("a row in Redis", "its key holds something else")
    if isinstance(row, Exception):
        raise row
    return row
