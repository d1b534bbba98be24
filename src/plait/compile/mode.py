"""What an express execution cannot do: wait for somebody outside."""

from __future__ import annotations

from collections.abc import Iterator

from plait.compile.findings import Findings
from plait.document.tree import Document, ScopeTree, StepTree


def check_mode(document: Document, findings: Findings) -> None:
    """Report the steps of an express workflow that only a durable one can have.

    An express execution is gone when its request is: nobody could tell it anything. With
    `wait` its endpoint makes it durable when it comes to such a step.
    """
    model = document.model
    is_promoted = model.endpoint is not None and model.endpoint.wait is not None
    if model.mode != "express" or is_promoted:
        return
    for step in _steps(document.root):
        if step.parts.waits_outside:
            text = f"step '{step.model.id}' waits for somebody outside the workflow"
            hint = "set `mode: durable`, or give its endpoint a `wait`"
            findings.error("P018", text, hint, step.path)


def _steps(scope: ScopeTree) -> Iterator[StepTree]:
    for step in scope.steps:
        yield from with_inner(step)


def with_inner(step: StepTree) -> Iterator[StepTree]:
    """Yield a step, those inside it, and those in its place or to undo it."""
    yield step
    for scope in step.scopes.values():
        yield from _steps(scope)
    for beside in (step.fallback, step.compensate):
        if beside is not None:
            yield from with_inner(beside)
