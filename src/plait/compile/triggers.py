"""`triggers` of a document: what starts executions beside the endpoint."""

from __future__ import annotations

from plait.compile.findings import Findings
from plait.document import Document
from plait.plan import Webhook


def compile_webhooks(document: Document, findings: Findings) -> tuple[Webhook, ...]:
    """Return the webhooks of `document`."""
    made: list[Webhook] = []
    for index, one in enumerate(document.model.triggers):
        path = ("triggers", index)
        if document.model.mode == "express":
            text = "a webhook starts durable executions, and this workflow is express"
            findings.error("P035", text, "set `mode: durable`", path)
        if any(one.path == other.path for other in made):
            text = f"the webhook '{one.path}' stands here twice"
            findings.error("P035", text, "give each a path of its own", (*path, "path"))
        made.append(Webhook(one.path, one.secret))
    return tuple(made)
