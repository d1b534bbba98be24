"""Rows to values and back: the one place that knows the columns' order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from plait.ports.journal import NewExecution, Search, Standing, Summary

COLUMNS: Final = (
    "e.id, e.workflow, e.plan_hash, e.created_at_ms, e.input, e.key, e.tags, s.priority,"
    " e.parent, s.lane, s.lane_max, s.status, s.at_ms, s.wake_at_ms, s.error_code,"
    " s.length, s.head, s.epoch, s.owner, s.lane_state"
)
SELECT: Final = (
    f"SELECT {COLUMNS} FROM executions e JOIN standings s ON s.execution = e.number"
)


def summary_of(row: Sequence[Any]) -> Summary:
    """Return the summary in a row that begins with `COLUMNS`."""
    new: list[Any] = [*row[:6], tuple(orjson.loads(row[6])), *row[7:11]]
    return Summary(NewExecution(*new), Standing(*row[11:15]), *row[15:20])


def search_sql(search: Search) -> tuple[str, list[Any]]:
    """Return the statement for `search`, and its parameters."""
    wanted = {
        "e.id = ANY({})": list(search.execution_ids) or None,
        "e.workflow = {}": search.workflow,
        "s.status = ANY({})": list(search.statuses) or None,
        "s.error_code = {}": search.error_code,
        "s.lane = {}": search.lane,
        "e.created_at_ms >= {}": search.since_ms,
        "e.created_at_ms < {}": search.until_ms,
        "e.parent = {}": search.parent,
        "strpos(e.input, {}) > 0": search.text,
        "jsonb_exists(e.tags, {})": search.tag,
        "e.number < (SELECT number FROM executions WHERE id = {})": search.before,
    }
    given = {text: value for text, value in wanted.items() if value is not None}
    conditions = [text.format(f"${n}") for n, text in enumerate(given, start=1)]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    statement = f"{SELECT}{where} ORDER BY e.number DESC LIMIT ${len(given) + 1}"
    return statement, [*given.values(), search.limit]
