"""Plait's sample: the durable driver on a store, W3 over its own HTTP client."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from typing import Any, Final

import uvloop

from benchmarks.durable.load import Wish, drive, tell, wish
from plait.assembly import compose
from plait.assembly.settings import Settings
from plait.assembly.stores import open_store
from plait.compile import compile_text
from plait.drivers.journal import JournalDriver, Start
from plait.kernel import Kernel
from plait.model.json import JsonValue
from plait.ports.calls import Call, CallHandle, CallReply, Calls, Done

# GET would make the calls `read`; what is measured does the same for every effect.
DOCUMENT: Final = b"""
name: w3
steps:
  - {id: a, type: http, request: {url: "http://upstream/${input.n}"}}
  - {id: b, type: http, request: {url: "http://upstream/${a.response.n}"}}
  - {id: c, type: http, request: {url: "http://upstream/${b.response.n}"}}
output: ${c.response.n}
"""


class NoCalls:
    """Steps that do nothing: the answer is there at once."""

    def __init__(self, response: JsonValue) -> None:
        self._reply = CallReply(response, {"status_code": 200, "headers": {}})

    def start(self, call: Call, done: Done) -> CallHandle:
        """See plait.ports.calls.Calls."""
        return asyncio.get_running_loop().call_soon(done, self._reply)

    async def close(self) -> None:
        """Nothing is open."""


class CountingConnection(sqlite3.Connection):
    """Counts commits that write: how much one holds tells what the raw limit is."""

    commit_count = 0
    _changed_before = 0

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        """See sqlite3.Connection.execute."""
        # A commit that changed nothing costs nothing: no fsync waits for it.
        if sql == "COMMIT" and self.total_changes > self._changed_before:
            self._changed_before = self.total_changes
            CountingConnection.commit_count += 1
        return super().execute(sql, *given)


async def run(wanted: Wish) -> dict[str, Any]:
    """Return the figures of one sample."""
    plan = compile_text(DOCUMENT, name="w3.yaml", catalog=compose.catalog()).plan
    path = wanted.folder / "plait.db"
    store = await open_store(wanted.database or str(path))
    settings = Settings(resolve={"upstream": f"127.0.0.1:{wanted.upstream}"})
    is_real = wanted.workflow == "w3"
    calls: Calls = compose.calls(settings) if is_real else NoCalls({"n": 1})
    driver = JournalDriver(store, calls, Kernel, worker_id="bench")
    await driver.open()

    async def one(number: int) -> None:
        # A server keeps what samples before this one have begun.
        name = f"{os.getpid()}-{number}"
        await driver.start(plan, Start(name, {"n": number}))
        summary = await driver.ended(name)
        assert summary.standing.status == "completed"

    figures = await drive(wanted, one)
    await driver.close()
    await calls.close()
    await store.close()
    return figures if wanted.database else {**figures, **_written(str(path))}


def _written(path: str) -> dict[str, float]:
    """Return what one workflow writes, and how much one commit holds.

    The bytes are those of every column of every row that is kept of it, each once: what an
    index repeats, and what is written anew with each entry, is the store's own affair.
    """
    if not CountingConnection.commit_count:
        raise SystemExit("no commit was counted: the store commits in some other way now")
    connection = sqlite3.connect(path)
    entries = _count(connection, "entries")
    executions = _count(connection, "executions")
    size = sum(_bytes(connection, name) for name in ("entries", "executions", "standings"))
    connection.close()
    return {
        "entries_per_workflow": entries / executions,
        "bytes_per_entry": size / entries,
        "entries_per_commit": entries / CountingConnection.commit_count,
    }


def _count(connection: sqlite3.Connection, name: str) -> int:
    count: int = connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
    return count


def _bytes(connection: sqlite3.Connection, name: str) -> int:
    """Return how many bytes the values of a table have, numbers as their digits."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
    lengths = " + ".join(f"coalesce(length(CAST({one} AS BLOB)), 0)" for one in columns)
    size: int = connection.execute(f"SELECT sum({lengths}) FROM {name}").fetchone()[0]
    return size


def main() -> None:
    """Take one sample."""
    connect = sqlite3.connect

    def counting(*given: Any, **named: Any) -> sqlite3.Connection:
        named.setdefault("factory", CountingConnection)
        made: sqlite3.Connection = connect(*given, **named)
        return made

    sqlite3.connect = counting  # type: ignore[assignment]  # in this process only
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        tell(runner.run(run(wish())))


if __name__ == "__main__":
    main()
