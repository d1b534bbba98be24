"""Where a process dies: at a commit of a SQLite store, or at a batch of a server's.

Rule. Before: nothing was sent. Inside: a transaction of SQLite is open; a server was sent
      the batch, and may be anywhere in it. After: it is committed, and nobody was told.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from plait.stores.batches import Batches

POSITIONS: Final = ("before", "inside", "after")
# So long after a batch was sent its process dies: while it is sent, read, done or written.
INSIDE_S: Final = (0.0, 0.0003, 0.0007, 0.0015)
LATE_S: Final = 0.5
# Writes to the journal; beats, claims and others of Redis go by batches as well.
_WRITES: Final = ("create", "append")


class Death:
    """Counts commits, and ends the process at one of them."""

    nth = 0
    position = "before"
    commit_count = 0

    @classmethod
    def passes(cls, position: str) -> None:
        """Go past a position of a commit, or die there."""
        if position == "before":
            cls.commit_count += 1
        if cls.is_due(position):
            # Whoever was told of something it was told too early may say so first.
            threading.Event().wait(0.005)
            cls.come()

    @classmethod
    def is_due(cls, position: str) -> bool:
        """Tell whether it comes at this position of the commit that was counted last."""
        return cls.commit_count == cls.nth and position == cls.position

    @staticmethod
    def come() -> None:
        """Be no more."""
        os.kill(os.getpid(), signal.SIGKILL)


class MortalConnection(sqlite3.Connection):
    """A connection whose process may die at each of its commits."""

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        """See sqlite3.Connection.execute."""
        if sql.startswith("BEGIN IMMEDIATE"):
            Death.passes("before")
        if sql != "COMMIT":
            return super().execute(sql, *given)
        Death.passes("inside")
        done = self.commit_now()
        Death.passes("after")
        return done

    def commit_now(self) -> sqlite3.Cursor:
        """Commit."""
        return super().execute("COMMIT")


class LateConnection(MortalConnection):
    """A planted bug: it says that it has committed, and commits half a second later."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._lock = threading.RLock()

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        """See sqlite3.Connection.execute."""
        with self._lock:
            if sql.startswith("BEGIN IMMEDIATE"):
                Death.passes("before")
                Death.commit_count -= 1
                self._catch_up()
            return super().execute(sql, *given)

    def close(self) -> None:
        """See sqlite3.Connection.close."""
        with self._lock:
            self._catch_up()
            super().close()

    def commit_now(self) -> sqlite3.Cursor:
        """Say so."""
        threading.Timer(LATE_S, self._catch_up).start()
        return self.cursor()

    def _catch_up(self) -> None:
        with self._lock, suppress(sqlite3.ProgrammingError):  # closed by now
            if self.in_transaction:
                super().commit_now()


# -- servers -----------------------------------------------------------------------------

_outcomes: Final[Callable[..., Awaitable[list[Any]]]] = Batches._outcomes


async def mortal_outcomes(self: Batches[Any, Any], jobs: list[Any]) -> list[Any]:
    """See plait.stores.batches.Batches; the process may die at each batch of writes."""
    if not any(map(_writes, jobs)):
        return await _outcomes(self, jobs)
    Death.passes("before")
    if Death.is_due("inside"):
        sent = asyncio.ensure_future(_outcomes(self, jobs))
        await asyncio.sleep(INSIDE_S[Death.nth % len(INSIDE_S)])
        Death.come()
        await sent
    done = await _outcomes(self, jobs)
    Death.passes("after")
    return done


async def late_outcomes(self: Batches[Any, Any], jobs: list[Any]) -> list[Any]:
    """A planted bug: it says that a batch is done, and does it half a second later."""
    if not all(map(_writes, jobs)):
        return await _outcomes(self, jobs)
    Death.passes("before")
    loop = asyncio.get_running_loop()
    loop.call_later(LATE_S, lambda: loop.create_task(_done(_outcomes(self, jobs))))
    return [0] * len(jobs)


async def _done(work: Awaitable[Any]) -> None:
    await work


def _writes(job: Any) -> bool:
    return getattr(job, "script", "append") in _WRITES


def be_mortal(*, is_late: bool) -> None:
    """Let this process die at its commits, whatever store it opens."""
    connect, kind = sqlite3.connect, LateConnection if is_late else MortalConnection

    def mortal(*given: Any, **named: Any) -> sqlite3.Connection:
        return connect(*given, **named, factory=kind)

    sqlite3.connect = mortal  # type: ignore[assignment]  # in this process only
    outcomes: Any = late_outcomes if is_late else mortal_outcomes
    Batches._outcomes = outcomes  # type: ignore[method-assign]  # the same
