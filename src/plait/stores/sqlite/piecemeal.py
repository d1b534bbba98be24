"""Work that met a damaged page, done again piece by piece: all others go on.

The writer commits the pieces together and, when one breaks the transaction, by halves: of N
pieces each that is damaged costs some log N transactions, once. What cannot be read is told
once and left out of what this process does from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from sqlite3 import Connection
from typing import Final, TypeVar

from plait.ports.journal import Message, Summary
from plait.ports.leases import Claimed
from plait.stores.damaged import tell_damaged
from plait.stores.faults import StoreDamaged
from plait.stores.sqlite import claims, jobs
from plait.stores.sqlite.writer import Writer

T = TypeVar("T")

# So often is it looked for more when all that was found is damaged.
_ROUNDS_MAX: Final = 5


class Piecemeal:
    """Claims and beats on a database of which a part is damaged.

    Attributes:
        unreadable: The numbers of the executions that stand on a damaged page.
    """

    def __init__(self, writer: Writer) -> None:
        self.unreadable: set[int] = set()
        self._writer = writer

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        """See plait.ports.leases.Leases.claim. Whose turn it is does not count."""
        held: list[Summary] = []
        for _ in range(_ROUNDS_MAX):
            numbers = await self._due(now_ms, limit)
            job = partial(jobs.claim_one, worker_id=worker_id, now_ms=now_ms)
            for found in (await self._each(job, numbers)).values():
                held += found
            if held or not numbers:
                break
        left_out = frozenset(self.unreadable)
        try:
            wake = await self._writer.submit(partial(claims.next_wake, left_out=left_out))
        except StoreDamaged:
            wake = None  # the next beat looks again
        return Claimed(held, wake)

    async def _due(self, now_ms: int, limit: int) -> list[int]:
        left_out = frozenset(self.unreadable)
        try:
            return await self._writer.submit(
                lambda connection: claims.due_by_index(connection, now_ms, limit, left_out)
            )
        except StoreDamaged:
            return await self._writer.submit(
                lambda connection: claims.due_by_rows(connection, now_ms, limit, left_out)
            )

    async def beat(
        self, worker_id: str, now_ms: int, until_ms: int, dead: list[str]
    ) -> list[Message]:
        """See plait.stores.sqlite.jobs.beat."""
        await self._writer.submit(
            partial(jobs.prolong, worker_id=worker_id, until_ms=until_ms)
        )
        look = partial(jobs.held_by_dead, worker_id=worker_id, now_ms=now_ms, dead=dead)
        await self._each(jobs.free_one, await self._writer.submit(look))
        numbers = await self._writer.submit(jobs.told)
        job = partial(jobs.messages_of, worker_id=worker_id)
        told = await self._each(job, numbers)
        return [message for messages in told.values() for message in messages]

    async def _each(
        self, job: Callable[[Connection, int], T], numbers: Iterable[int]
    ) -> dict[int, T]:
        """Do a job for each execution that can be read."""
        wanted = [one for one in numbers if one not in self.unreadable]
        submitted = [self._writer.submit(partial(_with, job, one)) for one in wanted]
        outcomes = await asyncio.gather(*submitted, return_exceptions=True)
        done: dict[int, T] = {}
        for number, outcome in zip(wanted, outcomes, strict=True):
            if isinstance(outcome, StoreDamaged):
                self.unreadable.add(number)
                tell_damaged(f"number {number}", outcome.reason)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                done[number] = outcome
        return done


def _with(job: Callable[[Connection, int], T], number: int, connection: Connection) -> T:
    return job(connection, number)
