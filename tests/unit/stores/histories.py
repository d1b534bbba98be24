"""Real executions in a real store: run by the driver, against a script."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plait.drivers.journal import JournalDriver, Start, Store
from plait.kernel import Kernel
from plait.operations import Hand, verify_all
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from tests.simulation.asking import plan_of

STEPS: Any = {
    "name": "shop",
    "steps": [
        {"id": "a", "type": "ask", "request": {}},
        {"id": "b", "type": "ask", "request": {}, "depends_on": ["a"]},
    ],
    "output": "${b.response}",
}


@dataclass
class Answers:
    """Answers every call at once with the same response; keeps the calls."""

    response: Any = "done"
    made: list[Call] = field(default_factory=list)

    def start(self, call: Call, done: Done) -> CallHandle:
        """Answer with the next turn of the loop."""
        self.made.append(call)
        loop = asyncio.get_running_loop()
        return loop.call_later(0, done, CallReply(self.response, {}))

    async def close(self) -> None:
        """Nothing to close."""


@asynccontextmanager
async def running(
    store: Store, calls: Answers | None = None, **options: Any
) -> AsyncIterator[JournalDriver]:
    """Run executions in `store` for as long as the block takes."""
    driver = JournalDriver(store, calls or Answers(), Kernel, worker_id="w", **options)
    await driver.open()
    try:
        yield driver
    finally:
        await driver.close()


async def finished(
    store: Store,
    *ids: str,
    plan: Plan | None = None,
    calls: Answers | None = None,
    **fields: Any,
) -> None:
    """Run executions with these ids to their end; `fields` are those of their start."""
    chosen = plan or plan_of(STEPS)
    async with running(store, calls) as driver:
        for execution_id in ids:
            given = Start(execution_id, {"name": execution_id}, **fields)
            await driver.start(chosen, given)
        for execution_id in ids:
            await driver.ended(execution_id)


def hand(store: Store, now_ms: int | None = None) -> Hand:
    """Return what changes executions in `store`, without secrets, now or at that moment."""
    moment_ms = int(time.time() * 1000) if now_ms is None else now_ms
    return Hand(store, Kernel, "hand", moment_ms, {})


async def damages(store: Store) -> list[tuple[str | None, str | None]]:
    """Return what verifying finds: whose, and as which code."""
    checked = [one async for one in verify_all(hand(store))]
    return [(one.execution_id, one.code) for one in checked if one.code is not None]


def tamper(path: Path, sql: str, *values: object) -> None:
    """Change a database behind the store's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(sql, values).rowcount
