"""Load: wrk against one URL, its figures taken from its own counters."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.harness.processes import (
    LOAD_CORE,
    BenchmarkFailed,
    core_busy_s,
    on_core,
    session_cpu_s,
)

CONNECTIONS: Final = 32
REPORT: Final = Path(__file__).with_name("wrk_report.lua")


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run of wrk saw.

    Attributes:
        per_s: Replies per second.
        p50_ms, p99_ms: Latency, milliseconds.
        errors: Replies that were not 2xx or 3xx, and connections that failed.
        cpu_us: The server's processor time per reply, microseconds. Unlike the rest, it
            hardly changes when others use the machine, too. None where untold.
        load_core_share: How busy the core of wrk and the upstream was, 0–1. Near 1 it
            is they who are measured, not the server. None where untold.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_us: float | None
    load_core_share: float | None


def missing_tool() -> str | None:
    """Return what must be installed before load can be made; None if nothing."""
    return None if shutil.which("wrk") else "wrk"


@dataclass(frozen=True, slots=True)
class Target:
    """What is measured: a URL, and the process that answers there."""

    url: str
    pid: int


def measure(target: Target, duration_s: int) -> Sample:
    """Load `target` with CONNECTIONS keep-alive connections for `duration_s`."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{duration_s}s", "-s", str(REPORT)]
    command.append(target.url)
    busy_before, cpu_before = core_busy_s(LOAD_CORE), session_cpu_s(target.pid)
    done = subprocess.run(
        on_core(command, LOAD_CORE), capture_output=True, text=True, check=False
    )
    busy_s = _since(busy_before, core_busy_s(LOAD_CORE))
    cpu_s = _since(cpu_before, session_cpu_s(target.pid))
    if done.returncode:
        raise BenchmarkFailed(f"wrk failed: {done.stderr or done.stdout}")
    figures = json.loads(done.stdout.splitlines()[-1])
    return Sample(
        per_s=figures["requests"] / figures["duration_s"],
        p50_ms=figures["p50_ms"],
        p99_ms=figures["p99_ms"],
        errors=figures["errors"],
        cpu_us=None if cpu_s is None else cpu_s * 1e6 / max(figures["requests"], 1),
        load_core_share=None if busy_s is None else busy_s / figures["duration_s"],
    )


def _since(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
