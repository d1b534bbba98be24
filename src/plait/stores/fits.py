"""Searches, for stores that look at rows one by one."""

from __future__ import annotations

from plait.ports.journal import Search, Summary


def fits(summary: Summary, search: Search) -> bool:
    """Say whether an execution is one that `search` asks for."""
    new, standing = summary.new, summary.standing
    return all(
        (
            not search.execution_ids or new.execution_id in search.execution_ids,
            search.workflow in (None, new.workflow),
            not search.statuses or standing.status in search.statuses,
            search.error_code in (None, standing.error_code),
            search.tag is None or search.tag in new.tags,
            search.text is None or search.text in new.input,
            search.since_ms is None or new.created_at_ms >= search.since_ms,
            search.until_ms is None or new.created_at_ms < search.until_ms,
            search.parent in (None, new.parent),
            search.key in (None, new.key),
            search.lane in (None, new.lane),
            search.tenant in (None, new.tenant),
        )
    )
