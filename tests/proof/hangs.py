"""Row 5: workers that are stopped for longer than their leases, and woken again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final

from plait.ports.journal import TERMINAL, History
from tests.proof.deaths import histories
from tests.proof.mortal import traces
from tests.proof.scorecard import Outcome, Scale

WORKERS: Final = 8
EXECUTIONS: Final = 2_000
STOPPED_S: Final = (0.8, 3.0)
APART_S: Final = (0.05, 0.3)
LONGEST_S: Final = 600


def run(scale: Scale) -> Outcome:
    """Let the herd work while its workers are stopped and woken at random."""
    executions = scale.of(EXECUTIONS, 120)
    workers = WORKERS if scale.share >= 0.1 else 4
    outcome = Outcome({"workers": workers, "executions": executions, "stopped": 0})
    with tempfile.TemporaryDirectory(prefix="proof-") as name:
        folder = Path(name)
        code = _herd(folder, workers, executions, outcome)
        if code:
            outcome.broken.append(f"the herd ended with {code}")
        _judge(folder, executions, outcome)
    return outcome


def _herd(folder: Path, workers: int, executions: int, outcome: Outcome) -> int:
    command = [sys.executable, "-m", "tests.proof.herd", str(folder)]
    command += [str(workers), str(executions)]
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=own) as herd:
        assert herd.stdout is not None
        pids = [int(herd.stdout.readline()) for _ in range(workers)]
        try:
            _stop_and_wake(herd, pids, outcome)
        finally:
            for pid in pids if herd.poll() is None else []:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return herd.wait()


def _stop_and_wake(herd: subprocess.Popen[str], pids: list[int], outcome: Outcome) -> None:
    """Stop workers, one to three at a time, until all of them have done their work."""
    lot = Random(5)
    wake_at: dict[int, float] = {}
    end_at = time.monotonic() + LONGEST_S
    while herd.poll() is None and time.monotonic() < end_at:
        now = time.monotonic()
        for pid in [one for one, at in wake_at.items() if at <= now]:
            del wake_at[pid]
            _signal(pid, signal.SIGCONT)
        if len(wake_at) < len(pids) // 2:
            pid = lot.choice([one for one in pids if one not in wake_at])
            if _signal(pid, signal.SIGSTOP):
                outcome.figures["stopped"] += 1
                wake_at[pid] = now + lot.uniform(*STOPPED_S)
        with suppress(subprocess.TimeoutExpired):
            herd.wait(lot.uniform(*APART_S))
    for pid in wake_at:
        _signal(pid, signal.SIGCONT)


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _judge(folder: Path, executions: int, outcome: Outcome) -> None:
    found = histories(str(folder / "plait.db"))
    acknowledged = {name for name, _ in traces(folder, "acknowledged")}
    outcome.broken += [f"acknowledged and lost: {one}" for one in acknowledged - set(found)]
    if len(found) != executions:
        outcome.broken.append(f"there are {len(found)} executions")
    for name, history in found.items():
        if history.summary.standing.status not in TERMINAL:
            outcome.broken.append(f"{name} has not ended")
    writes: dict[str, list[Any]] = defaultdict(list)
    for name, at, epoch, digests, ended in traces(folder, "writes"):
        writes[name].append((at, epoch, digests, ended))
    outcomes = [one[3] for every in writes.values() for one in every]
    outcome.figures["writes"] = outcomes.count("done")
    outcome.figures["stale writes refused"] = outcomes.count("refused")
    outcome.figures["changes of hands"] = sum(
        one.summary.epoch - 1 for one in found.values()
    )
    stale = [text for name in found for text in stale_writes(found[name], writes[name])]
    outcome.figures["stale writes accepted"] = len(stale)
    outcome.broken += stale
    if not outcome.figures["changes of hands"]:
        outcome.broken.append("no worker was stopped for long enough: nothing is proved")


def stale_writes(history: History, writes: list[Any]) -> list[str]:
    """Return which acknowledged writes are not in the history, or out of their epoch.

    Args:
        writes: For each: the expected length, the epoch, the digests, and what came of it.
    """
    name, found = history.summary.new.execution_id, []
    latest_epoch = 0
    for at, epoch, digests, _ in sorted(one for one in writes if one[3] == "done"):
        kept = [entry.digest.hex() for entry in history.entries[at : at + len(digests)]]
        if kept != digests:
            found.append(f"{name}: what was acknowledged at {at} is not in its history")
        if epoch < latest_epoch:
            found.append(f"{name}: a write of epoch {epoch} after one of {latest_epoch}")
        latest_epoch = max(latest_epoch, epoch)
    return found
