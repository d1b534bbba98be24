"""The raw limit: a loop that commits the bytes of so many workflows, and does nothing else.

As many rows of the same length in one transaction as Plait's commits held in the sample
before, with the same guarantees: WAL and `synchronous=FULL`. A row stands for an entry and
its share of whatever else is kept of a workflow. There is one table, to which rows are only
added, without an index, and nobody reads: less cannot be done.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any


def run(folder: Path, seconds: float, written: dict[str, float]) -> dict[str, Any]:
    """Return how many workflows' worth of entries a second the disk takes."""
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE entries (number INTEGER PRIMARY KEY, body BLOB)")
    group = max(round(written["entries_per_commit"]), 1)
    rows = [(os.urandom(round(written["bytes_per_entry"])),) for _ in range(group)]
    commits, begun_at = 0, time.perf_counter()
    while (taken_s := time.perf_counter() - begun_at) < seconds:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO entries (body) VALUES (?)", rows)
        connection.execute("COMMIT")
        commits += 1
    per_s = commits * group / written["entries_per_workflow"] / taken_s
    p50_ms = 1000 * taken_s / commits * written["entries_per_workflow"] / group
    return {"per_s": per_s, "p50_ms": p50_ms if group == 1 else None}


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), float(sys.argv[2]), json.loads(sys.argv[3]))))
