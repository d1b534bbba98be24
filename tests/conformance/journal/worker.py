"""A worker as a process of its own; workers.py starts it and kills it.

    python -m tests.conformance.journal.worker STORE NAME LEASE_MS DOCUMENT SERVICE

It makes real calls, to the host `service` at the address SERVICE. For each line of standard
input it starts as many executions of DOCUMENT as that says, and then says `done`.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from plait.assembly import compose
from plait.assembly.settings import Settings
from plait.assembly.stores import open_store
from plait.compile import compile_text
from plait.drivers.journal import JournalDriver, Start, Times
from plait.plan import Plan


async def main(place: str, name: str, lease: str, document: str, service: str) -> None:
    settings = Settings(resolve={"service": service})
    text = Path(document).read_bytes()
    plan = compile_text(text, name=document, catalog=compose.catalog()).plan
    performer, kernel_for = compose.calls(settings), partial(compose.kernel, settings)
    store = await open_store(place)
    times = Times(lease_ms=int(lease), beat_ms=200)
    driver = JournalDriver(store, performer, kernel_for, worker_id=name, times=times)
    await driver.open()
    print("ready", flush=True)
    started = 0
    while line := await asyncio.to_thread(sys.stdin.readline):
        count = int(line)
        await asyncio.gather(*(start(driver, plan, started + n) for n in range(count)))
        started += count
        print("done", flush=True)
    await driver.close()
    await performer.close()
    await store.close()


async def start(driver: JournalDriver, plan: Plan, number: int) -> None:
    execution_id = f"x{number:03}"
    await driver.start(plan, Start(execution_id, {}, key=execution_id))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
