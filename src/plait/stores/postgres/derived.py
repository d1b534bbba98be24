"""Comparing what the PostgreSQL store derives with its rows, and making it anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from plait.stores import derived
from plait.stores.derived import FOUND_MAX, Comparison, Found, is_of
from plait.stores.faults import StoreDamaged
from plait.stores.postgres.server import Server, fetch_all

Fetch: TypeAlias = Callable[[str], Awaitable[list[Any]]]

# A row of no list of texts is damaged, and whoever reads it says so.
_LIST: Final = "(CASE jsonb_typeof(e.tags) WHEN 'array' THEN e.tags ELSE '[]' END)"
_TAGS: Final = f"jsonb_array_elements_text({_LIST}) AS j (tag)"
_IS_WHOLE: Final = (
    "jsonb_typeof(e.tags) = 'array' AND NOT EXISTS (SELECT"
    f" FROM jsonb_array_elements({_LIST}) AS k (tag) WHERE jsonb_typeof(k.tag) <> 'string')"
)
_LACKS_TAG: Final = (
    f"SELECT e.number, e.id, NULL FROM executions e, {_TAGS} WHERE {_IS_WHOLE} AND"
    " NOT EXISTS (SELECT FROM tags t WHERE t.tag = j.tag AND t.execution = e.number)"
)
_STRAY_TAG: Final = (
    "SELECT e.number, e.id, NULL FROM tags t JOIN executions e ON e.number = t.execution"
    f" WHERE {_IS_WHOLE} AND NOT jsonb_exists(e.tags, t.tag)"
)
_ADD_TAGS: Final = (
    "INSERT INTO tags (tag, execution) SELECT DISTINCT j.tag, e.number"
    f" FROM executions e, {_TAGS} WHERE e.number = $1 AND {_IS_WHOLE}"
    " ON CONFLICT DO NOTHING"
)
_DROP_TAGS: Final = (
    "DELETE FROM tags t USING executions e WHERE t.execution = $1 AND e.number = $1"
    f" AND {_IS_WHOLE} AND NOT jsonb_exists(e.tags, t.tag)"
)
_COMPARISONS: Final = (
    derived.STATE,
    derived.WORKFLOW,
    Comparison(_LACKS_TAG, "it is not found by one of its tags", (_ADD_TAGS,)),
    Comparison(_STRAY_TAG, "it is found by a tag that it has not", (_DROP_TAGS,)),
    derived.STRANDED,
    derived.OVERFULL,
)
# As the trigger does when one of the lane ends (migrations/0002), one at a time.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_LET_IN: Final = """
UPDATE standings SET lane_state = 1, wake_at_ms = 0 WHERE execution = (
    SELECT n.execution FROM standings n
    WHERE n.status = 'running' AND n.lane = $1 AND n.lane_state = 2
    ORDER BY n.priority DESC, n.execution LIMIT 1
) AND status = 'running' AND lane_state = 2 AND lane_max > (
    SELECT count(*) FROM standings i
    WHERE i.status = 'running' AND i.lane = $1 AND i.lane_state < 2
) RETURNING execution
"""


async def tell(fetch: Fetch) -> list[Found]:
    """Return what differs.

    Args:
        fetch: Runs a statement, for as long as it takes.
    """
    found: dict[tuple[str, int | None, str | None], Found] = {}
    for one in _COMPARISONS:
        for row in await _rows_of(fetch, one):
            found[one.reason, row[0], row[2]] = is_of(one, row)
    return list(found.values())


async def _rows_of(fetch: Fetch, one: Comparison) -> list[Any]:
    try:
        return await fetch(f"{one.query} LIMIT {FOUND_MAX}")
    except StoreDamaged:
        if one.query not in (_LACKS_TAG, _STRAY_TAG):
            raise
        ((last,),) = await fetch("SELECT coalesce(max(number), 1) FROM executions")
        return await _by_halves(fetch, one.query, 1, last)


async def _by_halves(fetch: Fetch, query: str, first: int, last: int) -> list[Any]:
    """Leave out what cannot be compared: of N each costs some log N statements."""
    try:
        of_these = f"{query} AND e.number BETWEEN {first} AND {last}"
        return await fetch(f"{of_these} LIMIT {FOUND_MAX}")
    except StoreDamaged:
        if first == last:
            return []
        middle = (first + last) // 2
        rows = await _by_halves(fetch, query, first, middle)
        return rows + await _by_halves(fetch, query, middle + 1, last)


async def mend(server: Server, found: Found) -> None:
    """Make anew what differs, if it differs still."""
    async with server.connection() as connection:
        for statement in found.comparison.mends:
            await fetch_all(connection, [(statement, (found.number,))])
        if (lane := found.difference.lane) is not None:
            let_in = [(_LOCK, (lane,)), (_LET_IN, (lane,))]
            while await fetch_all(connection, let_in):
                pass
