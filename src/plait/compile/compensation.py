"""What a step that undoes another one may not do."""

from __future__ import annotations

from plait.compile.findings import Findings
from plait.compile.mode import with_inner
from plait.document.tree import StepTree


def check_compensation(undoing: StepTree, findings: Findings) -> None:
    """Report what cannot stand in a compensation: a `return`, another `compensate`.

    A `return` would end the execution with what was to be undone half undone; and what
    undoes is not undone itself.
    """
    for step in with_inner(undoing):
        if step.model.machine == "return":
            text = "a compensation cannot end the workflow"
            findings.error("P019", text, "let it complete, or `fail`", step.path)
        elif "compensate" in step.raw:
            text = f"step '{step.model.id}' undoes another one: it is not undone itself"
            path = (*step.path, "compensate")
            findings.error("P019", text, "leave its `compensate` out", path)
