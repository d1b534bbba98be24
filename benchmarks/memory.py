"""Memory: what a deployed workflow costs a gateway while nobody requests it.

Two gateways, `plait serve` as it is: one serves a few distinct workflows, one serves
those and 1,000 more. The difference of their resident memory, divided by 1,000.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.documents import as_json, composite
from benchmarks.harness.processes import SERVER_CORE, free_ports, serving
from benchmarks.harness.report import machine_line, table, write_results

FEW: Final = 20
MORE: Final = 1_000
BYTES_MAX: Final = 100 * 1024


def run(options: argparse.Namespace) -> None:
    """Measure both gateways; print and write bytes per workflow."""
    del options
    few, many = _serve(FEW), _serve(FEW + MORE)
    bytes_each = (many - few) / MORE
    print(f"{machine_line()}\n")
    lines = [
        [f"{FEW} workflows", f"{few / 1024:,.0f}", ""],
        [f"{FEW + MORE:,} workflows", f"{many / 1024:,.0f}", ""],
        ["one idle workflow", f"{bytes_each / 1024:.1f}", f"{BYTES_MAX / 1024:.0f}"],
    ]
    print(table(["resident memory", "KB", "to reach"], lines))
    figures = {
        "rss_bytes": {str(FEW): few, str(FEW + MORE): many},
        "bytes_per_workflow": round(bytes_each),
        "at_most": BYTES_MAX,
    }
    print(f"\nwritten to {write_results('memory', figures)}")


def _serve(count: int) -> int:
    """Return the resident bytes of a gateway that serves `count` distinct workflows."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for number in range(count):
            Path(folder, f"{number}.json").write_bytes(as_json(composite(number)))
        command = [sys.executable, "-m", "plait.cli", "serve", folder]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        for name in ("users", "orders", "offers"):
            command += ["--resolve", f"{name}=127.0.0.1:1"]
        title = f"gateway with {count} workflows"
        with serving(title, command, port=port, core=SERVER_CORE) as pid:
            return resident_bytes(pid)


def resident_bytes(pid: int) -> int:
    """Return how much memory the process holds."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        lines = status.read_text().splitlines()
        (line,) = [line for line in lines if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024
    command = ["ps", "-o", "rss=", "-p", str(pid)]
    return int(subprocess.run(command, capture_output=True, check=True).stdout) * 1024
