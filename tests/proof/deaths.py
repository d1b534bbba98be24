"""Row 2: SIGKILL at every commit, before it, inside it and after it, of every workflow."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from plait.drivers.journal import replay, verify
from plait.kernel import Kernel
from plait.kernel.codec import load_turn
from plait.kernel.events import CallCompleted, CallFailed, ExecutionCompleted
from plait.kernel.paths import without_rounds
from plait.ports.journal import TERMINAL, History, Search
from plait.stores.sqlite import SqliteStore
from plait.testing.simulator import simulate
from tests.proof import workflows
from tests.proof.mortal import POSITIONS, WAIT, Job, traces
from tests.proof.scorecard import Outcome, Scale

KILLED: Final = -9
LATE_COMMITS_MAX: Final = 20


class Nursery:
    """Runs jobs in processes of their own, one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, job: Job) -> int:
        """Return how the process ended: 0, or minus the signal that killed it."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(asdict(job)) + "\n")
        stdin.flush()
        return int(stdout.readline())


@contextmanager
def nursery(*planted: str) -> Iterator[Nursery]:
    """Open a nursery; `planted` is the bug that its processes have."""
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.proof.mortal", *planted],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=own,
    )
    try:
        yield Nursery(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def run(scale: Scale) -> Outcome:
    """Kill each workflow at each of its commits, recover, and compare."""
    outcome = Outcome({"workflows": 0, "deaths": 0, "acknowledged": 0, "calls repeated": 0})
    names = list(workflows.TEXTS)
    chosen = names[: scale.of(len(names), 2)]
    with nursery() as cradle, tempfile.TemporaryDirectory(prefix="proof-") as folder:
        for name in chosen:
            outcome.figures["workflows"] += 1
            _kill_everywhere(cradle, Path(folder), name, scale, outcome)
    if not outcome.figures["calls repeated"]:
        outcome.broken.append("no call was ever cut off: nothing is proved of those")
    outcome.figures["late commits"] = catch_late_commits() or "not caught"
    if outcome.figures["late commits"] == "not caught":
        outcome.broken.append("a store that commits after it answers is not caught")
    return outcome


def catch_late_commits() -> str | None:
    """Plant a store that answers before it commits; return what gives it away."""
    outcome = Outcome({"deaths": 0, "acknowledged": 0, "calls repeated": 0})
    with nursery("late") as cradle, tempfile.TemporaryDirectory(prefix="proof-") as folder:
        for nth in range(1, LATE_COMMITS_MAX):
            own = Path(folder, str(nth))
            own.mkdir()
            found = kill_and_recover(cradle, Job(str(own), "chain", nth=nth), outcome)
            if found:
                return found[0]
    return None


def _kill_everywhere(
    cradle: Nursery, folder: Path, name: str, scale: Scale, outcome: Outcome
) -> None:
    whole = folder / f"{name}-whole"
    whole.mkdir()
    cradle.run(Job(str(whole), name))
    (commits,) = traces(whole, "commits")
    stride = 1 if scale.share >= 1 else 3
    for nth in range(1, commits + 1, stride):
        for position in POSITIONS:
            own = folder / f"{name}-{nth}-{position}"
            own.mkdir()
            text = f"{name}, {position} commit {nth}"
            found = kill_and_recover(cradle, Job(str(own), name, 1, nth, position), outcome)
            outcome.broken += [f"{text}: {one}" for one in found]


def kill_and_recover(cradle: Nursery, job: Job, outcome: Outcome) -> list[str]:
    """Let one process die and the next recover; return what does not hold."""
    folder = Path(job.folder)
    code = cradle.run(job)
    # The number of commits differs a little from run to run: the last may not be met.
    outcome.figures["deaths"] += code == KILLED
    if code not in (0, KILLED):
        return [f"the process ended with {code}"]
    before = histories(folder)
    acknowledged = {name for name, _ in traces(folder, "acknowledged")}
    outcome.figures["acknowledged"] += len(acknowledged)
    lost = acknowledged - set(before)
    code = cradle.run(Job(job.folder, job.workflow, job.executions))
    if code:
        return [f"the recovery ended with {code}"]
    after = histories(folder)
    lost |= acknowledged - set(after)
    found = [f"acknowledged and lost: {one}" for one in lost]
    found += _wrong_ends(after, job.workflow)
    found += [f"it grew to {len(after)} executions"] * (len(after) > job.executions)
    return found + _wrong_calls(folder, before, outcome)


def histories(folder: Path) -> dict[str, History]:
    """Return every execution in a folder's store, by its id."""
    return asyncio.run(read_histories(folder))


async def read_histories(folder: Path) -> dict[str, History]:
    """Return every execution in a folder's store, by its id."""
    store = await SqliteStore.open(folder / "plait.db")
    found = await store.find(Search(limit=100_000))
    names = [one.new.execution_id for one in found]
    kept = {name: await store.read(name) for name in names}
    await store.close()
    return kept


def _wrong_ends(histories: dict[str, History], workflow: str) -> Iterator[str]:
    plan = workflows.plan(workflow, WAIT)
    wanted = simulate(plan, workflows.service, input=workflows.INPUT)
    for name, history in histories.items():
        verify(history)
        replay(history, Kernel(plan), {})
        status = history.summary.standing.status
        if status not in TERMINAL:
            yield f"{name} has not ended"
        end = load_turn(history.entries[-1].body)[-1]
        output = end.output if isinstance(end, ExecutionCompleted) else None
        is_as_wanted = (status, output) == (wanted.status, wanted.output)
        if workflow not in workflows.UNSTEADY and not is_as_wanted:
            yield f"{name} ended as {status} with {output}"


def _wrong_calls(folder: Path, before: dict[str, History], outcome: Outcome) -> list[str]:
    """Return which calls were repeated although they had an outcome, or changed keys."""
    settled = {
        (name, event.step, event.attempt)
        for name, history in before.items()
        for entry in history.entries
        if isinstance(event := load_turn(entry.body)[0], CallCompleted | CallFailed)
    }
    found, made, keys = [], set(), dict[Any, Any]()
    first_pid = None
    for name, step, attempt, key, pid in traces(folder, "calls"):
        first_pid = first_pid or pid
        call = (name, step, attempt)
        if pid != first_pid and call in settled:
            found.append(f"{step} was called again after its outcome was recorded")
        outcome.figures["calls repeated"] += call in made
        if pid == first_pid and call in made:
            found.append(f"{step} was called twice without a crash")
        made.add(call)
        if key is not None and keys.setdefault((name, without_rounds(step)), key) != key:
            found.append(f"{step} was called again with another key")
    return found
