"""A herd of worker processes on one SQLite store, which somebody else stops and wakes.

`python -m tests.proof.herd FOLDER WORKERS EXECUTIONS` prints the workers' process ids, one
a line, and ends when they have.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from plait.drivers.journal import JournalDriver, Start, Times
from plait.kernel import Kernel
from plait.ports.journal import (
    RUNNING,
    Append,
    Created,
    Entry,
    Hold,
    LostRace,
    NewExecution,
    Search,
    Standing,
    StoreUnavailable,
    Summary,
)
from plait.stores.sqlite import SqliteStore
from tests.proof import workflows
from tests.proof.mortal import TracedCalls, Traces

T = TypeVar("T")

LEASES: Final = Times(lease_ms=1_000, beat_ms=250)
IN_FLIGHT: Final = 8
# Calls and waits of some tenths of a second, so that a stop falls among them.
WAIT: Final = "400ms"
SLOWNESS: Final = 20.0
TRIES_AGAIN_AFTER_S: Final = 0.1


class TracedStore:
    """Leaves a trace of every write that was acknowledged or refused."""

    def __init__(self, store: SqliteStore, folder: Path) -> None:
        self._store = store
        self._traces = Traces(folder, "writes")

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def create(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None = None,
    ) -> Created:
        """See plait.ports.journal.Journal."""
        created = await self._store.create(new, entries, standing, owner, under)
        if created.is_new:
            self._leave(new.execution_id, 0, 1, entries, "done")
        return created

    async def append(self, append: Append) -> None:
        """See plait.ports.journal.Journal."""
        outcome = "unknown"
        try:
            await self._store.append(append)
            outcome = "done"
        except LostRace:
            outcome = "refused"
            raise
        finally:
            name, at = append.execution_id, append.expected_length
            self._leave(name, at, append.epoch, append.entries, outcome)

    def _leave(
        self, name: str, at: int, epoch: int, entries: Sequence[Entry], outcome: str
    ) -> None:
        digests = [entry.digest.hex() for entry in entries]
        self._traces.leave([name, at, epoch, digests, outcome])


async def work(folder: Path, number: int, workers: int, executions: int) -> None:
    """Start one worker's share, and help until nothing is left."""
    store = await SqliteStore.open(folder / "plait.db")
    traced = TracedStore(store, folder)
    driver = JournalDriver(
        traced,  # type: ignore[arg-type]  # the rest is the store's own
        TracedCalls(folder, SLOWNESS),
        Kernel,
        worker_id=f"worker-{number}",
        times=LEASES,
    )
    await _insist(driver.open)
    gate = asyncio.Semaphore(IN_FLIGHT)
    acknowledged = Traces(folder, "acknowledged")

    async def start(index: int) -> None:
        names = list(workflows.TEXTS)
        plan = workflows.plan(names[index % len(names)], WAIT)
        wanted = Start(f"x{index}", workflows.INPUT, key=f"once-{index}")

        async def begin() -> Summary:
            return await driver.start(plan, wanted)

        async with gate:
            summary = await _insist(begin)
            acknowledged.leave([summary.new.execution_id, index])
            await _insist(lambda: driver.ended(summary.new.execution_id))

    await asyncio.gather(*map(start, range(number, executions, workers)))
    await _until_nothing_runs(store, executions)
    await driver.close()
    await store.close()


async def _insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the store answers: who holds its lock may be stopped."""
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            await asyncio.sleep(TRIES_AGAIN_AFTER_S)


async def _until_nothing_runs(store: SqliteStore, executions: int) -> None:
    while True:
        await asyncio.sleep(TRIES_AGAIN_AFTER_S)
        try:
            if await store.find(Search(statuses=(RUNNING,), limit=1)):
                continue
            if len(await store.find(Search(limit=executions))) == executions:
                return
        except StoreUnavailable:
            continue


def main() -> None:
    """Fork the workers, tell who they are, wait for them."""
    folder, workers, executions = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for name in workflows.TEXTS:
        workflows.plan(name, WAIT)
    pids = []
    for number in range(workers):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                asyncio.run(work(folder, number, workers, executions))
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        pids.append(pid)
        print(pid, flush=True)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    sys.exit(max(map(abs, codes)))


if __name__ == "__main__":
    main()
