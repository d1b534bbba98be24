"""Leases: which worker holds which execution, so that one at a time writes to it.

A worker joins, then proves again and again that it lives. Executions that are due and that
no living worker holds can be claimed; each claim raises the execution's epoch, and the
journal refuses whoever writes under an older one.

Rule. The dead hold nothing: what a worker begins, claims or takes when its lease has run
      out (it was frozen on its way here) is free with the next beat of another.

Contract: plait.testing.journal_suite (a store implements both ports).
"""

from __future__ import annotations

from typing import Protocol

from plait.model.record import record
from plait.ports.journal import Message, Summary


@record
class Claimed:
    """What one look at the store found.

    Attributes:
        executions: Executions that are the worker's from now on.
        next_wake_at_ms: When the next one that nobody holds is due; None: none is waiting.
    """

    executions: list[Summary]
    next_wake_at_ms: int | None


class Leases(Protocol):
    """Hands out executions. All moments are milliseconds since the Unix epoch."""

    async def join(self, worker_id: str) -> None:
        """Become a worker; what dead ones held can be claimed from now on."""
        ...

    async def beat(self, worker_id: str, now_ms: int, until_ms: int) -> list[Message]:
        """Live on until `until_ms`; return the messages for what the worker holds.

        A message comes again with every beat until an append has heard it.
        """
        ...

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        """Take up to `limit` executions that are due and that no living worker holds.

        Due: it is running and not queued, and `wake_at_ms` has come or a message waits.
        Higher priority first, then what has been due for longest.
        """
        ...

    async def take(self, worker_id: str, now_ms: int, execution_id: str) -> Summary:
        """Take this one execution, due or not, running, queued or ended.

        Raises:
            LostRace: A living worker holds it.
            UnknownExecution: There is none of that id.
        """
        ...

    async def release(self, worker_id: str, executions: list[str]) -> None:
        """Give executions back; whoever claims them next gets them in a new epoch."""
        ...

    async def leave(self, worker_id: str) -> None:
        """Give everything back and be a worker no more."""
        ...

    async def changed(self) -> None:
        """Return when somebody else may have written something that matters to a worker.

        It may return for nothing, and may miss a change: a worker looks again with every
        beat all the same.
        """
        ...
