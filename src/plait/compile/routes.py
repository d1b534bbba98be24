"""Routes: handlers that hand over for ever, and those to whom nobody does.

Not here: transitions to nobody (plait.document.steps.route).
"""

from __future__ import annotations

from plait.compile.constants import Told, is_surely, may_end_scope
from plait.compile.drafts import Draft
from plait.compile.findings import Findings
from plait.document.steps.route import Handover, RouteStep, transition_name


def check_route(node: Draft, findings: Findings, is_ended: Told) -> None:
    """Report what no value, or every value, would find in a `route`.

    Args:
        is_ended: Whether something outside may end it.
    """
    model = node.tree.model
    if not isinstance(model, RouteStep) or node.tree.is_broken:
        return
    ways, surely = _handovers(node, model, findings)
    reached = _reached(model, ways)
    # A circle that nobody is led into ends nothing: `P031` tells of its handlers.
    circle = _circle({name: to for name, to in surely.items() if name in reached})
    if circle and not is_ended():
        text = f"{' → '.join([*circle, circle[0]])} hand over to each other for ever"
        path = (*node.tree.path, "handlers", circle[0], "next")
        findings.error("P021", text, "give one of them a `when`", path)
    else:
        _check_reached(node, model, reached, findings)


def hands_over_for_ever(node: Draft) -> bool:
    """Tell whether the first handler of a `route` surely leads into a circle."""
    model = node.tree.model
    if not isinstance(model, RouteStep) or node.tree.is_broken:
        return False
    surely = _handovers(node, model)[1]
    name, walked = _first_of(model), set[str]()
    while name in surely and name not in walked:
        walked.add(name)
        name = surely[name]
    return name in walked


def _handovers(
    node: Draft, model: RouteStep, findings: Findings | None = None
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return to whom each handler may hand over, and to whom it surely does.

    Args:
        findings: Is told of transitions that are never taken.
    """
    ways: dict[str, list[str]] = {}
    surely: dict[str, str] = {}
    for name, handler in model.handlers.items():
        taken = [
            position
            for position, one in enumerate(handler.next)
            if not _is(node, name, position, one, False)
        ]
        certain = [at for at in taken if _is(node, name, at, handler.next[at], True)]
        if findings and certain and certain[0] + 1 < len(handler.next):
            _report_hidden(node, name, certain[0], findings)
        ways[name] = [handler.next[at].to for at in taken if at <= min(certain, default=at)]
        if certain[:1] == taken[:1] != [] and not _may_end(node, name):
            surely[name] = handler.next[certain[0]].to
    return ways, surely


def _first_of(model: RouteStep) -> str:
    """Return the handler with which a route begins."""
    return model.start or next(iter(model.handlers))


def _is(node: Draft, name: str, position: int, one: Handover, value: bool) -> bool:
    if one.when is None:
        return value
    return is_surely(node.templates.own.get(transition_name(name, position)), value)


def _may_end(node: Draft, name: str) -> bool:
    return any(map(may_end_scope, node.scopes[name].nodes))


def _report_hidden(node: Draft, name: str, position: int, findings: Findings) -> None:
    path = (*node.tree.path, "handlers", name, "next", position)
    text = "this is always taken: transitions behind this one are never taken"
    findings.error("P034", text, "give it a `when`, or put it last", path)


def _circle(surely: dict[str, str]) -> list[str]:
    """Return handlers that surely hand over to each other; none: nobody does."""
    for name in surely:
        walk = [name]
        while (following := surely.get(walk[-1])) is not None:
            if following in walk:
                return walk[walk.index(following) :]
            walk.append(following)
    return []


def _reached(model: RouteStep, ways: dict[str, list[str]]) -> set[str]:
    """Return the handlers that may have their turn."""
    start = _first_of(model)
    reached, left = {start}, [start]
    while left:
        new = set(ways[left.pop()]) - reached
        reached |= new
        left.extend(new)
    return reached


def _check_reached(
    node: Draft, model: RouteStep, reached: set[str], findings: Findings
) -> None:
    for name in model.handlers:
        if name not in reached:
            path = (*node.tree.path, "handlers", name)
            findings.warning("P031", f"no way leads to handler '{name}'", "", path)
