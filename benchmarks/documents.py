"""Workflow documents for measuring: long chains, wide fan-outs, many small ones."""

from __future__ import annotations

import json
from typing import Any, Final

from plait.document.limits import SourceLimits

# The defaults keep out documents of this length; here it is the length that is measured.
UNLIMITED: Final = SourceLimits(bytes_max=1 << 30, nodes_max=1 << 30)
CONDITION: Final = "${input.count > 2 && input.name != ''}"


def call_step(number: int, reads: str, condition: str | None = None) -> dict[str, Any]:
    """Return an `http` step whose request reads `reads`, a plain path."""
    step: dict[str, Any] = {
        "id": f"s{number}",
        "type": "http",
        "request": {"url": "http://upstream/items", "params": {"id": f"${{{reads}}}"}},
    }
    return step if condition is None else {**step, "condition": condition}


def chain(count: int, condition: str | None = None) -> dict[str, Any]:
    """Return a workflow whose every step reads the one before."""
    reads = ["input.id", *(f"s{number}.response.id" for number in range(count - 1))]
    steps = [call_step(number, read, condition) for number, read in enumerate(reads)]
    output = f"${{s{count - 1}.response.id}}"
    return {"name": "chain", "mode": "express", "steps": steps, "output": output}


def fan_out(count: int, condition: str | None = None) -> dict[str, Any]:
    """Return a workflow whose steps all start together."""
    steps = [call_step(number, "input.id", condition) for number in range(count)]
    return {"name": "fan-out", "mode": "express", "steps": steps, "output": "${input.id}"}


def composite(number: int) -> dict[str, Any]:
    """Return a small composite API of its own name and path, as a gateway has many."""
    return {
        "name": f"profile-{number}",
        "mode": "express",
        "endpoint": {"method": "GET", "path": f"/v{number}/profiles/{{user_id}}"},
        "input": {
            "type": "object",
            "required": ["user_id"],
            "properties": {"user_id": {"type": "string", "pattern": "^[0-9]{1,12}$"}},
        },
        "defaults": {"timeout": "800ms", "retry": {"max_attempts": 2, "delay": "50ms"}},
        "steps": [
            {
                "id": "user",
                "type": "http",
                "request": {"url": f"http://users/v{number}/users/${{input.user_id}}"},
            },
            {
                "id": "orders",
                "type": "http",
                "request": {
                    "url": f"http://orders/v{number}/orders",
                    "params": {"user_id": "${input.user_id}"},
                },
            },
            {
                "id": "offers",
                "type": "http",
                "condition": "${user.response.vip}",
                "request": {"url": f"http://offers/v{number}/${{user.response.id}}"},
                "on_error": "continue",
            },
        ],
        "output": {
            "user": "${user.response}",
            "orders": "${orders.response.orders}",
            "offers": "${offers.response}",
        },
    }


def as_json(document: dict[str, Any]) -> bytes:
    """Return `document` as JSON text."""
    return json.dumps(document).encode()


def as_yaml(document: dict[str, Any]) -> bytes:
    """Return `document` as people write YAML: a step per line, the rest in blocks."""
    lines = [
        f"{key}: {json.dumps(value)}" for key, value in document.items() if key != "steps"
    ]
    lines.append("steps:")
    lines += [f"  - {_flow(step)}" for step in document["steps"]]
    return ("\n".join(lines) + "\n").encode()


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(part)}" for key, part in value.items()) + "}"
    is_plain = isinstance(value, str) and not set(value) & set("${}[],'\" ")
    return str(value) if is_plain else json.dumps(value)
