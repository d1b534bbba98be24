"""The one reply that both servers give, so that only the way to it differs."""

from __future__ import annotations

from typing import Any, Final

AT: Final = "2026-01-02T03:04:05.000Z"
ROW: Final[dict[str, Any]] = {
    "id": "18beeb1ac031a309dfc144bd16835cae",
    "workflow": "order",
    "status": "completed",
    "created_at": AT,
    "updated_at": AT,
    "wake_at": None,
    "error_code": None,
    "plan": "b6a1",
    "key": None,
    "tags": ["eu", "web"],
    "priority": 0,
    "lane": None,
    "queued": False,
    "parent": None,
    "worker": None,
    "entries": 7,
}
PATH: Final = "/api/v1/executions"
PAGE: Final[dict[str, Any]] = {
    "executions": [ROW] * 5,
    "total_count": 5,
    "page": 1,
    "page_size": 5,
    "before": None,
}
