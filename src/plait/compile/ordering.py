"""The order of a scope's steps: circles, what is read too early, what never runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from plait.compile.constants import always_runs
from plait.compile.drafts import Draft, ScopeDraft
from plait.compile.findings import Findings
from plait.compile.jumps import never_reached
from plait.compile.order import Edges, behind, find_circles
from plait.document.tree import StepTree

# Past this the middle is left out: nobody reads a circle of 4,000 steps.
_CIRCLE_SHOWN_MAX: Final = 20


def check_order(draft: ScopeDraft, findings: Findings) -> None:
    """Report what is wrong with the order of a scope."""
    steps, edges = draft.tree.steps, draft.edges
    ends = [index for index, node in enumerate(draft.nodes) if _always_ends(node)]
    if draft.tree.order == "sequence":
        _check_sequence(steps, edges, findings)
        never = never_reached(draft.nodes, ends)
    else:
        for circle in find_circles(edges):
            _report_circle([steps[index] for index in circle], findings)
        never = behind(edges, ends) if ends else []
    why = "the workflow ends before it" if ends else "no way leads to it"
    for index in never:
        _warn_unreachable(steps[index], why, findings)


def _report_circle(circle: Sequence[StepTree], findings: Findings) -> None:
    ids = [step.model.id for step in (*circle, circle[0])]
    if len(ids) > _CIRCLE_SHOWN_MAX:
        count = len(ids) - _CIRCLE_SHOWN_MAX + 1
        ids = [*ids[: _CIRCLE_SHOWN_MAX - 4], f"… {count} more …", *ids[-3:]]
    text = f"steps wait for each other in a circle: {' → '.join(ids)}"
    findings.error("P003", text, "a → b means that a waits for b", circle[0].path)


def _check_sequence(steps: Sequence[StepTree], edges: Edges, findings: Findings) -> None:
    for index, deps in enumerate(edges):
        for dep in deps:
            step, name = steps[index], steps[dep].model.id
            # In a round of jumps a step reads what stands behind it without waiting for it.
            if dep > index and name in step.model.depends_on:
                position = step.model.depends_on.index(name)
                path = (*step.path, "depends_on", position)
                findings.error("P008", f"step '{name}' runs only later", "move it up", path)


def _warn_unreachable(step: StepTree, why: str, findings: Findings) -> None:
    text = f"step '{step.model.id}' never runs: {why}"
    hint = "give the step that ends it a condition"
    if step.model.id:
        findings.warning("P009", text, hint, step.path)


def _always_ends(node: Draft) -> bool:
    """Tell whether the workflow ends with this step, whatever happens.

    So it does with a `return`, with a `fail` that nothing catches, and with a step that
    cannot complete because too many of the scopes in it end the workflow.
    """
    step, model = node.tree, node.tree.model
    is_caught = model.on_error == "continue" or "fallback" in step.raw
    if model.disabled or is_caught or not always_runs(node):
        return False
    if model.ends_scope or not step.parts.scopes_needed:
        return model.ends_scope
    scopes = node.scopes.values()
    going_on = sum(not any(map(_always_ends, scope.nodes)) for scope in scopes)
    return going_on < step.parts.scopes_needed
