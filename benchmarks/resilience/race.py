"""Measure all sides, round by round; report the lowest figure of each case and side.

The lowest, not the median: these are microseconds of one process that waits for nothing,
and all that differs from run to run is what the machine does besides.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from collections import defaultdict
from typing import Final

from benchmarks.harness.processes import ROOT, SERVER_CORE, BenchmarkFailed, on_core
from benchmarks.harness.report import machine_line, table, versions, write_results
from benchmarks.resilience.sampling import (
    BREAKER,
    COLLAPSED,
    HIT,
    MISS,
    NOTHING,
    REFUSED,
    RETRY,
    STACK,
    THIRD,
)

PLAIT: Final = "plait"
PEERS: Final = ("purgatory", "aiobreaker", "tenacity", "stamina")
CASES: Final = (NOTHING, BREAKER, REFUSED, RETRY, THIRD, HIT, MISS, COLLAPSED, STACK)
STACK_US_MAX: Final = 10
SAMPLE_S_MAX: Final = 120

Figures = dict[str, dict[str, float]]


def run(options: argparse.Namespace) -> None:
    """Measure what is installed; print and write microseconds per call."""
    sides = [PLAIT, *(peer for peer in PEERS if importlib.util.find_spec(peer))]
    best: Figures = defaultdict(dict)
    for _ in range(options.rounds):
        for side in sides:
            for case, us in _sample(side).items():
                best[case][side] = min(us, best[case].get(side, us))
    print(f"{machine_line()}\nlowest of {options.rounds}, µs per call\n")
    print(table(["call", *sides], [_line(case, best[case], sides) for case in CASES]))
    for peer in sorted(set(PEERS) - set(sides)):
        print(f"{peer} is not installed: `make .venv/benchmarks`")
    print(f"\nstack: {best[STACK][PLAIT]:.1f} µs, to reach: {STACK_US_MAX}")
    found = {"us_per_call": best, "versions": versions(*sides)}
    print(f"written to {write_results('resilience', found)}")


def _sample(side: str) -> dict[str, float]:
    command = [sys.executable, "-m", f"benchmarks.resilience.{side}_side"]
    done = subprocess.run(
        on_core(command, SERVER_CORE),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SAMPLE_S_MAX,
        check=False,
    )
    if done.returncode:
        raise BenchmarkFailed(f"{side} failed:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _line(case: str, figures: dict[str, float], sides: list[str]) -> list[str]:
    return [case, *(f"{figures[side]:.2f}" if side in figures else "" for side in sides)]
