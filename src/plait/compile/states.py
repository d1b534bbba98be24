"""State machines: what is wrong between states, and what templates see of actions."""

from __future__ import annotations

from typing import Final

from plait.compile.circles import check_circles, is_guarded, steps_of
from plait.compile.constants import may_end_scope
from plait.compile.drafts import Draft, ScopeDraft
from plait.compile.findings import Findings
from plait.compile.names import View, Visible, visible
from plait.compile.templates import parse
from plait.document.nearest import nearest_hint
from plait.document.states import MACHINE_ID, NAMES, State, StatesStep, Way
from plait.document.tree import Document, ScopeTree, StepTree
from plait.model.json import JsonObject

# What a machine yields when the document says nothing else.
OUTPUT: Final = f"${{{MACHINE_ID}.response}}"


def machine_of(document: Document) -> StatesStep | None:
    """Return the state machine that a document is; None: it has steps."""
    steps = document.root.steps
    model = steps[0].model if len(steps) == 1 else None
    return model if isinstance(model, StatesStep) else None


def root_view(document: Document) -> View:
    """Return what every template of the document sees beside the steps around it.

    In a state machine all templates see what the actions came to, whichever ran last.
    """
    view = View({}, extra=document.unsure)
    if machine_of(document) is None:
        return view
    extra = document.unsure | set(NAMES)
    return View({}, extra=extra, context=_context(document.root.steps[0]))


def set_output(document: Document, draft: ScopeDraft, findings: Findings) -> None:
    """Let a machine yield its own response, when its document says nothing else."""
    if machine_of(document) is not None and "output" not in document.raw:
        draft.output = parse(OUTPUT, (), findings).template


def with_places(document: Document, options: JsonObject) -> JsonObject:
    """Return the options of a node, in which each state of a machine has its place."""
    states = options.get("states")
    if machine_of(document) is None or not isinstance(states, dict):
        return options
    placed: JsonObject = {
        name: {**state, "place": [*document.place(("states", name))]}
        for name, state in states.items()
        if isinstance(state, dict)
    }
    return {**options, "states": placed}


def _context(machine: StepTree) -> dict[str, Visible]:
    found: dict[str, Visible] = {}
    for scope in machine.scopes.values():
        for step in scope.steps:
            if step.is_unnamed or not step.model.id:
                continue
            own = visible(step)
            other = found.setdefault(own.id, own)
            if other.facts != own.facts:
                found[own.id] = Visible(own.id, None)
    return found


def check_states(document: Document, draft: ScopeDraft, findings: Findings) -> None:
    """Report transitions to nowhere, states that nothing reaches, and dead ends."""
    machine = machine_of(document)
    if machine is None:
        return
    raw = document.raw
    names = raw["states"]
    assert isinstance(names, dict)
    node = draft.nodes[0]
    targets: dict[str, set[str]] = {name: set() for name in machine.states}
    is_whole = len(machine.states) == len(names) and machine.initial in names
    for state, key, word, ways in machine.ways(raw):
        for way in ways:
            target = way.transition.target
            if target is not None and target not in names:
                _report_target(target, way, names, findings)
                is_whole = False
            elif target is not None and not is_guarded(node, way, False):
                targets[state].add(target)
        _check_order(node, f"{key} {word}", ways, findings)
    for name, one in machine.states.items():
        _check_final(name, one, findings)
    for scope in node.tree.scopes.values():
        _check_ids(scope, findings)
    # What is known of half a table only adds to the noise.
    if is_whole:
        reached = _reached(machine, targets)
        _check_reached(machine, reached, findings)
        circling = check_circles(machine, node, reached, findings)
        _check_dead_ends(machine, node, targets, circling, findings)


def _report_target(target: str, way: Way, known: JsonObject, findings: Findings) -> None:
    path = way.path
    # A way that is only its target's name stands at the event itself.
    raw: object = findings.document.raw
    for key in path:
        raw = raw[key]  # type: ignore[index]
    path = (*path, "target") if isinstance(raw, dict) else path
    hint = nearest_hint(target, known) or f"there are {', '.join(sorted(known))}"
    findings.error("P030", f"there is no state '{target}' to go to", hint, path)


def _check_order(node: Draft, told: str, ways: list[Way], findings: Findings) -> None:
    for way in ways[:-1]:
        if is_guarded(node, way, True):
            text = f"this answers every `{told}`: those behind it are never taken"
            findings.error("P034", text, "give it a guard, or put it last", way.path)


def _check_final(name: str, state: State, findings: Findings) -> None:
    if not state.final:
        return
    for key in ("on", "after", "exit"):
        if getattr(state, key):
            text = f"state '{name}' is final: nothing leaves it, so `{key}` never counts"
            hint = f"drop `{key}`, or `final`"
            findings.error("P033", text, hint, ("states", name, key))


def _check_ids(scope: ScopeTree, findings: Findings) -> None:
    for step in scope.steps:
        if step.model.id == MACHINE_ID:
            text = f"'{MACHINE_ID}' is the id of the state machine itself"
            findings.error("P005", text, "choose another id", (*step.path, "id"))


def _reached(machine: StatesStep, targets: dict[str, set[str]]) -> set[str]:
    """Return the states that an execution may come to."""
    reached, left = {machine.initial}, [machine.initial]
    while left:
        new = targets[left.pop()] - reached
        reached |= new
        left.extend(new)
    return reached


def _check_reached(machine: StatesStep, reached: set[str], findings: Findings) -> None:
    for name in machine.states:
        if name not in reached:
            text = f"no transition leads to state '{name}'"
            findings.warning("P031", text, "", ("states", name))


def _check_dead_ends(
    machine: StatesStep,
    node: Draft,
    targets: dict[str, set[str]],
    circling: set[str],
    findings: Findings,
) -> None:
    for name, state in machine.states.items():
        # What goes in circles does not wait.
        if state.final or targets[name] - {name} or name in circling:
            continue
        if any(may_end_scope(step) for step in steps_of(node, name)):
            continue
        text = f"state '{name}' is never left and not final: an execution waits for ever"
        hint = "set `final: true`, or give it a transition"
        findings.warning("P032", text, hint, ("states", name))
