"""Counts: how many executions a search finds, as far as that can be told soon.

Every store of Plait's own has it; a store of somebody else's may leave it out.

Contract: plait.testing.finding_suite.
"""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

from plait.ports.journal import Search

# Some milliseconds where an index answers.
COUNT_MAX: Final = 10_000
# What is looked at row by row, the latest first: some 15 ms for each 10,000 of them.
ROWS_LOOKED_AT_MAX: Final = 50_000


@runtime_checkable
class Counts(Protocol):
    """Counts executions."""

    async def count(self, search: Search, count_max: int = COUNT_MAX) -> int | None:
        """Return how many executions are found; `before` and `limit` are not heeded.

        Returns:
            None: they are more than `count_max`; or among the latest
            `ROWS_LOOKED_AT_MAX` executions are fewer, and the others were not looked at.

        Raises:
            StoreUnavailable: It could not be read.
        """
        ...
