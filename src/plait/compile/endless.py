"""Loops that nothing ends but a failure."""

from __future__ import annotations

from plait.compile.constants import constant_of, is_surely, may_end_scope
from plait.compile.drafts import Draft
from plait.compile.findings import Findings
from plait.document.loops import LoopStep


def check_end(node: Draft, findings: Findings) -> None:
    """Report a loop whose conditions never end it, and in which nothing else ends it.

    `max_iterations` would, or `max_pages`, but by a failure: nobody wants a loop that
    always fails.
    """
    model, own = node.tree.model, node.templates.own
    if node.tree.is_broken or not _goes_on(node):
        return
    if "break" in own and not is_surely(own["break"], False):
        return
    inner = [one for scope in node.scopes.values() for one in scope.nodes]
    if any(map(may_end_scope, inner)):
        return
    if isinstance(model, LoopStep):
        text = f"the loop '{model.id}' cannot end: its condition never changes"
        hint = "let it read `previous` or a step inside, or give the loop a `break`"
        findings.error("P021", text, hint, node.tree.path)
    else:
        text = f"the pages of '{model.id}' cannot end: `next` never changes"
        hint = "let it read what a page says of the next one, or give the step a `break`"
        findings.error("P021", text, hint, (*node.tree.path, "pages", "next"))


def _goes_on(node: Draft) -> bool:
    """Tell whether what says that a loop goes on never says anything else."""
    model, own = node.tree.model, node.templates.own
    if isinstance(model, LoopStep):
        name, ends_at = model.ended_by
        return is_surely(own.get(name), not ends_at)
    cursor = constant_of(own.get("pages.next"))
    return cursor is not None and cursor.value not in (None, False, "")
