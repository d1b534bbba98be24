"""Fan-out: 10,000 items that do nothing, through the express driver as the gateway runs it.

Once with a step that is computed, which has a time to reach; and once with one that calls a
coroutine function (`python`), to see what a task for each costs. Processor time, so that
what else runs on the machine does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from statistics import median
from time import process_time
from typing import Any, Final

from benchmarks.harness.processes import BenchmarkFailed
from benchmarks.harness.report import machine_line, table, write_results
from plait.assembly import compose
from plait.compile import compile_text
from plait.connectors.python import Functions, PythonCalls
from plait.drivers.inline import InlineDriver, Start
from plait.kernel import Kernel
from plait.model.json import JsonValue

ITEMS: Final = 10_000
RUNS: Final = 5
S_MAX: Final = 0.5
COMPUTED: Final = "computed (set)"
STEPS: Final[dict[str, dict[str, Any]]] = {
    COMPUTED: {"type": "set", "value": "${item}"},
    "called (python)": {
        "type": "python",
        "request": {"function": "bench.nothing", "arguments": {"item": "${item}"}},
    },
}


async def nothing(item: int) -> int:
    """Return `item`."""
    return item


def run(options: argparse.Namespace) -> None:
    """Measure both; print and write the seconds of a whole fan-out."""
    del options
    figures = {name: median(measured(step, ITEMS)) for name, step in STEPS.items()}
    print(f"{machine_line()}\n")
    reach = dict.fromkeys(STEPS, "") | {COMPUTED: f"{S_MAX}"}
    lines = [[name, f"{taken_s:.3f}", reach[name]] for name, taken_s in figures.items()]
    print(table([f"{ITEMS:,} items", "s", "to reach"], lines))
    results = {"items": ITEMS, "seconds": figures, "at_most": S_MAX}
    print(f"\nwritten to {write_results('fan-out', results)}")


def measured(step: dict[str, Any], count: int) -> list[float]:
    """Return the processor seconds of each of RUNS fan-outs over `count` items."""
    fan = {"id": "fan", "type": "foreach", "items": "${input}", "max_concurrency": 100}
    fan |= {"steps": [{"id": "n", **step}], "result": "${n.response}"}
    document = {"name": "fan-out", "mode": "express", "steps": [fan]}
    document["output"] = "${fan.response.success_count}"
    text = json.dumps(document).encode()
    plan = compile_text(text, name="x.json", catalog=compose.catalog()).plan
    return asyncio.run(_runs(Kernel(plan), list(range(count))))


async def _runs(kernel: Kernel, items: list[JsonValue]) -> list[float]:
    calls = PythonCalls(Functions({"bench.nothing": nothing}))
    driver, taken_s = InlineDriver(calls), list[float]()
    for number in range(RUNS):
        begun_at = process_time()
        result = await driver.run(kernel, Start(f"bench-{number}", items))
        taken_s.append(process_time() - begun_at)
        if result.output != len(items):
            raise BenchmarkFailed(f"the fan-out did not complete: {result.failure}")
    await calls.close()
    return taken_s
