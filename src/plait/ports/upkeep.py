"""Upkeep: what a store offers to whoever looks after it.

Every store of Plait's own has it; a store of somebody else's may leave it out.

Rule 1. Nothing here stops the store's other users for more than some milliseconds: what is
        much to do is done piece by piece.
Rule 2. With an execution goes all that is its own: entries, messages, key, tags, payloads
        that no other names. Its plan stays, and so does what it is the parent of.

Contract: plait.testing.upkeep_suite.
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


def check_target(target: Path) -> None:
    """Refuse what names no file: the empty path, say, which is this directory.

    Raises:
        BackupRefused: It names none.
    """
    if not target.name:
        raise BackupRefused(target, "this names no file")


class BackupElsewhere(PlaitError):
    """The store's server copies itself, and better: as of one moment, and what is near."""

    code: ClassVar[str] = "backup.elsewhere"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, store: str, remedy: str) -> None:
        super().__init__(f"nothing was written: {store} is backed up by {remedy}")
        self.remedy = remedy


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
            BackupElsewhere: Other means do that better; it says which.
            StoreFull: There is no space for it.
        """
        ...

    async def charge(self, worker_id: str, now_ms: int, until_ms: int) -> bool:
        """Make the worker the one who looks after the store until then, or longer.

        Returns:
            Whether it is; False: another one is, until a moment that has not passed.
        """
        ...

    async def ended(
        self,
        before_ms: int,
        statuses: Sequence[str],
        limit: int,
        after: Summary | None = None,
    ) -> list[Summary]:
        """Return executions that ended before `before_ms` in one of these ways.

        In an order of the store's own, in which the oldest come early. Those that somebody
        holds are left out, and so are those of a parent that is not among them itself: it
        runs, say, or may be resumed, and would ask for them.

        Args:
            after: The last one of the page before; None: first page.
        """
        ...

    async def remove(self, ended: Sequence[Summary]) -> list[str]:
        """Remove executions that are still as their rows say; return their ids.

        Those stay of which somebody has resumed, or taken, what they belong to.

        Their space is given back by `tidy`.
        """
        ...

    async def tidy(self) -> int:
        """Give back the space of what was removed; return how many bytes."""
        ...
