"""Circles of a state machine in which it goes round at once, and never waits.

Rule. Only what is certain counts: a state that an `after` of no time leaves whatever its
      guards say, for states of the same kind. A guard that may let it out, or an action
      that may end the execution, is a way out; an event is half a one, as it must come
      before `limit.transitions` does.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from plait.compile.constants import is_surely, may_end_scope
from plait.compile.drafts import Draft
from plait.compile.findings import Findings
from plait.document.states import ERROR_EVENT, StatesStep, Way
from plait.model.duration import parse_duration_ms
from plait.model.record import record


@record
class Leaving:
    """How a state is left as soon as it is entered: for one of `targets`, by `way`."""

    way: Way
    targets: tuple[str, ...]


def is_guarded(node: Draft, way: Way, value: bool) -> bool:
    """Tell whether the guard of a transition is always `value`."""
    if way.transition.guard is None:
        return value
    return is_surely(node.templates.own.get(f"guard {way.name}"), value)


def steps_of(node: Draft, state: str) -> Iterator[Draft]:
    """Yield the actions of a state, and of the transitions out of it."""
    for name, scope in node.scopes.items():
        if name.partition(" ")[0] == state:
            yield from scope.nodes


def check_circles(
    machine: StatesStep, node: Draft, reached: Container[str], findings: Findings
) -> set[str]:
    """Report states that lead to each other at once, for ever, each circle once.

    Args:
        reached: States that an execution may come to; the others circle for nobody.

    Returns:
        The states of the circles that were reported.
    """
    busy = {name.partition(" ")[0] for name, one in node.scopes.items() if one.nodes}
    at_once: dict[str, list[Way]] = {name: [] for name in machine.states}
    events: dict[str, list[Way]] = {name: [] for name in machine.states}
    for name, key, word, ways in machine.ways(findings.document.raw):
        if key == "after" and not parse_duration_ms(word):
            at_once[name] += ways
        elif key == "on" and (word != ERROR_EVENT or name in busy):
            events[name] += ways
    leaving = _kept_in(
        {
            name: found
            for name, state in machine.states.items()
            if not state.final
            and (found := _leaving(node, at_once[name])) is not None
            and not any(map(may_end_scope, steps_of(node, name)))
        }
    )
    seen: set[str] = set()
    told: set[str] = set()
    for name in leaving:
        walk: list[str] = []
        while name not in seen:
            seen.add(name)
            walk.append(name)
            name = leaving[name].targets[0]
        if name in walk and name in reached:
            circle = walk[walk.index(name) :]
            outward = (way for one in leaving for way in events[one])
            is_left = any(_leads_out(node, way, leaving) for way in outward)
            when = _when(node, circle)
            _report(circle, leaving[circle[0]].way, when, is_left, findings)
            told |= {*circle}
    return told


def _when(node: Draft, circle: list[str]) -> str:
    """Return when each state of a circle follows the one before."""
    is_busy = any(True for state in circle for _ in steps_of(node, state))
    return "as soon as their actions have ended" if is_busy else "at once"


def _leaving(node: Draft, ways: list[Way]) -> Leaving | None:
    """Return how these transitions leave a state; None: they may not, or it stays."""
    targets: list[str] = []
    for way in ways:
        if is_guarded(node, way, False):
            continue
        if way.transition.target is None:
            return None
        targets.append(way.transition.target)
        if is_guarded(node, way, True):
            return Leaving(way, tuple(targets))
    return None


def _kept_in(leaving: Mapping[str, Leaving]) -> dict[str, Leaving]:
    """Return those states of `leaving` from which no way leads to any other state."""
    kept = dict(leaving)
    while True:
        out = [name for name, one in kept.items() if not kept.keys() >= {*one.targets}]
        if not out:
            return kept
        for name in out:
            del kept[name]


def _leads_out(node: Draft, way: Way, kept: Mapping[str, Leaving]) -> bool:
    """Tell whether a transition may lead out of the circles."""
    target = way.transition.target
    return target is not None and target not in kept and not is_guarded(node, way, False)


def _report(
    circle: list[str], way: Way, when: str, is_left: bool, findings: Findings
) -> None:
    told = f"{' → '.join([*circle, circle[0]])} follow each other {when}"
    if is_left:
        text = f"{told}, until an event or a failure leads out"
        hint = "let an `after` take some time, or guard it"
        findings.warning("P021", text, hint, way.path)
    else:
        text = f"{told}, for ever"
        hint = "let an `after` take some time, or guard a transition that leads out"
        findings.error("P021", text, hint, way.path)
