"""A nursery of processes that die at a commit of their choice.

`python -m tests.proof.mortal` reads jobs, one JSON object a line, runs each in a process of
its own and answers with a line about its end. Forking from here saves every process the
second that importing Plait takes.

Rule. What a process leaves behind is what it wrote with one `write` each: it may die
      between any two of them, and says nothing afterwards.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from plait.assembly.stores import open_store
from plait.drivers.journal import JournalDriver, Start, is_at_rest
from plait.kernel import Kernel
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.testing.script import Script, answer_to
from tests.proof import undoing, workflows
from tests.proof.commits import Death, be_mortal

# Nothing takes longer than its waits of some milliseconds, so this is never.
STUCK_S_MAX: Final = 60
WAIT: Final = "15ms"


@dataclass(frozen=True)
class Job:
    """What one process does.

    Attributes:
        folder: Where its store is, and where it leaves its traces.
        workflow: What it runs, `executions` times at once: one of the fourteen, or a saga.
        nth: At which commit it dies; 0: never.
        position: Before the commit's transaction, inside it, or after it.
        store: Where the store is; empty: a file in the folder.
    """

    folder: str
    workflow: str
    executions: int = 1
    nth: int = 0
    position: str = "before"
    store: str = ""

    @property
    def place(self) -> str:
        """Where the store is."""
        return self.store or str(Path(self.folder, "plait.db"))


def work_of(workflow: str) -> tuple[Plan, Script]:
    """Return the plan of a workflow, and who answers its calls."""
    if workflow in workflows.TEXTS:
        return workflows.plan(workflow, WAIT), workflows.service
    case = undoing.case(workflow)
    return case.plan, case.answer


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
    """Answers calls by a script; each call leaves a trace."""

    def __init__(
        self, folder: Path, slowness: float = 0.1, script: Script = workflows.service
    ) -> None:
        self._traces = Traces(folder, "calls")
        self._slowness = slowness
        self._script = script

    def start(self, call: Call, done: Done) -> CallHandle:
        """See plait.ports.calls.Calls."""
        name = [call.execution_id, call.step, call.attempt, call.idempotency_key]
        self._traces.leave([*name, os.getpid()])
        answer = answer_to(self._script, call)
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
    store = await open_store(job.place)
    worker_id = f"worker-{os.getpid()}"
    plan, script = work_of(job.workflow)
    calls = TracedCalls(folder, script=script)
    driver = JournalDriver(store, calls, Kernel, worker_id=worker_id)
    await driver.open()

    async def see_through(number: int) -> None:
        start = Start(f"{worker_id}-{number}", workflows.INPUT, key=f"once-{number}")
        summary = await driver.start(plan, start)
        acknowledged.leave([summary.new.execution_id, number])
        await driver.ended(summary.new.execution_id, is_at_rest)

    async with asyncio.timeout(STUCK_S_MAX):
        await asyncio.gather(*map(see_through, range(job.executions)))
    await driver.close()
    await store.close()


def run(job: Job, *, is_late: bool) -> int:
    """Do the job, and die where it says; return the exit code otherwise."""
    Death.nth, Death.position, Death.commit_count = job.nth, job.position, 0
    be_mortal(is_late=is_late)
    asyncio.run(live(job))
    Traces(Path(job.folder), "commits").leave(Death.commit_count)
    return 0


def main() -> None:
    """Run a process per line of standard input; with `late`, one that has the bug."""
    for name in workflows.TEXTS:
        workflows.plan(name, WAIT)
    for client in ("postgres", "redis"):
        importlib.import_module(f"plait.stores.{client}")
    for line in sys.stdin:
        job = Job(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = run(job, is_late="late" in sys.argv)
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
