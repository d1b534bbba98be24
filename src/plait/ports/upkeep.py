"""Upkeep: what a store that lives beside Plait offers to whoever looks after it.

Optional: a server of its own (PostgreSQL, Redis) has its own means for most of it, and a
store that offers none of it is a store all the same.

Rule. Nothing here stops the store's other users for more than some milliseconds: what is
      much to do is done piece by piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from plait.model.errors import Advice, PlaitError
from plait.ports.journal import Summary


class BackupRefused(PlaitError):
    """A backup cannot be written to the place that was named."""

    code: ClassVar[str] = "backup.refused"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, target: Path, reason: str) -> None:
        super().__init__(f"{target}: {reason}")
        self.target = target


@runtime_checkable
class Upkeep(Protocol):
    """Looks after a store. All moments are milliseconds since the Unix epoch."""

    async def ids(self) -> list[str]:
        """Return the ids of all executions, also of those that cannot be read."""
        ...

    async def check(self) -> list[str]:
        """Return what is wrong with the store itself, without looking into histories."""
        ...

    async def backup(self, target: Path) -> None:
        """Copy the store as it is at one moment; `target` is a whole store afterwards.

        Raises:
            BackupRefused: Something is there already, or it cannot be written.
            StoreFull: There is no space for it.
        """
        ...

    async def ended(
        self,
        before_ms: int,
        statuses: Sequence[str],
        limit: int,
        after: Summary | None = None,
    ) -> list[Summary]:
        """Return executions that ended before `before_ms`, first those that ended first.

        Those that somebody holds, and those whose parent runs still, are left out.

        Args:
            after: The last one of the page before; None: first page.
        """
        ...

    async def remove(self, ended: Sequence[Summary]) -> list[str]:
        """Remove executions that are still as their rows say; return their ids.

        Their space is given back by `tidy`.
        """
        ...

    async def tidy(self) -> int:
        """Give back the space of what was removed; return how many bytes."""
        ...
