"""Searches, for stores with indexes: what one of them answers is one query.

Where more is asked (text, times, two things at once) rows are looked at one by one, some
thousands at a time, the latest first. Between two such pieces others have their turn, and
nothing is kept as it was at one moment for longer than a piece takes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeAlias

from plait.model.caller import DEFAULT_TENANT
from plait.ports.counts import ROWS_LOOKED_AT_MAX
from plait.ports.journal import Search, Summary

# Some 5 ms, when text is looked for.
PIECE_ROWS: Final = 10_000
# By their short names: what they are called, and the column of the execution's number.
_TABLES: Final = {
    "t": ("tags", "execution"),
    "e": ("executions", "number"),
    "s": ("standings", "execution"),
}

Span: TypeAlias = tuple[int, int]


def is_of_few(search: Search) -> bool:
    """Say whether ids, a parent or a key are asked for: few rows have those.

    >>> is_of_few(Search(key="order-7")), is_of_few(Search(tag="vip"))
    (True, False)
    """
    wanted = (search.parent, search.key)
    return bool(search.execution_ids) or any(one is not None for one in wanted)


def begins_with_standings(search: Search) -> bool:
    """Say whether the index of how executions stand has fewest others.

    Where few have a status or an error, the latest of all would be looked through for them.

    >>> begins_with_standings(Search(workflow="shop", statuses=("failed",)))
    True
    """
    is_one = search.error_code is not None or len(search.statuses) == 1
    return (is_one or search.lane is not None) and not is_of_few(search)


def is_answered_by_index(search: Search) -> bool:
    """Say whether one index has just what is asked for, in its order.

    >>> is_answered_by_index(Search(tag="vip"))
    True
    >>> is_answered_by_index(Search(tag="vip", text="Ada"))
    False
    """
    if is_of_few(search) and search.tag is None:
        return True
    looked_at = (search.text, search.since_ms, search.until_ms, search.lane)
    if any(one is not None for one in looked_at) or len(search.statuses) > 1:
        return False
    indexed = (
        *(search.workflow, search.error_code, search.tag, search.tenant),
        search.statuses or None,
    )
    return sum(one is not None for one in indexed) <= 1


def is_answered_without_others(search: Search) -> bool:
    """Say whether an index would answer if all executions were the default tenant's.

    >>> is_answered_without_others(Search(tenant="default", tag="vip"))
    True
    """
    is_default = search.tenant == DEFAULT_TENANT
    return is_default and is_answered_by_index(replace(search, tenant=None))


# Whether there are executions of others than the default tenant: two looks into an index.
HAS_OTHERS: Final = (
    f"SELECT EXISTS (SELECT 1 FROM executions WHERE tenant < '{DEFAULT_TENANT}')"
    f" OR EXISTS (SELECT 1 FROM executions WHERE tenant > '{DEFAULT_TENANT}')"
)


def tables_of(search: Search, where: str, join: str) -> tuple[str, str]:
    """Return the tables that a count needs, and the column of the number there.

    Args:
        where: The conditions, by which it needs them.
        join: What SQL word joins them, in this order.
    """
    begin = "e"
    if search.tag is not None:
        begin = "t"
    elif begins_with_standings(search):
        begin = "s"
    name, number = _TABLES[begin]
    text = f"{name} {begin}"
    for one, (table, own) in _TABLES.items():
        if one != begin and f"{one}." in where:
            text += f" {join} {table} {one} ON {one}.{own} = {begin}.{number}"
    return text, f"{begin}.{number}"


async def counted(
    count_max: int,
    below: int | None,
    count: Callable[[Span | None, int], Awaitable[int]],
) -> int | None:
    """Return how many rows a search asks for, see plait.ports.counts.

    Args:
        below: The number below which all executions are; None: an index answers.
        count: Returns how many there are with these numbers, first and last, up to so many.
    """
    if below is None:
        found = await count(None, count_max + 1)
        return found if found <= count_max else None
    found, end = 0, max(below - ROWS_LOOKED_AT_MAX, 1)
    while below > end and found <= count_max:
        first = max(below - PIECE_ROWS, end)
        found += await count((first, below - 1), count_max + 1 - found)
        below = first
    return found if below <= 1 and found <= count_max else None


async def in_pieces(
    search: Search,
    below: int,
    find: Callable[[Span, int], Awaitable[list[Summary]]],
) -> list[Summary]:
    """Return the rows that `search` asks for.

    Args:
        below: The number below which executions are looked at.
        find: Returns so many rows of the executions with these numbers, first and last.
    """
    found: list[Summary] = []
    while below > 1 and len(found) < search.limit:
        first = max(below - PIECE_ROWS, 1)
        found += await find((first, below - 1), search.limit - len(found))
        below = first
    return found
