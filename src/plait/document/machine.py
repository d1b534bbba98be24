"""The states of a document become one step that holds all their actions.

States are checked one by one, each against its model, so one mistake hides no other.

Not here: the models (plait.document.states), what is wrong between states
(plait.compile.states).
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from plait.document import salvage
from plait.document.nearest import nearest_hint
from plait.document.states import MACHINE_ID, State, StatesStep
from plait.document.tree import Path, ScopeTree, StepTree
from plait.model.json import JsonObject

_ONE_OF_TWO: Final = "a document has `steps` or `states`, not both"


class Parser(Protocol):
    """What reading the states needs of the parser of documents."""

    unsure: set[str]

    def validated(self, model: type[Any], raw: Any, path: Path) -> Any:
        """Return `raw` as a `model`; None, and a finding, when it is none."""
        ...

    def steps_at(self, items: Any, path: Path) -> tuple[StepTree, ...]:
        """Return the steps of the list that stands at `path`."""
        ...

    def report(
        self, code: str, message: str, hint: str, path: Path, *, key: bool = False
    ) -> None:
        """Add a finding."""
        ...


def machine_scope(raw: JsonObject, parser: Parser) -> ScopeTree:
    """Return the root scope of a document that has `states`: the machine is its step."""
    if "steps" in raw:
        parser.report("D103", _ONE_OF_TWO, "", ("steps",), key=True)
    if "order" in raw:
        text = "actions run one after the other: `order` says nothing of `states`"
        hint = "put a `parallel` step where actions are to run at the same time"
        parser.report("D103", text, hint, ("order",), key=True)
    if raw["states"] is None:
        parser.report("D103", "'states': should be a mapping", "", ("states",))
    states = raw["states"] if isinstance(raw["states"], dict) else {}
    known = _states(states, parser)
    initial = _initial(raw, states, parser)
    step = StatesStep.model_construct(
        id=MACHINE_ID, type="states", depends_on=[], initial=initial, states=known
    )
    parts = step.parts(raw)
    scopes = {}
    for one in parts.scopes:
        steps = parser.steps_at(_at(raw, one.path), one.path)
        scopes[one.name] = ScopeTree(one.order, steps, one.path, {}, one.names, "")
    # Its `output` is the document's: as a step it has none of its own.
    own: JsonObject = {"states": raw["states"]}
    tree = StepTree(step, own, (), parts, scopes, None, is_unnamed=True)
    return ScopeTree("graph", (tree,), (), raw, (), "output")


def _states(raw: JsonObject, parser: Parser) -> dict[str, State]:
    known: dict[str, State] = {}
    for name, one in raw.items():
        state = parser.validated(State, one, ("states", name))
        if state is None:
            parser.unsure.update(salvage.ids_in(one))
        else:
            known[name] = state
    return known


def _initial(raw: JsonObject, states: JsonObject, parser: Parser) -> str:
    initial = raw.get("initial")
    if "initial" not in raw:
        hint = "name the state in which an execution begins"
        parser.report("D102", "missing key 'initial'", hint, ("states",), key=True)
    elif initial is None:
        parser.report("D103", "'initial': should be text", "", ("initial",))
    elif isinstance(initial, str) and initial not in states:
        text = f"there is no state '{initial}' to begin in"
        hint = nearest_hint(initial, states)
        parser.report("P030", text, hint, ("initial",))
    return initial if isinstance(initial, str) else ""


def _at(raw: Any, path: Path) -> Any:
    for key in path:
        raw = raw[key]
    return raw
