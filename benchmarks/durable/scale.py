"""Scale: what a step costs in long workflows, what an execution costs in a full store, and
what executions cost that only wait.

Processor time and resident memory, so that waiting for the disk does not count. Each in a
process of its own. What is compared is measured in turns, and the median of the rounds'
ratios is told: a machine that is busier for a while makes both sides dearer.
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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, Final

from benchmarks.documents import UNLIMITED, as_json, chain
from benchmarks.durable import finished
from benchmarks.durable.finished import through
from benchmarks.durable.plait_peer import NoCalls
from benchmarks.harness.processes import ROOT, SERVER_CORE, BenchmarkFailed, on_core
from benchmarks.harness.report import machine_line, table, write_results
from benchmarks.memory import resident_bytes
from plait.assembly import compose
from plait.compile import compile_text
from plait.drivers.journal import JournalDriver, Start
from plait.kernel import Kernel, Limits
from plait.plan import Plan
from plait.stores.sqlite import SqliteStore

STEPS: Final = (10, 100, 1_000, 10_000)
STEPS_EACH: Final = 10_000
# A process is slow at first: the first 1,000 steps of one took twice as long as the next.
WARM_UP_STEPS: Final = 2_000
RATIO_MAX: Final = 1.3
FINISHED: Final = (1, 100_000)
WAITING: Final = 100_000
WAITING_BYTES_MAX: Final = 200_000_000
STARTS_AT_ONCE: Final = 500
RUNS: Final = 5
SECONDS_MAX: Final = 600


def run(options: argparse.Namespace) -> None:
    """Measure all three; print and write the figures."""
    del options
    print(machine_line())
    rounds = [[_measured("steps", str(count)) for count in STEPS] for _ in range(RUNS)]
    steps = compared(STEPS, rounds)
    print("\n" + _table("one workflow of", "steps", "µs a step", steps))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folders = [Path(name, str(count)) for count in FINISHED]
        for folder, count in zip(folders, FINISHED, strict=True):
            folder.mkdir()
            _measured("fill", str(folder), str(count))
        beside = compared(FINISHED, _measured("beside", *map(str, folders)))
    print("\n" + _table("executions in the store", "finished", "µs each", beside))
    waiting = _measured("waiting", str(WAITING))
    line = [
        f"{WAITING:,} waiting",
        f"{waiting / 1e6:.0f}",
        f"{WAITING_BYTES_MAX / 1e6:.0f}",
    ]
    print("\n" + table(["executions", "MB", "at most"], [line]))
    figures = {
        "rounds": RUNS,
        "ratio_at_most": RATIO_MAX,
        "steps": steps,
        "finished": beside,
        "waiting": WAITING,
        "waiting_bytes": waiting,
        "waiting_bytes_at_most": WAITING_BYTES_MAX,
    }
    print(f"\nwritten to {write_results('durable-scale', figures)}")


def compared(
    sides: Sequence[int], rounds: Sequence[Sequence[float]]
) -> dict[str, dict[str, float]]:
    """Return of each side the median, the lowest and how many times the first side it is.

    Args:
        rounds: What was measured of each side, one after the other.
    """
    found = {}
    for side, taken in zip(sides, zip(*rounds, strict=True), strict=True):
        times = [one / each[0] for one, each in zip(taken, rounds, strict=True)]
        found[str(side)] = {
            "us": round(median(taken), 1),
            "us_lowest": round(min(taken), 1),
            "times": round(median(times), 2),
        }
    return found


def _table(
    heading: str, unit: str, figure: str, sides: Mapping[str, Mapping[str, float]]
) -> str:
    lines = [
        [
            f"{int(side):,} {unit}",
            f"{one['us']:.0f}",
            f"{one['us_lowest']:.0f}",
            f"{one['times']:.2f}",
            f"{RATIO_MAX:g}",
        ]
        for side, one in sides.items()
    ]
    return table([heading, figure, "lowest", "times", "at most"], lines)


def _measured(*words: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.durable.scale", *words]
    done = subprocess.run(
        on_core(command, SERVER_CORE),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    if done.returncode:
        raise BenchmarkFailed(f"{' '.join(command)}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


async def step_us(folder: Path, count: int) -> float:
    """Return the processor time of one step of workflows with `count` steps."""
    limits = Limits(events_max=10 * count + 100)
    driver = await _opened(folder, lambda plan: Kernel(plan, limits=limits))
    short, long = _chain(STEPS[0]), _chain(count)
    for number in range(WARM_UP_STEPS // STEPS[0]):
        await through(driver, short, f"warm-up-{number}")
    runs = max(STEPS_EACH // count, 1)
    gc.collect()
    begun_at = process_time()
    for number in range(runs):
        await through(driver, long, f"x{number}")
    taken_us = (process_time() - begun_at) * 1e6
    await driver.close()
    return taken_us / runs / count


def _chain(count: int) -> Plan:
    text, catalog = as_json(chain(count)), compose.catalog()
    return compile_text(text, name="chain.json", catalog=catalog, limits=UNLIMITED).plan


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


async def _filled(folder: Path, count: int) -> float:
    await finished.fill(folder, count)
    return count


def main() -> None:
    """Be the process of one measurement."""
    verb, *words = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        own = Path(name)
        measures: dict[str, Callable[[], Any]] = {
            "steps": lambda: step_us(own, int(words[0])),
            "waiting": lambda: waiting_bytes(own, int(words[0])),
            "fill": lambda: _filled(Path(words[0]), int(words[1])),
            "beside": lambda: finished.executions_us([Path(word) for word in words]),
        }
        print(json.dumps(asyncio.run(measures[verb]())), flush=True)


if __name__ == "__main__":
    main()
