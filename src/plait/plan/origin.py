"""Whose words the hosts of a plan are: the operator's, or those of whoever sent it.

A host that stands literally in a file which the operator runs or serves may be private. A
document that came over the API says what its sender wishes: its hosts are checked like
those out of templates, however literally they stand there.

Not here: what is checked (plait.connectors.egress).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from plait.plan.codec import hash_plan
from plait.plan.nodes import Node, Plan, Scope

_TRUSTED: Final = "host_is_literal"


def without_trust(plan: Plan) -> Plan:
    """Return `plan` with no host in it counting as the operator's own words."""
    scope = _scope(plan.scope)
    return plan if scope is plan.scope else hash_plan(replace(plan, scope=scope))


def _scope(scope: Scope) -> Scope:
    nodes = tuple(map(_node, scope.nodes))
    is_same = all(one is other for one, other in zip(nodes, scope.nodes, strict=True))
    return scope if is_same else replace(scope, nodes=nodes)


def _node(node: Node) -> Node:
    scopes = {name: _scope(one) for name, one in node.scopes.items()}
    fallback, undoing = _optional(node.fallback_scope), _optional(node.compensate_scope)
    is_same = (
        fallback is node.fallback_scope
        and undoing is node.compensate_scope
        and all(one is node.scopes[name] for name, one in scopes.items())
    )
    options = node.options
    if options.get(_TRUSTED):
        options = {**options, _TRUSTED: False}
    elif is_same:
        return node
    return replace(
        node,
        scopes=scopes,
        fallback_scope=fallback,
        compensate_scope=undoing,
        options=options,
    )


def _optional(scope: Scope | None) -> Scope | None:
    return None if scope is None else _scope(scope)
