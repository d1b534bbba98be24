"""Scale: what a step costs in long workflows, and what executions cost that only wait.

Processor time and resident memory, so that what else runs on the machine does not count.
Each in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Final

from benchmarks.documents import UNLIMITED, as_json, chain
from benchmarks.durable.plait_peer import NoCalls
from benchmarks.harness.processes import ROOT, BenchmarkFailed
from benchmarks.harness.report import machine_line, table, write_results
from benchmarks.memory import resident_bytes
from plait.assembly import compose
from plait.compile import compile_text
from plait.drivers.journal import JournalDriver, Start
from plait.kernel import Kernel, Limits
from plait.plan import Plan
from plait.stores.sqlite import SqliteStore

STEPS: Final = (10, 100, 1_000, 10_000)
STEPS_EACH: Final = 20_000
RATIO_MAX: Final = 1.3
WAITING: Final = 100_000
WAITING_BYTES_MAX: Final = 200_000_000
STARTS_AT_ONCE: Final = 500
RUNS: Final = 3
SECONDS_MAX: Final = 600


def run(options: argparse.Namespace) -> None:
    """Measure both; print and write the figures."""
    del options
    step_us = {
        count: median(_measured("steps", count) for _ in range(RUNS)) for count in STEPS
    }
    waiting = _measured("waiting", WAITING)
    print(f"{machine_line()}\n")
    base = step_us[STEPS[0]]
    lines = [
        [f"{count:,} steps", f"{one:.0f}", f"{one / base:.2f}", f"{RATIO_MAX:g}"]
        for count, one in step_us.items()
    ]
    print(table(["one workflow of", "µs a step", "times", "at most"], lines))
    lines = [
        [f"{WAITING:,} waiting", f"{waiting / 1e6:.0f}", f"{WAITING_BYTES_MAX / 1e6:.0f}"]
    ]
    print("\n" + table(["executions", "MB", "at most"], lines))
    figures = {
        "step_us": {str(count): round(one, 1) for count, one in step_us.items()},
        "ratio_at_most": RATIO_MAX,
        "waiting": WAITING,
        "waiting_bytes": waiting,
        "waiting_bytes_at_most": WAITING_BYTES_MAX,
    }
    print(f"\nwritten to {write_results('durable-scale', figures)}")


def _measured(verb: str, count: int) -> float:
    command = [sys.executable, "-m", "benchmarks.durable.scale", verb, str(count)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    if done.returncode:
        raise BenchmarkFailed(f"{' '.join(command)}:\n{done.stderr[-2000:]}")
    return float(json.loads(done.stdout))


async def step_us(folder: Path, count: int) -> float:
    """Return the processor time of one step of workflows with `count` steps."""
    text = as_json(chain(count))
    plan = compile_text(
        text, name="chain.json", catalog=compose.catalog(), limits=UNLIMITED
    ).plan
    limits = Limits(events_max=10 * count + 100)
    driver = await _opened(folder, lambda plan: Kernel(plan, limits=limits))
    await _through(driver, plan, "warm-up")
    runs = max(STEPS_EACH // count, 2)
    begun_at = process_time()
    for number in range(runs):
        await _through(driver, plan, f"x{number}")
    taken_us = (process_time() - begun_at) * 1e6
    await driver.close()
    return taken_us / runs / count


async def _through(driver: JournalDriver, plan: Plan, name: str) -> None:
    await driver.start(plan, Start(name, {"id": "1"}))
    summary = await driver.ended(name)
    assert summary.standing.status == "completed", summary.standing


async def waiting_bytes(folder: Path, count: int) -> float:
    """Return how much memory a worker holds while `count` executions wait for a day."""
    text = b"name: wait\nsteps: [{id: nap, type: wait, for: 1d}]\n"
    plan = compile_text(text, name="wait.yaml", catalog=compose.catalog()).plan
    driver = await _opened(folder, Kernel)
    gate = asyncio.Semaphore(STARTS_AT_ONCE)

    async def start(number: int) -> None:
        async with gate:
            await driver.start(plan, Start(f"x{number}", {"number": number}))

    for first in range(0, count, 10 * STARTS_AT_ONCE):
        await asyncio.gather(*map(start, range(first, first + 10 * STARTS_AT_ONCE)))
    gc.collect()
    held = resident_bytes(os.getpid())
    await driver.close()
    return held


async def _opened(folder: Path, kernel_for: Callable[[Plan], Kernel]) -> JournalDriver:
    store = await SqliteStore.open(folder / "plait.db")
    driver = JournalDriver(store, NoCalls({"id": "1"}), kernel_for, worker_id="bench")
    await driver.open()
    return driver


def main() -> None:
    """Be the process of one measurement."""
    verb, count = sys.argv[1], int(sys.argv[2])
    measure = step_us if verb == "steps" else waiting_bytes
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), count))), flush=True)


if __name__ == "__main__":
    main()
