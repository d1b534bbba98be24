"""What templates see: the value of a settled step, and of the execution itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from plait.kernel.events import ExecutionStarted
from plait.kernel.state import Ambient, Frame
from plait.model.json import JsonObject, JsonValue
from plait.plan import Node, Plan


def first_names(plan: Plan, started: ExecutionStarted, ambient: Ambient) -> dict[str, Any]:
    """Return the names that are in scope before any step has settled."""
    return {
        "input": started.input,
        "env": started.env,
        "secrets": ambient.secrets,
        "trigger": started.trigger,
        "execution": _execution_view(plan, started) if "execution" in plan.roots else None,
    }


def _execution_view(plan: Plan, started: ExecutionStarted) -> dict[str, JsonValue]:
    return {
        "id": started.execution_id,
        "workflow": plan.name,
        "version": plan.version,
        "started_at": moment_text(started.at_ms),
        "attempt": started.attempt,
    }


def moment_text(at_ms: int) -> str:
    """Return a moment as RFC 3339 text.

    >>> moment_text(1_700_000_000_123)
    '2023-11-14T22:13:20.123Z'
    """
    whole = datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{at_ms % 1000:03d}Z"


def completed_view(
    node: Node, response: JsonValue, attempts: int, facts: JsonObject | None
) -> dict[str, JsonValue]:
    """Return the value of a completed step."""
    view: dict[str, JsonValue] = {
        "response": response,
        "status": "completed",
        "error": None,
        "attempts": attempts,
    }
    view.update(facts if facts is not None else dict.fromkeys(node.facts))
    return view


def absent_view(
    node: Node, status: str, attempts: int, error: JsonValue
) -> dict[str, JsonValue]:
    """Return the value of a step that was skipped, or failed and was continued."""
    view: dict[str, JsonValue] = {
        "response": None,
        "status": status,
        "error": error,
        "attempts": attempts,
    }
    view.update(dict.fromkeys(node.facts))
    return view


def default_output(frame: Frame) -> dict[str, JsonValue]:
    """Return the response of each step of `frame` that completed, by step id."""
    output: dict[str, JsonValue] = {}
    for node in frame.scope.nodes:
        view = frame.names.get(node.id)
        if view is not None and view["status"] == "completed":
            output[node.id] = view["response"]
    return output
