"""Row 2: SIGKILL at every commit, before it, inside it and after it, of every workflow, on
every store.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final
from unittest import SkipTest

from plait.assembly.stores import open_store
from plait.drivers.journal import replay, verify
from plait.kernel import Kernel
from plait.kernel.codec import load_turn
from plait.kernel.events import CallCompleted, CallFailed, ExecutionCompleted
from plait.kernel.paths import without_rounds
from plait.ports.journal import TERMINAL, History, Search
from plait.testing.simulator import simulate
from tests.proof import workflows
from tests.proof.commits import POSITIONS
from tests.proof.mortal import Job, traces, work_of
from tests.proof.places import KINDS, Fresh, stores_of
from tests.proof.scorecard import Outcome, Scale

KILLED: Final = -9
LATE_COMMITS_MAX: Final = 20
NOTHING: Final = {"deaths": 0, "acknowledged": 0, "calls repeated": 0}


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
    """Kill each workflow at each of its commits, on each store; recover, and compare."""
    outcome = Outcome()
    for kind in KINDS:
        try:
            found = run_on(kind, scale)
        except SkipTest as skipped:
            outcome.figures[kind] = f"skipped: {skipped}"
            continue
        outcome.figures |= {f"{kind}: {name}": one for name, one in found.figures.items()}
        outcome.broken += [f"{kind}: {text}" for text in found.broken]
    return outcome


def run_on(kind: str, scale: Scale) -> Outcome:
    """Do it on one kind of store.

    Raises:
        unittest.SkipTest: Its server is not installed.
    """
    outcome = Outcome({"workflows": 0, **NOTHING})
    names = list(workflows.TEXTS)
    with stores_of(kind) as fresh:
        with nursery() as cradle, tempfile.TemporaryDirectory(prefix="proof-") as folder:
            for name in names[: scale.of(len(names), 2)]:
                outcome.figures["workflows"] += 1
                grave = Grave(cradle, Path(folder), fresh)
                kill_everywhere(grave, name, outcome, 1 if scale.share >= 1 else 3)
        if not outcome.figures["deaths"] or not outcome.figures["calls repeated"]:
            outcome.broken.append("no call was ever cut off: nothing is proved of those")
        caught = catch_late_commits(fresh)
    outcome.figures["late commits"] = caught or "not caught"
    if caught is None:
        outcome.broken.append("a store that commits after it answers is not caught")
    return outcome


def catch_late_commits(fresh: Fresh) -> str | None:
    """Plant a store that answers before it commits; return what gives it away."""
    outcome = Outcome({**NOTHING})
    with nursery("late") as cradle, tempfile.TemporaryDirectory(prefix="proof-") as folder:
        grave = Grave(cradle, Path(folder), fresh)
        for nth in range(1, LATE_COMMITS_MAX):
            found = kill_and_recover(cradle, grave.job("chain", nth), outcome)
            if found:
                return found[0]
    return None


@dataclass(frozen=True)
class Grave:
    """Where processes die, one after the other: each in a folder, with a store."""

    cradle: Nursery
    folder: Path
    fresh: Fresh

    def job(self, workflow: str, nth: int = 0, position: str = "before") -> Job:
        """Return what the next process does: in a folder and a store of its own."""
        own = Path(tempfile.mkdtemp(dir=self.folder))
        return Job(str(own), workflow, 1, nth, position, self.fresh(own))


def kill_everywhere(
    grave: Grave,
    name: str,
    outcome: Outcome,
    stride: int = 1,
    also: Callable[[Job], list[str]] = lambda _: [],
) -> None:
    """Kill one workflow at every `stride`th of its commits, at each position.

    Args:
        also: Says what else does not hold after a recovery.
    """
    whole = grave.job(name)
    code = grave.cradle.run(whole)
    if code:
        outcome.broken.append(f"{name}: the process ended with {code}")
        return
    (commits,) = traces(Path(whole.folder), "commits")
    for nth in range(1, commits + 1, stride):
        for position in POSITIONS:
            text = f"{name}, {position} commit {nth}"
            job = grave.job(name, nth, position)
            found = kill_and_recover(grave.cradle, job, outcome) + also(job)
            outcome.broken += [f"{text}: {one}" for one in found]


def kill_and_recover(cradle: Nursery, job: Job, outcome: Outcome) -> list[str]:
    """Let one process die and the next recover; return what does not hold."""
    folder = Path(job.folder)
    code = cradle.run(job)
    # The number of commits differs a little from run to run: the last may not be met.
    outcome.figures["deaths"] += code == KILLED
    if code not in (0, KILLED):
        return [f"the process ended with {code}"]
    before = histories(job.store)
    acknowledged = {name for name, _ in traces(folder, "acknowledged")}
    outcome.figures["acknowledged"] += len(acknowledged)
    lost = acknowledged - set(before)
    code = cradle.run(replace(job, nth=0))
    if code:
        return [f"the recovery ended with {code}"]
    after = histories(job.store)
    lost |= acknowledged - set(after)
    found = [f"acknowledged and lost: {one}" for one in lost]
    found += _wrong_ends(after, job.workflow)
    found += [f"it grew to {len(after)} executions"] * (len(after) > job.executions)
    return found + _wrong_calls(folder, before, outcome)


def histories(place: str) -> dict[str, History]:
    """Return every execution in the store at `place`, by its id."""
    return asyncio.run(read_histories(place))


async def read_histories(place: str) -> dict[str, History]:
    """Return every execution in the store at `place`, by its id."""
    store = await open_store(place)
    found = await store.find(Search(limit=100_000))
    names = [one.new.execution_id for one in found]
    kept = {name: await store.read(name) for name in names}
    await store.close()
    return kept


def _wrong_ends(histories: dict[str, History], workflow: str) -> Iterator[str]:
    plan, script = work_of(workflow)
    wanted = simulate(plan, script, input=workflows.INPUT)
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
