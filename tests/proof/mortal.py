"""A nursery of processes that die at a commit of their choice.

`python -m tests.proof.mortal` reads jobs, one JSON object a line, runs each in a process of
its own and answers with a line about its end. Forking from here saves every process the
second that importing Plait takes.

Rule. What a process leaves behind is what it wrote with one `write` each: it may die
      between any two of them, and says nothing afterwards.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from plait.drivers.journal import JournalDriver, Start, is_at_rest
from plait.kernel import Kernel
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.stores.sqlite import SqliteStore
from plait.testing.script import answer_to
from tests.proof import workflows

POSITIONS: Final = ("before", "inside", "after")
# Nothing takes longer than its waits of some milliseconds, so this is never.
STUCK_S_MAX: Final = 60
WAIT: Final = "15ms"


@dataclass(frozen=True)
class Job:
    """What one process does.

    Attributes:
        folder: Where its store is, and where it leaves its traces.
        workflow: What it runs, `executions` times at once.
        nth: At which commit it dies; 0: never.
        position: Before the commit's transaction, inside it, or after it.
    """

    folder: str
    workflow: str
    executions: int = 1
    nth: int = 0
    position: str = "before"


class Death:
    """Counts commits, and ends the process at one of them."""

    nth = 0
    position = "before"
    commit_count = 0

    @classmethod
    def passes(cls, position: str) -> None:
        """Go past a position of a commit, or die there."""
        if position == "before":
            cls.commit_count += 1
        if cls.commit_count == cls.nth and position == cls.position:
            # Whoever was told of something it was told too early may say so first.
            threading.Event().wait(0.005)
            os.kill(os.getpid(), signal.SIGKILL)


class MortalConnection(sqlite3.Connection):
    """A connection whose process may die at each of its commits."""

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        """See sqlite3.Connection.execute."""
        if sql.startswith("BEGIN IMMEDIATE"):
            Death.passes("before")
        if sql != "COMMIT":
            return super().execute(sql, *given)
        Death.passes("inside")
        done = self.commit_now()
        Death.passes("after")
        return done

    def commit_now(self) -> sqlite3.Cursor:
        """Commit."""
        return super().execute("COMMIT")


class LateConnection(MortalConnection):
    """A planted bug: it says that it has committed, and commits half a second later."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._lock = threading.RLock()

    def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
        """See sqlite3.Connection.execute."""
        with self._lock:
            if sql.startswith("BEGIN IMMEDIATE"):
                Death.passes("before")
                Death.commit_count -= 1
                self._catch_up()
            return super().execute(sql, *given)

    def close(self) -> None:
        """See sqlite3.Connection.close."""
        with self._lock:
            self._catch_up()
            super().close()

    def commit_now(self) -> sqlite3.Cursor:
        """Say so."""
        threading.Timer(0.5, self._catch_up).start()
        return self.cursor()

    def _catch_up(self) -> None:
        with self._lock, suppress(sqlite3.ProgrammingError):  # closed by now
            if self.in_transaction:
                super().commit_now()


class Traces:
    """What a process leaves behind, line by line, whenever it dies."""

    def __init__(self, folder: Path, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._descriptor = os.open(folder / f"{name}.jsonl", flags, 0o600)

    def leave(self, trace: Any) -> None:
        """Write one line."""
        os.write(self._descriptor, json.dumps(trace).encode() + b"\n")


def traces(folder: Path, name: str) -> list[Any]:
    """Return what processes left behind."""
    path = folder / f"{name}.jsonl"
    return (
        [json.loads(line) for line in path.read_text().splitlines()]
        if path.exists()
        else []
    )


class TracedCalls:
    """Answers calls as the workflows' service does; each call leaves a trace."""

    def __init__(self, folder: Path, slowness: float = 0.1) -> None:
        self._traces = Traces(folder, "calls")
        self._slowness = slowness

    def start(self, call: Call, done: Done) -> CallHandle:
        """See plait.ports.calls.Calls."""
        name = [call.execution_id, call.step, call.attempt, call.idempotency_key]
        self._traces.leave([*name, os.getpid()])
        answer = answer_to(workflows.service, call)
        outcome = answer.failure or CallReply(answer.response, answer.facts)
        loop = asyncio.get_running_loop()
        after_s = (answer.after_ms or 0) / 1_000 * self._slowness
        return loop.call_later(after_s, done, outcome)

    async def close(self) -> None:
        """Nothing to close."""


async def live(job: Job) -> None:
    """Start the executions, unless they were started, and see them to their end."""
    folder = Path(job.folder)
    acknowledged = Traces(folder, "acknowledged")
    store = await SqliteStore.open(folder / "plait.db")
    worker_id = f"worker-{os.getpid()}"
    driver = JournalDriver(store, TracedCalls(folder), Kernel, worker_id=worker_id)
    await driver.open()

    async def see_through(number: int) -> None:
        start = Start(f"{worker_id}-{number}", workflows.INPUT, key=f"once-{number}")
        summary = await driver.start(workflows.plan(job.workflow, WAIT), start)
        acknowledged.leave([summary.new.execution_id, number])
        await driver.ended(summary.new.execution_id, is_at_rest)

    async with asyncio.timeout(STUCK_S_MAX):
        await asyncio.gather(*map(see_through, range(job.executions)))
    await driver.close()
    await store.close()


def run(job: Job, kind: type[sqlite3.Connection]) -> int:
    """Do the job, and die where it says; return the exit code otherwise."""
    Death.nth, Death.position, Death.commit_count = job.nth, job.position, 0
    connect = sqlite3.connect

    def mortal(*given: Any, **named: Any) -> sqlite3.Connection:
        return connect(*given, **named, factory=kind)

    sqlite3.connect = mortal  # type: ignore[assignment]  # in this process only
    asyncio.run(live(job))
    Traces(Path(job.folder), "commits").leave(Death.commit_count)
    return 0


def main() -> None:
    """Run a process per line of standard input; with `late`, one that has the bug."""
    kind = LateConnection if "late" in sys.argv else MortalConnection
    for name in workflows.TEXTS:
        workflows.plan(name, WAIT)
    for line in sys.stdin:
        job = Job(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = run(job, kind)
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
