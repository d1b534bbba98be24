"""Tables of which the server cannot read every page: the others are read for all that.

Rule. Only when the usual statement has failed: it finds rows by an index, and the first one
      that leads to such a page fails it. All pages that can be read are read then, which
      takes longer the longer the table is.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

from plait.stores.postgres.rows import Fetch
from plait.stores.postgres.server import DAMAGED, fetch

logger = logging.getLogger("plait.stores")

_END: Final = 2**32 - 1
_SIZE: Final = "SELECT pg_relation_size('plait.{}') / current_setting('block_size')::bigint"


class Pages:
    """The pages of `standings` that this process knows to be unreadable."""

    def __init__(self) -> None:
        self._bad: list[int] = []

    async def fetch(self, connection: Any, statement: str, *values: object) -> list[Any]:
        """Run a statement in which `{pages}` stands for the rows that can be read.

        Raises:
            InternalServerError: It is not the pages of that table.
        """
        while True:
            pages = rows_of("standings", self._bad)
            try:
                return await fetch(connection, statement.format(pages=pages), *values)
            except DAMAGED:
                bad = await unreadable(connection.fetch, "standings")
                if set(bad) <= set(self._bad):
                    raise
                self._bad = bad
                for block in bad:
                    _tell(block)


@lru_cache(1_000)
def _tell(block: int) -> None:
    logger.error(
        "block %d of the table standings cannot be read: nobody runs the executions that "
        "stand in it, all others go on; `plait journal verify` looks at all",
        block,
    )


def rows_of(table: str, bad: Sequence[int], columns: str = "*") -> str:
    """Return the SQL of all rows that do not stand in the blocks `bad`, in rising order.

    The offset keeps conditions out, and so indexes, which lead to all blocks.
    """
    parts = (
        f"(SELECT {columns} FROM {table} WHERE ctid >= '({before + 1},0)'::tid"
        f" AND ctid < '({after},0)'::tid OFFSET 0)"
        for before, after in pairwise((-1, *bad, _END))
    )
    return f"({' UNION ALL '.join(parts)})"


async def unreadable(run: Fetch, table: str) -> list[int]:
    """Return the blocks of a table that cannot be read, in rising order."""
    ((count,),) = await run(_SIZE.format(table))
    return await _unreadable(run, table, 0, count)


async def _unreadable(run: Fetch, table: str, first: int, end: int) -> list[int]:
    """Look by halves: of N each costs some log N statements."""
    pages = f"ctid >= '({first},0)'::tid AND ctid < '({end},0)'::tid"
    try:
        await run(f"SELECT count(*) FROM {table} WHERE {pages}")
    except DAMAGED:
        if end - first <= 1:
            return [first]
        middle = (first + end) // 2
        below = await _unreadable(run, table, first, middle)
        return below + await _unreadable(run, table, middle, end)
    return []
