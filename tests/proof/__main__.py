"""The command line: `python -m tests.proof [ROW…]`; without a row, all of them.

Prints the scorecard, writes it as JSON, and fails when a row does.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.proof.rows import ROWS
from tests.proof.scorecard import Outcome, Row, Scale

BROKEN_SHOWN_MAX = 20


def main() -> int:
    """Run the rows asked for; return the exit code."""
    options = _options()
    asked = [row for row in ROWS if not options.row or row.number in options.row]
    results = [_run(row, options) for row in asked]
    print("\n== scorecard ==")
    for result in results:
        print(f"{result['row']:>3}  {result['result']:6}  {result['title']}")
    options.write.parent.mkdir(parents=True, exist_ok=True)
    content = {"share": options.share, "rows": results}
    options.write.write_text(json.dumps(content, indent=2) + "\n")
    print(f"\nwritten to {options.write}")
    return int(any(result["broken"] for result in results))


def _options() -> argparse.Namespace:
    numbers = ", ".join(f"{row.number} {row.title}" for row in ROWS)
    parser = argparse.ArgumentParser(prog="python -m tests.proof")
    parser.add_argument("row", nargs="*", type=int, help=numbers, default=[])
    parser.add_argument("--share", type=float, default=1.0, help="of the full form")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="for rows that repeat themselves"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", type=Path, default=Path("build/scorecard.json"))
    return parser.parse_args()


def _run(row: Row, options: argparse.Namespace) -> dict[str, Any]:
    print(f"\n== {row.number}: {row.title} ==", flush=True)
    begun_at = time.monotonic()
    until_s = begun_at + options.minutes * 60
    scale = Scale(options.share, options.workers, until_s)
    outcome = row.run(scale)
    outcome.figures["seconds"] = round(time.monotonic() - begun_at, 1)
    _show(outcome)
    result = "FAILED" if outcome.broken else "passed"
    return {
        "row": row.number,
        "title": row.title,
        "result": result,
        "figures": outcome.figures,
        "broken": outcome.broken,
    }


def _show(outcome: Outcome) -> None:
    width = max(map(len, outcome.figures))
    for name, figure in outcome.figures.items():
        text = f"{figure:,}" if isinstance(figure, int | float) else str(figure)
        print(f"  {name.ljust(width)}  {text}")
    for text in outcome.broken[:BROKEN_SHOWN_MAX]:
        print(f"  BROKEN: {text}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
