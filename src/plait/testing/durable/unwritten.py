"""Clients whose execution is written only if it lasts: begun in memory, then promoted.

Rule. Nobody was told of anything before the promotion. One whose worker dies before that
      has never been; one whose promotion is refused goes on, and is not written.

Not here: what must hold of it after that (plait.testing.durable.ledger).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from plait.drivers.journal import Start, Unkept
from plait.plan import Plan
from plait.ports.journal import StoreUnavailable, Summary
from plait.testing.durable.faults import Fault, Lot
from plait.testing.durable.ledger import Ledger
from plait.testing.durable.worker import Worker, WorkerDied, kernel_for

# Calls take some milliseconds: most are cut in two by that, and some end before.
_PATIENCE_S_MAX: Final = 0.03
_AGAIN_S_MAX: Final = 0.1
_WAIT_MS: Final = 10_000


async def promoted(
    worker: Worker, plan: Plan, start: Start, ledger: Ledger, lot: Lot
) -> Summary | None:
    """Begin an execution in memory, and have it written; None: it was not."""
    ledger.unwritten[start.execution_id] = []
    unkept = Unkept(worker.driver, kernel_for(plan), start, _WAIT_MS)
    await _outlived(unkept, lot.seconds(0, _PATIENCE_S_MAX))
    while worker.is_alive and not unkept.ended.is_set():
        try:
            summary = await worker.ask(unkept.promote())
        except StoreUnavailable:
            if start.execution_id in ledger.accounts:
                ledger.breach(f"{start.execution_id}: it is written, and was refused")
            await _outlived(unkept, lot.seconds(0, _AGAIN_S_MAX))
        except WorkerDied:
            break
        else:
            lot.fate.fired[Fault.PROMOTED] += 1
            return summary
    unkept.abandon()
    return None


async def _outlived(unkept: Unkept, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await unkept.ended.wait()
