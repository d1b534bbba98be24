"""Rows that cannot be read: told once, and passed over, so that all others go on.

Rule. Whoever claims holds a damaged row as any other: so it is claimed once, and not again
      and again, until the worker has gone. Nobody runs it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Final, TypeVar

from plait.model.errors import PlaitError
from plait.ports.journal import NewExecution, Summary
from plait.stores.faults import StoreDamaged

logger = logging.getLogger("plait.stores")

R = TypeVar("R")

_TOLD_MAX: Final = 10_000
# A key whose execution was removed is free by the next look, or the one after that.
KEY_LOOKS_MAX: Final = 20


@lru_cache(_TOLD_MAX)
def tell_damaged(execution_id: str, reason: str) -> None:
    """Log that an execution's row is damaged: once, however often somebody meets it."""
    logger.error(
        "the row of execution %s is damaged, nobody runs it: %s; `plait journal verify` "
        "looks at all",
        execution_id,
        reason,
        extra={"execution_id": execution_id},
    )


def whole_of(
    rows: Iterable[R], read: Callable[[R], Summary], name: Callable[[R], object]
) -> list[Summary]:
    """Return the summaries in `rows`, without the rows that are damaged.

    Args:
        read: Returns a row's summary. Raises ValueError or PlaitError: it is damaged.
        name: Returns a row's execution.
    """
    whole = []
    for row in rows:
        try:
            whole.append(read(row))
        except (ValueError, PlaitError) as error:
            tell_damaged(str(name(row)), str(error))
    return whole


def key_of_nobody(place: str, new: NewExecution) -> StoreDamaged:
    """Return the error of a key that leads to what is not there, however often one looks.

    Whether its execution ran is unknown, so the key is given to no other.
    """
    return StoreDamaged(place, f"the key {new.key!r} leads to an execution without a row")


async def filled(
    limit: int, fetch: Callable[[int], Awaitable[tuple[list[Summary], int]]]
) -> list[Summary]:
    """Return so many summaries, if there are: a page that is short is taken for the last.

    Args:
        fetch: Looks at so many rows; returns the whole ones and how many it has seen.
    """
    wanted = limit
    while True:
        whole, seen = await fetch(wanted)
        if len(whole) >= limit or seen < wanted:
            return whole[:limit]
        wanted += seen - len(whole)
