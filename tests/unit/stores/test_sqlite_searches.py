"""How SQLite answers what is asked often: by an index that has the order already.

So a search, and every write, costs the same in a store of 100,000 executions that have
ended as in an empty one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from plait.ports.journal import Entry, NewExecution, Search, Standing
from plait.stores import pieces
from plait.stores.sqlite import SqliteStore, claims, lanes, searches
from plait.stores.sqlite.searches import count_sql, search_sql

T = TypeVar("T")


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
        (Search(key="k"), "executions_by_key (key=?"),
        (Search(key="k", workflow="shop"), "executions_by_key (key=? AND workflow=?"),
        (
            Search(key="k", workflow="shop", tenant="north"),
            "executions_by_key (key=? AND workflow=? AND tenant=?",
        ),
        (Search(tenant="north"), "executions_by_tenant (tenant=?"),
        (Search(tag="vip"), "t USING PRIMARY KEY (tag=?"),
        (Search(tag="vip", statuses=("failed",)), "t USING PRIMARY KEY (tag=?"),
        (Search(statuses=("running",)), "standings_by_status (status=?"),
        (Search(statuses=("failed",), before=7), "standings_by_status (status=?"),
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
    has_many_keys = search.key is not None and search.tenant is None
    assert is_sorted == (bool(search.execution_ids) or has_many_keys)
    assert not any(step.startswith("SCAN") for step in steps[1:])


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "rare"},
        {"text": "rare", "statuses": ("running",)},
        {"text": "rare", "tag": "all"},
        {"since_ms": 3, "tag": "rare"},
        {"workflow": "shop", "tag": "rare", "statuses": ("running", "failed")},
    ],
)
async def test_rows_are_looked_at_some_at_a_time(
    tmp_path: Path, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two pieces others read: the store is not theirs for longer than that."""
    monkeypatch.setattr(pieces, "PIECE_ROWS", 10)
    store = await SqliteStore.open(tmp_path / "plait.db")
    for number in range(100):
        is_rare = number in (5, 50, 95)
        tags = ("all", "rare") if is_rare else ("all",)
        text = '"rare"' if is_rare else '"x"'
        new = NewExecution(f"x{number}", "shop", "sha256:1", number, text, tags=tags)
        await store.create(new, [Entry(b"", b"")], Standing("running", 1, 0), "w")
    count = 0

    async def run(query: Callable[[sqlite3.Connection], T]) -> T:
        nonlocal count
        count += 1
        return await store._readers.run(query)

    found = await searches.find(run, Search(**fields))
    assert [one.new.execution_id for one in found] == ["x95", "x50", "x5"]
    assert count == 11
    assert await searches.find(run, Search(**fields, limit=1)) == found[:1]
    assert count == 13
    rest = await searches.find(run, Search(**fields, limit=5, before=found[1].number))
    assert rest == found[2:]
    await store.close()


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
        (claims.NEXT_WAKES, (), ["standings USING INDEX standings_open"]),
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


@pytest.mark.parametrize(
    ("search", "index"),
    [
        (Search(), "COVERING INDEX"),
        (Search(tenant="default"), "COVERING INDEX executions_by_tenant (tenant=?"),
        (Search(workflow="shop"), "COVERING INDEX executions_by_workflow (workflow=?"),
        (Search(statuses=("failed",)), "COVERING INDEX standings_by_status (status=?"),
        (Search(tag="vip"), "t USING PRIMARY KEY (tag=?"),
    ],
)
def test_a_count_reads_an_index_alone(
    explain: sqlite3.Connection, search: Search, index: str
) -> None:
    sql, values = count_sql(search, None, 10)
    steps = [row[3] for row in explain.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    tables = [step for step in steps if step.startswith(("SEARCH", "SCAN"))]
    (table,) = [step for step in tables if "subquery" not in step]
    assert index in table


@pytest.mark.parametrize("search", [Search(text="rare"), Search(since_ms=98)])
async def test_a_count_that_looks_at_rows_ends_before_it_has_seen_too_many(
    tmp_path: Path, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_ROWS", 10)
    store = await SqliteStore.open(tmp_path / "plait.db")
    for number in range(100):
        new = NewExecution(f"x{number}", "shop", "sha256:1", number, '"rare"')
        await store.create(new, [Entry(b"", b"")], Standing("running", 1, 0), "w")
    expected = len(await store.find(replace(search, limit=200)))
    assert await store.count(search) == expected
    monkeypatch.setattr(pieces, "ROWS_LOOKED_AT_MAX", 30)
    assert await store.count(search) is None
    await store.close()


async def test_the_default_tenant_is_found_as_fast_as_before_where_it_is_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_ROWS", 10)
    store = await SqliteStore.open(tmp_path / "plait.db")
    count = 0

    async def begin(number: int, **fields: Any) -> None:
        new = NewExecution(f"x{number}", "shop", "sha256:1", number, "{}", **fields)
        await store.create(new, [Entry(b"", b"")], Standing("running", 1, 0), "w")

    async def run(query: Callable[[sqlite3.Connection], T]) -> T:
        nonlocal count
        count += 1
        return await store._readers.run(query)

    for number in range(50):
        await begin(number, tags=("rare",) if number == 5 else ())
    rare = Search(tenant="default", tag="rare")
    (found,) = await searches.find(run, rare)
    assert (found.new.execution_id, count) == ("x5", 2)
    await begin(50, tenant="north", tags=("rare",))
    assert await searches.find(run, rare) == [found]
    assert count == 2 + 2 + 6
    await store.close()
