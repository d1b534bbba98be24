"""The compiler: from the text of a document with 10,000 steps to its plan.

Processor time, so that what else runs on the machine does not count.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any, Final

from benchmarks.documents import CONDITION, UNLIMITED, as_json, as_yaml, chain
from benchmarks.harness.report import machine_line, table, write_results
from plait.assembly import compose
from plait.compile import compile_text

STEPS: Final = 10_000
RUNS: Final = 3
SECONDS_MAX: Final = 2.0

TEXTS: Final[dict[str, tuple[Callable[[dict[str, Any]], bytes], str | None]]] = {
    "JSON": (as_json, None),
    "YAML": (as_yaml, None),
    "JSON, a CEL condition each": (as_json, CONDITION),
    "YAML, a CEL condition each": (as_yaml, CONDITION),
}


def run(options: argparse.Namespace) -> None:
    """Compile each text RUNS times; print and write the seconds."""
    del options
    figures: dict[str, dict[str, float]] = {}
    for name, (write, condition) in TEXTS.items():
        text = write(chain(STEPS, condition))
        ending = name[:4].lower()
        taken_s = [_compile(text, f"long.{ending}") for _ in range(RUNS)]
        figures[name] = {
            "bytes": len(text),
            "seconds": round(median(taken_s), 3),
            "at_most": SECONDS_MAX,
        }
    print(f"{machine_line()}\n")
    lines = [
        [name, f"{one['bytes'] / 1024:,.0f}", f"{one['seconds']:.2f}", f"{SECONDS_MAX:g}"]
        for name, one in figures.items()
    ]
    print(table([f"{STEPS:,} steps", "KB", "s", "to reach"], lines))
    print(f"\nwritten to {write_results('compile', {'texts': figures})}")


def _compile(text: bytes, name: str) -> float:
    begun_at = process_time()
    compile_text(text, name=name, catalog=compose.catalog(), limits=UNLIMITED)
    return process_time() - begun_at
