"""What an execution costs beside others that have finished and are still in the store.

The others are copies of one that has run, each with an id of its own, written the way the
driver writes them: first the row with the entry that began it, then the entries that
followed, and how it ended. Only that the later ones come in one append saves time.
"""

from __future__ import annotations

import asyncio
import gc
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from time import process_time
from typing import Final

from benchmarks.documents import as_json, chain
from benchmarks.durable.plait_peer import NoCalls
from plait.assembly import compose
from plait.compile import compile_text
from plait.drivers.journal import JournalDriver, Start
from plait.drivers.journal.history import chained, verify
from plait.kernel import Kernel
from plait.plan import Plan
from plait.ports.journal import RUNNING, Append, History
from plait.stores.sqlite import SqliteStore

STEPS: Final = 3
WARM_UP: Final = 200
BATCHES: Final = 30
BATCH: Final = 50
AT_ONCE: Final = 1_000
FILE: Final = "plait.db"


async def fill(folder: Path, count: int) -> None:
    """Have `count` finished executions in the store in `folder`, a new one."""
    store = await SqliteStore.open(folder / FILE)
    driver = JournalDriver(store, NoCalls({"id": "1"}), Kernel, worker_id="bench")
    await driver.open()
    first = new_id()
    await through(driver, plan(), first)
    await driver.close()
    ran, latest = await store.read(first), first
    for done in range(1, count, AT_ONCE):
        copies = range(min(AT_ONCE, count - done))
        latest = (await asyncio.gather(*(_copy(store, ran) for _ in copies)))[-1]
    verify(await store.read(latest))
    await store.close()


async def _copy(store: SqliteStore, ran: History) -> str:
    """Write a finished execution like `ran`; return its id."""
    summary, name = ran.summary, new_id()
    new = replace(summary.new, execution_id=name)
    before, after = summary.new.execution_id.encode(), name.encode()
    entries = chained(new, (entry.body.replace(before, after) for entry in ran.entries))
    running = replace(summary.standing, status=RUNNING, wake_at_ms=0)
    created = await store.create(new, entries[:1], running, "bench")
    rest = Append(
        name, entries[1:], summary.standing, 1, created.summary.epoch, is_released=True
    )
    await store.append(rest)
    return name


async def executions_us(folders: Sequence[Path]) -> list[list[float]]:
    """Return what an execution takes in the store of each folder, batch by batch.

    Microseconds of processor time. All in one process, in turns of some 50 ms: whatever
    slows the machine down for longer slows down all of them.
    """
    async with AsyncExitStack() as stack:
        drivers = []
        for folder in folders:
            store = await SqliteStore.open(folder / FILE)
            stack.push_async_callback(store.close)
            driver = JournalDriver(store, NoCalls({"id": "1"}), Kernel, worker_id="bench")
            await driver.open()
            stack.push_async_callback(driver.close)
            drivers.append(driver)
            await _batch_us(driver, WARM_UP)
        gc.collect()
        return [
            [await _batch_us(driver, BATCH) for driver in drivers] for _ in range(BATCHES)
        ]


async def _batch_us(driver: JournalDriver, count: int) -> float:
    begun_at = process_time()
    for _ in range(count):
        await through(driver, plan(), new_id())
    return (process_time() - begun_at) * 1e6 / count


async def through(driver: JournalDriver, plan: Plan, name: str) -> None:
    """Run one execution from its start to its end."""
    await driver.start(plan, Start(name, {"id": "1"}))
    summary = await driver.ended(name)
    assert summary.standing.status == "completed", summary.standing


@cache
def plan() -> Plan:
    """Return what all of them run."""
    text = as_json(chain(STEPS))
    return compile_text(text, name="chain.json", catalog=compose.catalog()).plan


def new_id() -> str:
    """Return an id as the command line and the gateway make them: no two are neighbours."""
    return secrets.token_hex(16)
