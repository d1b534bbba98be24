"""What `endpoint.status` and `endpoint.headers` read: all steps, as the execution left
them, and `error`.

A step that never settled reads as skipped; the one that failed the execution as failed.
"""

from __future__ import annotations

from typing import Any

from plait.drivers.inline import Result
from plait.kernel.paths import outermost_id
from plait.kernel.views import absent_view
from plait.model.failure import Failure


def final_names(result: Result, failure: Failure | None) -> dict[str, Any]:
    """Return the names at the end of an execution.

    Args:
        failure: What the caller will be told; None when there is nothing wrong.
    """
    state = result.state
    error = failure.as_json() if failure is not None else None
    names: dict[str, Any] = dict(state.root.names) if state.root is not None else {}
    for node in state.plan.scope.nodes:
        if node.id in names:
            continue
        if failure is not None and outermost_id(failure.step) == node.id:
            names[node.id] = absent_view(node, "failed", failure.attempts, error)
        else:
            names[node.id] = absent_view(node, "skipped", 0, None)
    names["error"] = error
    return names
