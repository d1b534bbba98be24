"""A bug planted in a real gateway: every fourth start is acknowledged before it is written.

Python imports this before anything else in a process that finds it on its path.
"""

from __future__ import annotations

import asyncio

from plait.drivers.journal import JournalDriver, Start
from plait.plan import Plan
from plait.ports.journal import RUNNING, NewExecution, Standing, Summary

LATE_S = 1.0

_late: list[asyncio.Task[None]] = []
_start = JournalDriver.start


async def _acknowledge_at_once(self: JournalDriver, plan: Plan, start: Start) -> Summary:
    number = int((start.key or "order-1").rpartition("-")[2])
    if number % 4:
        return await _start(self, plan, start)

    async def write() -> None:
        await asyncio.sleep(LATE_S)
        await _start(self, plan, start)

    # None of the driver's tasks: those it would see to their end.
    _late.append(asyncio.get_running_loop().create_task(write()))
    new = NewExecution(start.execution_id, plan.name, plan.content_hash, 0, "", start.key)
    return Summary(new, Standing(RUNNING, 0, 0), 1, b"", 1, None)


JournalDriver.start = _acknowledge_at_once  # type: ignore[method-assign]  # the plant
