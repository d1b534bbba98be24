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
    """Counts commits: how many writes one of them holds tells what the raw limit is."""

    commit_count = 0

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        """See sqlite3.Connection.execute."""
        CountingConnection.commit_count += sql == "COMMIT"
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
    """Return what one workflow writes, and how much one commit holds."""
    connection = sqlite3.connect(path)
    entries, size, executions = connection.execute(
        "SELECT count(*), sum(length(body) + length(digest)), count(DISTINCT execution)"
        " FROM entries"
    ).fetchone()
    connection.close()
    return {
        "entries_per_workflow": entries / executions,
        "bytes_per_entry": size / entries,
        "entries_per_commit": entries / max(CountingConnection.commit_count, 1),
    }


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
