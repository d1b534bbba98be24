"""Conditions that never change, however they are written: `true`, `${ true }`, `${1 < 2}`.

What reads nothing has one value, and that is known before anything runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from plait.compile.drafts import Draft, ScopeDraft
from plait.expression import ExpressionError, Template
from plait.model.json import JsonValue
from plait.model.record import record

# An answer that is worked out only when somebody asks.
Told: TypeAlias = Callable[[], bool]

# What the condition of a switch's case is called, before the name of its scope.
_WHEN: Final = "when "


@record
class Known:
    """A value that a template has whatever happens."""

    value: JsonValue


def constant_of(template: Template | None) -> Known | None:
    """Return what a template yields whatever happens; None: that is not known."""
    if template is None or template.reads:
        return None
    try:
        return Known(template.render({}))
    except ExpressionError:
        return None


def is_surely(template: Template | None, value: bool) -> bool:
    """Tell whether a condition is `value`, whatever happens."""
    known = constant_of(template)
    return known is not None and known.value is value


def always_runs(node: Draft) -> bool:
    """Tell whether no condition of its own keeps a step from running."""
    is_free = node.tree.model.condition is None
    return is_free or is_surely(node.templates.condition, True)


def never_runs(node: Draft) -> bool:
    """Tell whether a step is skipped whatever happens."""
    return node.tree.model.disabled or is_surely(node.templates.condition, False)


def passes_over_all(node: Draft) -> bool:
    """Tell whether a loop's `continue` lets none of its steps ever run."""
    return is_surely(node.templates.own.get("continue"), True)


def may_end_scope(node: Draft) -> bool:
    """Tell whether a step, or one inside it or beside it, may end the scopes around."""
    return any(one.tree.model.ends_scope for one in _running(node))


def _running(node: Draft) -> Iterator[Draft]:
    """Yield a step and those inside and beside it, but for what never runs."""
    if never_runs(node):
        return
    yield node
    inside: list[ScopeDraft] = [
        scope
        for name, scope in node.scopes.items()
        if not is_surely(node.templates.own.get(f"{_WHEN}{name}"), False)
        and not passes_over_all(node)
    ]
    inside += [one for one in (node.fallback, node.compensate) if one is not None]
    for scope in inside:
        for one in scope.nodes:
            yield from _running(one)
