"""How SQLite answers what is asked often: by an index that has the order already.

So a search, and every write, costs the same in a store of 100,000 executions that have
ended as in an empty one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from plait.ports.journal import Search
from plait.stores.sqlite import SqliteStore, claims, lanes
from plait.stores.sqlite.rows import search_sql


@pytest.fixture
async def connection(tmp_path: Path) -> sqlite3.Connection:
    path = tmp_path / "plait.db"
    await (await SqliteStore.open(path)).close()
    return sqlite3.connect(path)


@pytest.fixture
def explain(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    with closing(connection):
        yield connection


@pytest.mark.parametrize(
    ("search", "index"),
    [
        (Search(), "SCAN e"),
        (Search(execution_ids=("x1", "x2")), "sqlite_autoindex_executions_1 (id=?"),
        (Search(workflow="shop"), "executions_by_workflow (workflow=?"),
        (Search(parent="x1"), "executions_by_parent (parent=?"),
        (Search(statuses=("running",)), "standings_by_status (status=?"),
        (Search(statuses=("failed",), before="x1"), "standings_by_status (status=?"),
        (Search(lane="shop"), "SCAN s"),
        (Search(error_code="connector.timeout"), "standings_by_error (error_code=?"),
        (
            Search(error_code="connector.timeout", statuses=("failed",)),
            "standings_by_error (error_code=?",
        ),
        (
            Search(execution_ids=("x1",), statuses=("completed", "failed")),
            "sqlite_autoindex_executions_1 (id=?",
        ),
    ],
)
def test_a_search_reads_the_latest_of_just_what_it_asks_for(
    explain: sqlite3.Connection, search: Search, index: str
) -> None:
    sql, values = search_sql(search)
    steps = [row[3] for row in explain.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    assert index in steps[0]
    is_sorted = any("TEMP B-TREE" in step for step in steps)
    assert is_sorted == bool(search.execution_ids)
    assert not any(step.startswith("SCAN") for step in steps[1:])


@pytest.mark.parametrize(
    ("sql", "values", "steps"),
    [
        (
            claims.NEXT_WORKFLOW,
            (0, "shop"),
            ["standings_free (priority=? AND workflow>?)"],
        ),
        (claims.NEXT_PRIORITY, (0,), ["standings_free (priority>?)"]),
        (
            claims.DUE,
            (0, "shop", 1),
            ["(priority=? AND workflow=? AND wake_at_ms>? AND wake_at_ms<?)"],
        ),
        (claims.NEXT_WAKE, (), ["standings USING INDEX standings_open"]),
        (claims.TOLD, (1,), ["messages_waiting", "s USING INTEGER PRIMARY KEY (rowid=?)"]),
        (lanes.IS_FULL, ("shop", 0), ["standings_by_lane (lane=? AND lane_state<?)"]),
        (lanes.NEXT, ("shop",), ["standings_by_lane (lane=? AND lane_state=?)"]),
    ],
    ids=["workflow", "priority", "due", "wake", "told", "full", "next"],
)
def test_a_claim_looks_only_at_what_is_due_or_has_a_message(
    explain: sqlite3.Connection, sql: str, values: tuple[object, ...], steps: list[str]
) -> None:
    """Others wait, 100,000 of them perhaps, and cost nothing."""
    rows = [row[3] for row in explain.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    found = [row for row in rows if "B-TREE" not in row]
    assert len(found) == len(steps), found
    assert all(step in row for step, row in zip(steps, found, strict=True)), found
    is_sorted = sql == claims.TOLD
    assert is_sorted == any("B-TREE" in row for row in rows), rows


def test_a_claim_costs_the_same_however_many_wait(explain: sqlite3.Connection) -> None:
    costs = []
    for first in (0, 5_000):
        explain.executemany(
            "INSERT INTO standings (execution, status, at_ms, wake_at_ms, length, head,"
            " epoch, priority, workflow) VALUES (?, 'running', 0, ?, 1, x'', 1, 0, ?)",
            [(first + n, 10**12, "waits") for n in range(5_000 if first else 3)],
        )
        explain.execute(
            "UPDATE standings SET wake_at_ms = 0, workflow = 'due' WHERE execution = ?",
            (first,),
        )
        steps: list[None] = []
        explain.set_progress_handler(partial(steps.append, None), 10)
        found = claims.due(explain, 1, 1, "")
        explain.set_progress_handler(None, 0)
        assert [workflow for workflow, _ in found] == ["due"]
        costs.append(len(steps))
    assert costs[1] < 2 * costs[0]
