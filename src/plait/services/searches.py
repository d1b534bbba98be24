"""Searches for executions as messages, and back."""

from __future__ import annotations

from typing import Final

from plait.ports.journal import Search
from plait.services.v1.runtime_pb2 import FindExecutionsRequest

# Whose they are, the caller says: a search cannot ask for another tenant's.
# Fields that may be missing, under the same names on either side.
_OPTIONAL: Final = (
    *("workflow", "error_code", "tag", "text", "since_ms", "until_ms", "parent"),
    *("key", "lane", "before"),
)


def search_message(search: Search, page: int | None) -> FindExecutionsRequest:
    """Return a search as a message."""
    return FindExecutionsRequest(
        execution_ids=search.execution_ids,
        statuses=search.statuses,
        limit=search.limit,
        page=page,
        **{name: getattr(search, name) for name in _OPTIONAL},
    )


def search_of(request: FindExecutionsRequest) -> tuple[Search, int | None]:
    """Return the search that a message holds, and its page.

    >>> wanted = Search(workflow="orders", statuses=("failed",), before=7, limit=10)
    >>> search_of(search_message(wanted, None)) == (wanted, None)
    True
    """
    given = {name: getattr(request, name) for name in _OPTIONAL if request.HasField(name)}
    search = Search(
        execution_ids=tuple(request.execution_ids),
        statuses=tuple(request.statuses),
        limit=request.limit,
        **given,
    )
    return search, request.page if request.HasField("page") else None
