"""The access log: a line for each request that was answered.

It says the route, not the path: paths hold what callers ask for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from plait.ports.observer import Answered, Watch, ids_in

logger = logging.getLogger("plait.access")


def write_access(told: Answered) -> None:
    """Write the line of one request."""
    fields: dict[str, Any] = {
        **ids_in(told.trace),
        "method": told.method,
        "route": told.route,
        "status": told.status,
        "duration_ms": round(told.took_s * 1000, 3),
        "request_id": told.request_id,
        "tenant": told.tenant,
    }
    if told.execution_id:
        fields["execution_id"] = told.execution_id
    logger.info("%s %s %d", told.method, told.route or "-", told.status, extra=fields)


def all_of(watches: Sequence[Watch]) -> Watch | None:
    """Return what tells all of `watches`; None: there are none."""
    if len(watches) < 2:
        return watches[0] if watches else None

    def tell(told: Answered) -> None:
        for watch in watches:
            watch(told)

    return tell
