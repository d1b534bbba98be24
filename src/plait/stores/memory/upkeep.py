"""Upkeep of the memory store: what ended long ago is forgotten."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from plait.ports.derived import Difference
from plait.ports.journal import TERMINAL, History, NewExecution, Summary
from plait.ports.upkeep import BackupElsewhere
from plait.stores.parents import may_go, parents_may_go

# Ended at any time, in any way.
_EVER: Final = (sys.maxsize, TERMINAL)


class MemoryUpkeep:
    """Looks after the dictionaries of a memory store. Implements Upkeep.

    Args:
        histories: The store's own, by the ids of executions.
        forget: Forgets whatever the store has of an execution.
    """

    def __init__(
        self,
        histories: Mapping[str, History],
        forget: Callable[[NewExecution], None],
    ) -> None:
        self._histories = histories
        self._forget = forget
        self._charge = ("", 0)

    async def ids(self) -> list[str]:
        """See plait.ports.upkeep.Upkeep."""
        return sorted(self._histories)

    async def check(self) -> list[str]:
        """See plait.ports.upkeep.Upkeep."""
        return []

    async def differences(
        self, *, mends: bool = False, unsure: Collection[str] = ()
    ) -> list[Difference]:
        """See plait.ports.derived.Derived. There are no lists: rows are looked through."""
        del mends, unsure
        return []

    async def backup(self, target: Path) -> None:
        """See plait.ports.upkeep.Upkeep."""
        del target
        raise BackupElsewhere("what is kept in memory", "nobody: use another store")

    async def charge(self, worker_id: str, now_ms: int, until_ms: int) -> bool:
        """See plait.ports.upkeep.Upkeep."""
        holder, held_until_ms = self._charge
        if holder != worker_id and held_until_ms > now_ms:
            return False
        self._charge = (worker_id, until_ms)
        return True

    async def ended(
        self,
        before_ms: int,
        statuses: Sequence[str],
        limit: int,
        after: Summary | None = None,
    ) -> list[Summary]:
        """See plait.ports.upkeep.Upkeep."""
        beyond = (0, "") if after is None else _place(after)
        rows = sorted((one.summary for one in self._histories.values()), key=_place)
        wanted = [
            one
            for one in rows
            if (after is None or _place(one) > beyond)
            and may_go(one, before_ms, statuses)
            and await parents_may_go(one, self._row, before_ms, statuses)
        ]
        return list(islice(wanted, limit))

    async def remove(self, ended: Sequence[Summary]) -> list[str]:
        """See plait.ports.upkeep.Upkeep."""
        removed = []
        for wanted in ended:
            new = wanted.new
            found = await self._row(new.execution_id)
            if found is None or found.length != wanted.length:
                continue
            has_ended = may_go(found, *_EVER)
            if has_ended and await parents_may_go(found, self._row, *_EVER):
                self._forget(new)
                removed.append(new.execution_id)
        return removed

    async def tidy(self) -> int:
        """See plait.ports.upkeep.Upkeep."""
        return 0

    async def _row(self, execution_id: str) -> Summary | None:
        history = self._histories.get(execution_id)
        return None if history is None else history.summary


def _place(summary: Summary) -> tuple[int, str]:
    return summary.standing.at_ms, summary.new.execution_id
