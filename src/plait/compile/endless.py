"""Loops, jumps and hand-overs that nothing ends but a failure.

Rule. What stands beside, and is not behind, may end them: a `return` or `fail` of the same
graph, of another branch or item, or a `parallel` that needs only some of its branches.
"""

from __future__ import annotations

from functools import partial

from plait.compile.constants import Told, is_surely, may_end_scope, passes_over_all
from plait.compile.drafts import Draft, ScopeDraft
from plait.compile.findings import Findings
from plait.compile.jumps import check_ways_out
from plait.compile.order import behind
from plait.compile.routes import check_route
from plait.compile.unending import goes_on, may_win
from plait.document.loops import NAMES, LoopStep
from plait.document.steps.foreach import ForeachStep
from plait.document.steps.parallel import ParallelStep
from plait.document.steps.switch import SwitchStep
from plait.expression import Template


def nothing_ends_it() -> bool:
    """Say so of the outermost scope: nothing stands beside it."""
    return False


def check_endings(
    scope: ScopeDraft, findings: Findings, is_ended: Told = nothing_ends_it
) -> None:
    """Report what never ends in a scope, and in those inside it.

    Args:
        is_ended: Whether something outside may end the scope; asked only when something
            in it never ends, because the answer costs a walk over all that is beside.
    """
    if scope.tree.order == "sequence":
        check_ways_out(scope.nodes, findings, is_ended)
    for index, node in enumerate(scope.nodes):
        around = partial(_is_ended_beside, scope, index, is_ended)
        _check_loop(node, findings, around)
        check_route(node, findings, around)
        for name, inner in node.scopes.items():
            check_endings(inner, findings, partial(_is_left, node, name, around))
        if node.fallback is not None:
            check_endings(node.fallback, findings, around)
        if node.compensate is not None:
            # It runs when all that was beside its step is over.
            check_endings(node.compensate, findings)


def _is_ended_beside(scope: ScopeDraft, index: int, is_ended: Told) -> bool:
    """Tell whether a step, or what is around it, may be ended while it runs."""
    if scope.tree.order == "graph":
        waiting = {index, *behind(scope.edges, [index])}
        nodes = enumerate(scope.nodes)
        if any(may_end_scope(one) for at, one in nodes if at not in waiting):
            return True
    return is_ended()


def _is_left(node: Draft, name: str, is_ended: Told) -> bool:
    """Tell whether one of a step's scopes may be ended from outside while it runs."""
    model, others = node.tree.model, dict(node.scopes)
    if isinstance(model, ForeachStep):
        is_parted = model.max_concurrency > 1
    else:
        del others[name]
        is_race = isinstance(model, ParallelStep) and model.join != "all"
        if is_race and may_win(node):
            return True
        is_parted = isinstance(model, ParallelStep) or (
            isinstance(model, SwitchStep) and model.strategy == "all_match"
        )
    beside = [one for scope in others.values() for one in scope.nodes]
    return (is_parted and any(map(may_end_scope, beside))) or is_ended()


def _check_loop(node: Draft, findings: Findings, is_ended: Told) -> None:
    """Report a loop whose conditions never end it, and in which nothing else ends it.

    `max_iterations` would, or `max_pages`, but by a failure: nobody wants a loop that
    always fails. One that ends at once, or else fails, is a warning.
    """
    model = node.tree.model
    is_certain = goes_on(node)
    if node.tree.is_broken or not (is_certain or _never_changes(node)):
        return
    inner = [one for scope in node.scopes.values() for one in scope.nodes]
    is_idle = passes_over_all(node)
    if (not is_idle and any(map(may_end_scope, inner))) or is_ended():
        return
    if isinstance(model, LoopStep):
        hint = "let it read `previous` or a step inside, or give the loop a `break`"
        if is_certain and is_idle:
            text = f"the loop '{model.id}' cannot end: `continue` passes over all of it"
            hint = "let `continue` read `iteration`, or drop it"
            findings.error("P021", text, hint, (*node.tree.path, "continue"))
        elif is_certain:
            text = f"the loop '{model.id}' cannot end: its condition never changes"
            findings.error("P021", text, hint, node.tree.path)
        else:
            text = (
                f"the loop '{model.id}' ends at once or never: nothing in it changes that"
            )
            findings.warning("P021", text, hint, node.tree.path)
    else:
        text = f"the pages of '{model.id}' cannot end: `next` never changes"
        hint = "let it read what a page says of the next one, or give the step a `break`"
        findings.error("P021", text, hint, (*node.tree.path, "pages", "next"))


def _never_changes(node: Draft) -> bool:
    """Tell whether what a loop's conditions read stays as it is while the loop runs, so
    that they end it at once or never."""
    model, own = node.tree.model, node.templates.own
    if not isinstance(model, LoopStep):
        return False
    within = {one.tree.model.id for scope in node.scopes.values() for one in scope.nodes}
    changing: set[str | int] = {*NAMES, "execution", *within}
    conditions = {model.ended_by: own.get(model.ended_by[0])}
    if model.break_ is not None and not passes_over_all(node):
        conditions["break", True] = own.get("break")
    return all(
        one is not None
        and (is_surely(one, not ends_at) or _reads_only_others(one, changing))
        for (_, ends_at), one in conditions.items()
    )


def _reads_only_others(template: Template, names: set[str | int]) -> bool:
    return bool(template.reads) and names.isdisjoint(one[0] for one in template.reads)
