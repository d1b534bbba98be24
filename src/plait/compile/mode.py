"""What an express execution cannot do, and what a durable one must not keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from plait.compile.findings import Findings
from plait.document.states import StatesStep
from plait.document.tree import Document, ScopeTree, StepTree
from plait.model.place import Place


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
            if isinstance(step.model, StatesStep):
                text = "the state machine waits for events from outside"
            hint = "set `mode: durable`, or give its endpoint a `wait`"
            findings.error("P018", text, hint, step.path)


def check_credentials(
    document: Document, reads: Iterable[tuple[str, Place]], findings: Findings
) -> None:
    """Report headers that let their bearer in and would be kept with the execution.

    An execution is decided anew from what its store holds: whatever its templates read of
    the request has to be in there, where everybody reads it who may look at executions.
    """
    model = document.model
    is_promoted = model.endpoint is not None and model.endpoint.wait is not None
    if model.mode == "express" and not is_promoted:
        return
    for name, place in reads:
        text = f"header '{name}' lets its bearer in, and a durable execution would keep it"
        hint = (
            "call with a secret of the gateway's own (`secrets`), check callers in a proxy "
            "that sends on who they are in another header, or set `mode: express`"
        )
        findings.error_at("P022", text, hint, place)


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
