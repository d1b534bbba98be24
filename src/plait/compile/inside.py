"""What is inside a step: nested scopes and the fallback, with the paths of their steps.

A step's path is the one that the kernel gives it while it runs: `orders`, `prepare/fetch`,
`enrich[left]/fetch`, `offers.fallback/mirror`; without the rounds that a group makes when
it is tried again (plait.kernel.paths), and with `[*]` for the number of an iteration.
"""

from __future__ import annotations

from collections.abc import Iterator

from plait.kernel.machines import built_in_machines
from plait.model.record import record
from plait.plan import Node, Plan, Scope


@record
class Inner:
    """A scope inside a step.

    Attributes:
        id: Path of the scope: `enrich[left]`, `poll[*]`, `prepare`, `offers.fallback`.
        label: What it is to the step: a branch's name, `each item`, `fallback`; empty
            when the step is this scope and nothing else, as a sequence is.
        prefix: What the paths of its steps begin with.
        is_fallback: True when it runs in the step's place, not inside it.
    """

    id: str
    label: str
    prefix: str
    scope: Scope
    is_fallback: bool = False


@record
class Located:
    """A step and its path; `owner` is the scope that it stands in."""

    path: str
    node: Node
    owner: Scope


def inner_scopes(node: Node, path: str) -> Iterator[Inner]:
    """Yield the scopes inside `node`, its fallback last."""
    machine = built_in_machines()[node.machine]
    for name, scope in node.scopes.items():
        prefix = path + machine.suffix(name)
        own = prefix.removesuffix("/")
        label = name if own != path else ""
        yield Inner(own, machine.repeated(name) or label, prefix, scope)
    if node.fallback_scope is not None:
        own = f"{path}.fallback"
        yield Inner(own, "fallback", f"{own}/", node.fallback_scope, is_fallback=True)


def undoing_scope(node: Node, path: str) -> Inner | None:
    """Return the scope that undoes `node`; None: nothing does."""
    if node.compensate_scope is None:
        return None
    own = f"{path}.compensate"
    return Inner(own, "compensate", f"{own}/", node.compensate_scope, is_fallback=True)


def all_steps(plan: Plan) -> Iterator[Located]:
    """Yield every step, each before those inside it, in document order."""
    yield from _steps_of(plan.scope, "")


def _steps_of(scope: Scope, prefix: str) -> Iterator[Located]:
    for node in scope.nodes:
        path = prefix + node.id
        yield Located(path, node, scope)
        for inner in (*inner_scopes(node, path), undoing_scope(node, path)):
            if inner is not None:
                yield from _steps_of(inner.scope, inner.prefix)


def waits_of(scope: Scope) -> list[list[int]]:
    """Return, for each step of `scope`, the steps that it waits for.

    In a sequence each step waits for the one before it.
    """
    if scope.order == "sequence":
        return [[index - 1] if index else [] for index in range(len(scope.nodes))]
    return [list(node.deps) for node in scope.nodes]
