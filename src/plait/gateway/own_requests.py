"""Which calls hold nothing of the caller's: their requests are the operator's own words.

When such a request cannot be sent, the caller can do nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from plait.plan import Node, Plan, Scope

# What the operator gives. All else may come from the caller: also another step's response,
# which may repeat what it was asked with.
_OWN_ROOTS: Final = frozenset({"env", "secrets", "execution"})


def own_requests(plan: Plan) -> frozenset[str]:
    """Return the places (JSON Pointers) of the calls that read nothing but such words."""
    calls = (node for node in _nodes(plan.scope) if node.machine == "call")
    return frozenset(node.place.pointer for node in calls if _is_own(node))


def _nodes(scope: Scope) -> Iterator[Node]:
    for node in scope.nodes:
        yield node
        for inner in (*node.scopes.values(), node.fallback_scope, node.compensate_scope):
            if inner is not None:
                yield from _nodes(inner)


def _is_own(node: Node) -> bool:
    key = () if node.idempotency_key is None else (node.idempotency_key,)
    templates = chain(node.templates.values(), key)
    return all(read[0] in _OWN_ROOTS for template in templates for read in template.reads)
