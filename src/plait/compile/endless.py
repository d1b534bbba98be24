"""Loops that nothing ends but a failure."""

from __future__ import annotations

from plait.compile.findings import Findings
from plait.compile.mode import with_inner
from plait.document.loops import LoopStep, always
from plait.document.tree import StepTree


def check_end(step: StepTree, findings: Findings) -> None:
    """Report a loop whose conditions never end it, and in which nothing else ends it.

    `max_iterations` would, but by a failure: nobody wants a loop that always fails.
    """
    model = step.model
    if not isinstance(model, LoopStep) or step.is_broken or not model.is_endless:
        return
    if model.break_ is not None and not always(model.break_, False):
        return
    scopes = step.scopes.values()
    inside = [one for scope in scopes for top in scope.steps for one in with_inner(top)]
    if not any(one.model.ends_scope for one in inside):
        text = f"the loop '{model.id}' cannot end: its condition never changes"
        hint = "let it read `previous` or a step inside, or give the loop a `break`"
        findings.error("P021", text, hint, step.path)
