"""The kernel alone: what one step costs when every call is answered at once.

The time of a whole execution, from its start to its end, divided by its steps: condition,
request, events, commands and all. A driver of a few lines answers every call. Processor
time, so that what else runs on the machine does not count.
"""

from __future__ import annotations

import argparse
from collections import deque
from statistics import median
from time import process_time
from typing import Any, Final

from benchmarks.documents import CONDITION, UNLIMITED, as_json, chain, fan_out
from benchmarks.harness.processes import BenchmarkFailed
from benchmarks.harness.report import machine_line, table, write_results
from plait.assembly import compose
from plait.compile import compile_text
from plait.kernel import BEHAVIOUR, Kernel, StartCall, Turn
from plait.kernel.events import CallCompleted, ExecutionCompleted, ExecutionStarted
from plait.model.json import JsonValue
from plait.plan import Plan

CHAIN_STEPS: Final = 5_000
FAN_OUT_STEPS: Final = 900  # below the limit of 1,000 pending steps
RUNS: Final = 9
PLAIN_US_MAX: Final = 15
CEL_US_MAX: Final = 30

INPUT: Final[JsonValue] = {"id": "1001", "count": 3, "name": "Maren"}
ANSWER: Final[JsonValue] = {"id": "1001", "name": "Maren Holt", "vip": True}

CASES: Final[dict[str, tuple[dict[str, Any], int, int]]] = {
    "chain, plain paths": (chain(CHAIN_STEPS), CHAIN_STEPS, PLAIN_US_MAX),
    "chain, CEL condition": (chain(CHAIN_STEPS, CONDITION), CHAIN_STEPS, CEL_US_MAX),
    "fan-out, plain paths": (fan_out(FAN_OUT_STEPS), FAN_OUT_STEPS, PLAIN_US_MAX),
    "fan-out, CEL condition": (
        fan_out(FAN_OUT_STEPS, CONDITION),
        FAN_OUT_STEPS,
        CEL_US_MAX,
    ),
}


def run(options: argparse.Namespace) -> None:
    """Measure all cases; print and write microseconds per step."""
    del options
    figures = {name: _measure(*case) for name, case in CASES.items()}
    print(f"{machine_line()}\n")
    lines = [
        [name, f"{one['us_per_step']:.1f}", f"{one['lowest']:.1f}", str(one["at_most"])]
        for name, one in figures.items()
    ]
    print(table(["one step", "µs", "lowest", "to reach"], lines))
    print(f"\nwritten to {write_results('kernel', {'cases': figures})}")


def _measure(document: dict[str, Any], steps: int, us_max: int) -> dict[str, float]:
    text = as_json(document)
    plan = compile_text(
        text, name="x.json", catalog=compose.catalog(), limits=UNLIMITED
    ).plan
    taken_us = [execution_s(plan) * 1e6 / steps for _ in range(RUNS)]
    return {
        "steps": steps,
        "us_per_step": round(median(taken_us), 2),
        "lowest": round(min(taken_us), 2),
        "at_most": us_max,
    }


def execution_s(plan: Plan) -> float:
    """Run one execution of `plan` to its end; return its processor time, seconds."""
    kernel = Kernel(plan)
    begun_at = process_time()
    started = ExecutionStarted("bench", plan.content_hash, INPUT, {}, 0, BEHAVIOUR)
    execution, turn = kernel.start(started)
    calls: deque[StartCall] = deque()
    _collect(turn, calls)
    while execution.end is None:
        call = calls.popleft()
        answered = CallCompleted(call.step, call.attempt, ANSWER, {"status_code": 200}, 0)
        _collect(kernel.decide(execution, answered), calls)
    taken_s = process_time() - begun_at
    if not isinstance(execution.end, ExecutionCompleted):
        raise BenchmarkFailed(f"the execution did not complete: {execution.end}")
    return taken_s


def _collect(turn: Turn, calls: deque[StartCall]) -> None:
    for command in turn.commands:
        if isinstance(command, StartCall):
            calls.append(command)
