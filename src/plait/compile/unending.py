"""What surely begins, and then never ends by itself: a branch on which no race can count.

Rule. Only what is certain counts: a step that has a condition may be skipped, and then
      there is an end. A failure is none: nobody wants a branch that always fails.
"""

from __future__ import annotations

from plait.compile.constants import (
    always_runs,
    constant_of,
    is_surely,
    may_end_scope,
    passes_over_all,
)
from plait.compile.drafts import Draft, ScopeDraft
from plait.compile.jumps import is_circle
from plait.compile.routes import hands_over_for_ever
from plait.document.loops import LoopStep
from plait.document.steps.foreach import ForeachStep
from plait.document.steps.parallel import ParallelStep
from plait.document.steps.saga import SagaStep
from plait.document.steps.sequence import SequenceStep
from plait.document.steps.try_ import BODY, TryStep


def goes_on(node: Draft) -> bool:
    """Tell whether what says that a loop goes on never says anything else, and that the
    loop has no `break`."""
    model, own = node.tree.model, node.templates.own
    if isinstance(model, LoopStep) and passes_over_all(node):
        # What is tested after an iteration is never tested.
        name, ends_at = model.ended_by
        return ends_at or is_surely(own.get(name), True)
    if "break" in own and not is_surely(own["break"], False):
        return False
    if isinstance(model, LoopStep):
        name, ends_at = model.ended_by
        return is_surely(own.get(name), not ends_at)
    cursor = constant_of(own.get("pages.next"))
    return cursor is not None and cursor.value not in (None, False, "")


def may_win(node: Draft) -> bool:
    """Tell whether as many branches of a race may complete as it needs."""
    ending = sum(not never_ends(one) for one in node.scopes.values())
    return ending >= node.tree.parts.scopes_needed


def never_ends(scope: ScopeDraft) -> bool:
    """Tell whether a scope goes on for ever once it has begun."""
    if any(map(may_end_scope, scope.nodes)):
        return False
    if scope.tree.order == "sequence" and any(
        node.tree.model.jumps_to for node in scope.nodes
    ):
        return is_circle(scope.nodes)
    return any(map(_never_ends, scope.nodes))


def _never_ends(node: Draft) -> bool:
    model, scopes = node.tree.model, node.scopes
    if node.tree.is_broken or model.disabled or not always_runs(node):
        return False
    if isinstance(model, LoopStep | ForeachStep):
        return goes_on(node)
    if isinstance(model, ParallelStep):
        return not may_win(node)
    if isinstance(model, SequenceStep | SagaStep | TryStep):
        return never_ends(scopes[BODY])
    return hands_over_for_ever(node)
