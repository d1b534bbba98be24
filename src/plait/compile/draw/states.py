"""The graph of a state machine: its states, and the transitions between them.

Drawn from the table that the kernel runs, so picture and course cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from plait.compile.draw.graph import Graph, GraphEdge, GraphNode, GraphScope
from plait.compile.draw.loops import shown
from plait.compile.reasons import Reason
from plait.plan import Node, Plan


def states_graph(plan: Plan, title: str) -> Graph | None:
    """Return the graph of a state machine; None: the plan is none."""
    nodes = plan.scope.nodes
    if len(nodes) != 1 or nodes[0].machine != "states":
        return None
    machine = nodes[0]
    table = cast("dict[str, Any]", machine.options["states"])
    edges = tuple(_edges(machine, table))
    initial = str(machine.options["initial"])
    # Where it begins stands first: the others are placed from there.
    names = sorted(table, key=lambda name: name != initial)
    drawn = tuple(_node(machine, name, table[name], initial) for name in names)
    return Graph(plan.name, title, GraphScope(drawn, edges), initial)


def _node(machine: Node, name: str, state: dict[str, Any], initial: str) -> GraphNode:
    kind = "final" if state["final"] else "initial" if name == initial else "state"
    notes = tuple(
        f"{key}: {_actions(machine, state[key])}" for key in ("entry", "exit") if state[key]
    )
    lines = tuple(
        f"{reason.text()} → {target or 'stays'}"
        for target, reason in _ways(machine, name, state)
    )
    return GraphNode(name, name, kind, "", notes, (), lines)


def _edges(machine: Node, table: dict[str, Any]) -> Iterator[GraphEdge]:
    for name, state in table.items():
        by_target: dict[str, list[Reason]] = {}
        for target, reason in _ways(machine, name, state):
            by_target.setdefault(target or name, []).append(reason)
        for target, reasons in by_target.items():
            yield GraphEdge(name, target, tuple(reasons))


def _ways(
    machine: Node, name: str, state: dict[str, Any]
) -> Iterator[tuple[str | None, Reason]]:
    """Yield each transition of a state: its target, None if it stays, and what it says."""
    told = [(word, ways) for word, ways in state["on"].items()]
    told += [(f"after {one['text']}", one["ways"]) for one in state["after"]]
    for word, ways in told:
        for way in ways:
            guard = way["guard"]
            where = shown(machine.templates[guard]) if guard else ""
            by = _actions(machine, way["actions"]) if way["actions"] else ""
            yield way["target"], Reason(name, "event", word, where, by)


def _actions(machine: Node, name: str) -> str:
    return ", ".join(node.id for node in machine.scopes[name].nodes)
