"""What a retry of a group would make again: calls that must never be repeated."""

from __future__ import annotations

from collections.abc import Iterator

from plait.compile.effects import effect_of
from plait.compile.findings import Findings
from plait.compile.nodes import setting
from plait.document.step import StepSettings
from plait.document.tree import ScopeTree, StepTree


def check_repeats(
    step: StepTree, defaults: StepSettings | None, findings: Findings
) -> None:
    """Report unsafe calls in a group that is tried again: those that were made as well."""
    if not step.scopes:
        return
    of_items = getattr(step.model, "item_retry", None)
    retries = {"retry": setting(step.model, defaults, "retry"), "item_retry": of_items}
    for key, retry in retries.items():
        if retry is None or retry.max_attempts == 1:
            continue
        for inner in [one for scope in step.scopes.values() for one in _unsafe_in(scope)]:
            text = f"a retry of '{step.model.id}' would repeat the unsafe call '{inner}'"
            hint = "retry the call itself, or make it `keyed`"
            findings.error("P016", text, hint, (*step.path, key))


def _unsafe_in(scope: ScopeTree) -> Iterator[str]:
    """Yield the ids of the unsafe calls in `scope`, however deep."""
    for step in scope.steps:
        if effect_of(step) == "unsafe":
            yield step.model.id
        for inner in step.scopes.values():
            yield from _unsafe_in(inner)
        for beside in (step.fallback, step.compensate):
            if beside is not None:
                yield from _unsafe_in(ScopeTree("graph", (beside,), (), {}, (), ""))
