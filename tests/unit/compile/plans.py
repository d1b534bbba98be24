"""Plans out of documents written as Python values."""

from __future__ import annotations

from typing import Any

import orjson

from plait.compile import compile_text
from plait.connectors.http.step import HttpStep
from plait.document import Catalog
from plait.document.source import SourceLimits
from plait.plan import Plan

CATALOG = Catalog([HttpStep])


def plan_of(
    *steps: dict[str, Any], limits: SourceLimits | None = None, **document: Any
) -> Plan:
    """Return the plan of a document that has these steps."""
    whole = orjson.dumps({"name": "example", "steps": list(steps), **document})
    return compile_text(whole, name="example.json", catalog=CATALOG, limits=limits).plan


def call(step_id: str, *reads: str, **settings: Any) -> dict[str, Any]:
    """Return an `http` step that reads the responses of other steps."""
    params = {name: f"${{{name}.response.id}}" for name in reads}
    request = {"url": "http://service/path", "params": params}
    return {"id": step_id, "type": "http", "request": request, **settings}


def wait(step_id: str, duration: str, **settings: Any) -> dict[str, Any]:
    """Return a `wait` step."""
    return {"id": step_id, "type": "wait", "for": duration, **settings}


def parallel(
    step_id: str, *branches: list[dict[str, Any]], **settings: Any
) -> dict[str, Any]:
    """Return a `parallel` step; its branches are called b0, b1, …"""
    named = {f"b{index}": {"steps": steps} for index, steps in enumerate(branches)}
    return {"id": step_id, "type": "parallel", "branches": named, **settings}


def sequence(step_id: str, *steps: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Return a `sequence` step."""
    return {"id": step_id, "type": "sequence", "steps": list(steps), **settings}


def route(step_id: str, following: dict[str, list[str]], **settings: Any) -> dict[str, Any]:
    """Return a `route` whose handlers make a call each; the last transition is certain."""
    handlers = {
        name: {
            "steps": [call(f"{name}_work")],
            "next": [
                {"to": one, "when": f"${{{name}_work.response.to == '{one}'}}"}
                for one in to[:-1]
            ]
            + [{"to": one} for one in to[-1:]],
        }
        for name, to in following.items()
    }
    return {"id": step_id, "type": "route", "handlers": handlers, **settings}
