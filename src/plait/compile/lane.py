"""`concurrency` and `priority` of a document: which executions wait for each other."""

from __future__ import annotations

from plait.compile.findings import Findings
from plait.compile.names import NameChecker, View
from plait.compile.templates import parse
from plait.document import Document
from plait.document.tree import Path
from plait.expression import Template
from plait.model.json import JsonValue
from plait.model.record import record
from plait.plan import Lane


@record
class Place:
    """What a plan says of an execution's lane and priority."""

    lane: Lane | None
    priority: int
    priority_from: Template | None


def compile_place(document: Document, findings: Findings, names: NameChecker) -> Place:
    """Return what says where an execution stands among others.

    Its templates see what is known before the first step: `input`, `execution`, `trigger`.
    """
    model = document.model
    lane = None
    if model.concurrency is not None:
        has_key = model.concurrency.key is not None
        path = ("concurrency", "key")
        key = _template(model.concurrency.key, path, findings, names) if has_key else None
        lane = Lane(model.concurrency.max, key)
        if model.mode == "express":
            _warn(document, findings)
    if isinstance(model.priority, int):
        return Place(lane, model.priority, None)
    return Place(lane, 0, _template(model.priority, ("priority",), findings, names))


def _template(
    value: JsonValue, path: Path, findings: Findings, names: NameChecker
) -> Template | None:
    parsed = parse(value, path, findings)
    names.step_reads(parsed.expressions, View({}))
    return parsed.template


def _warn(document: Document, findings: Findings) -> None:
    endpoint = document.model.endpoint
    is_promoted = endpoint is not None and endpoint.wait is not None
    text = "an express execution waits for no other: `concurrency` does not bind it"
    hint = "set `mode: durable`"
    if is_promoted:
        hint += "; one that is promoted after `wait` is not counted either"
    findings.warning("P020", text, hint, ("concurrency",))
