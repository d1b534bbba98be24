"""Searching: the shortest index from its latest entry on, row by row, until enough fit.

The server looks at some rows at a time: between two such pieces others have their turn.
"""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter
from typing import Any, Final

from redis import exceptions

from plait.model.caller import DEFAULT_TENANT
from plait.ports.counts import ROWS_LOOKED_AT_MAX
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


async def count(
    client: Any, scripts: Scripts, search: Search, count_max: int
) -> int | None:
    """See plait.ports.counts.Counts.count."""
    tenants = f"{PREFIX}tenants"
    if search.tenant == DEFAULT_TENANT and not await client.scard(tenants):
        search = replace(search, tenant=None)
    if search.execution_ids or search.key is not None:
        found = await find(client, scripts, replace(search, before=None, limit=2**31))
        return len(found) if len(found) <= count_max else None
    indexes = indexes_of(search)
    if _is_list(search, indexes):
        total = int(await client.zcard(indexes[0]))
        return total if total <= count_max else None
    return await _counted(scripts, await _shortest(client, indexes), search, count_max)


def _is_list(search: Search, indexes: list[str]) -> bool:
    """Say whether just what is asked for stands in the one list.

    >>> search = Search(tag="vip")
    >>> _is_list(search, indexes_of(search))
    True
    >>> search = Search(tag="vip", tenant="default")
    >>> _is_list(search, indexes_of(search))
    False
    """
    asked = [one for one in _wanted(search) if one]
    return not asked or (len(asked) == 1 and indexes != [f"{PREFIX}all"])


async def _counted(
    scripts: Scripts, index: str, search: Search, count_max: int
) -> int | None:
    total, looked_at = 0, 0
    below: str | bytes | None = "+inf"
    while below is not None and total <= count_max and looked_at < ROWS_LOOKED_AT_MAX:
        wanted = _wanted(search)
        found, below = await scripts.run("search", "", index, below, IDS_MAX, 0, *wanted)
        total, looked_at = total + found, looked_at + IDS_MAX
    return total if below is None and total <= count_max else None


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
        search.tenant,
    )
    return ["" if one is None else str(one) for one in given] + list(search.statuses)


async def _ids_by_key(client: Any, search: Search) -> list[str] | None:
    """Return the executions with the key that is asked for; None: none is asked for."""
    if search.key is None:
        return None
    workflows, tenants = [search.workflow], [search.tenant]
    if search.workflow is None:
        workflows = await _members(client, "workflows")
    if search.tenant is None:
        tenants = [DEFAULT_TENANT, *await _members(client, "tenants")]
    fields = [
        key_field(workflow, search.key, tenant)
        for tenant in tenants
        for workflow in workflows
        if workflow is not None and tenant is not None
    ]
    found = await client.hmget(f"{PREFIX}keys", fields) if fields else []
    return [one.decode() for one in found if one is not None]


async def _members(client: Any, name: str) -> list[str | None]:
    return [one.decode() for one in await client.smembers(f"{PREFIX}{name}")]


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
