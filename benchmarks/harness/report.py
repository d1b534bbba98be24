"""Figures for people and programs: the machine, tables, JSON files."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.processes import ROOT, can_pin

RESULTS: Final = ROOT / "benchmarks" / "results"


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "pinned": can_pin(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine_line() -> str:
    """Return the machine in one line."""
    facts = machine()
    pinned = "one core each" if facts["pinned"] else "not pinned to cores"
    return (
        f"{facts['processor']}, {facts['cores']} cores ({pinned}), {facts['system']}, "
        f"Python {facts['python']}"
    )


def versions(*names: str) -> dict[str, str]:
    """Return the installed version of each distribution; those not installed left out."""
    found = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"].lower()
        if name in names:
            found[name] = distribution.version
    return {name: found[name] for name in names if name in found}


def said_by(*command: str) -> str:
    """Return the first line that a program says about itself, wherever it says it."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().partition("\n")[0]


def table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return an aligned table: the first column to the left, figures to the right.

    >>> print(table(["peer", "req/s"], [["a", "12"], ["long one", "3"]]))
    peer      req/s
    a            12
    long one      3
    """
    widths = [max(map(len, column)) for column in zip(headings, *lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (headings, *lines)
    )


def write_results(name: str, figures: dict[str, Any]) -> Path:
    """Write `figures` with moment and machine to `results/NAME.json`; return its path."""
    path = RESULTS / f"{name}.json"
    taken_at = datetime.now(UTC).isoformat(timespec="seconds")
    content = {"benchmark": name, "taken_at": taken_at, "machine": machine(), **figures}
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path
