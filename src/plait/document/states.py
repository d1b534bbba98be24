"""`states`: a document that is a state machine, as one step that runs all of it.

The step is nobody's to write: a document with `states` has it in the place of its `steps`.

Not here: what is wrong between states (plait.compile.states), reading the states
(plait.document.machine).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic.config import JsonDict

from plait.document.fields import DURATION_PATTERN, Condition, Steps, Strict
from plait.document.step import Parts, ScopePart, Step, TemplatePart, condition_part
from plait.document.steps.wait import EventName
from plait.model.duration import parse_duration_ms
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.model.signal import SIGNAL_NAME_CHARS_MAX, SIGNAL_NAME_PATTERN

MACHINE_ID: Final = "states"
# A failed action is told to the machine by this name; nobody outside can send it.
ERROR_EVENT: Final = "error"
NAMES: Final = ("event", "state", "previous")

_STATE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_STATE_CHARS_MAX: Final = 100
_WAYS_MAX: Final = 100


def _state_name(value: Any) -> str:
    if not isinstance(value, str) or not _STATE.fullmatch(value):
        raise ValueError(
            "a state's name has letters, digits and '_' only and starts with no digit"
        )
    if len(value) > _STATE_CHARS_MAX:
        raise ValueError(f"a state's name has at most {_STATE_CHARS_MAX} characters")
    return value


def _after_key(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a duration is text such as 800ms, 2s, 5m, 1h, 3d or ISO 8601")
    parse_duration_ms(value)
    return value


def _as_ways(value: Any) -> Any:
    given = value if isinstance(value, list) else [value]
    return [{"target": one} if isinstance(one, str) else one for one in given]


STATE_NAME_SCHEMA: Final[JsonDict] = {
    "type": "string",
    "pattern": _STATE.pattern.join("^$"),
    "maxLength": _STATE_CHARS_MAX,
}
StateName = Annotated[str, BeforeValidator(_state_name), WithJsonSchema(STATE_NAME_SCHEMA)]
AfterKey = Annotated[str, BeforeValidator(_after_key)]


class Transition(Strict):
    """What an event, or the end of a time, leads to."""

    description: str | None = None
    """For people."""
    target: StateName | None = None
    """The next state; also the same one, which is left and entered again. Without it the
    machine stays where it is, and only the actions run."""
    guard: Condition | None = None
    """The transition is taken only when this is true. Sees `event`, `state`, `previous`
    and what actions have come to."""
    actions: Steps | None = None
    """Steps that run one after the other, between the `exit` of one state and the `entry`
    of the next."""


Ways = Annotated[
    list[Transition],
    BeforeValidator(_as_ways),
    Field(min_length=1, max_length=_WAYS_MAX),
    WithJsonSchema(
        {
            "anyOf": [
                STATE_NAME_SCHEMA,
                {"$ref": "#/$defs/Transition"},
                {
                    "type": "array",
                    "items": {"anyOf": [STATE_NAME_SCHEMA, {"$ref": "#/$defs/Transition"}]},
                    "minItems": 1,
                    "maxItems": _WAYS_MAX,
                },
            ],
            "description": "A state, a transition, or several of which the first that "
            "its guard lets pass is taken.",
        }
    ),
]


class State(Strict):
    """One state of a state machine."""

    description: str | None = None
    """For people."""
    on: Annotated[
        dict[EventName, Ways],
        Field(
            default_factory=dict,
            json_schema_extra={
                "propertyNames": {
                    "pattern": SIGNAL_NAME_PATTERN,
                    "maxLength": SIGNAL_NAME_CHARS_MAX,
                }
            },
        ),
    ]
    """Which event leads where. The event `error` comes from the machine itself: an action
    of the state has failed for good."""
    after: Annotated[
        dict[AfterKey, Ways],
        Field(
            default_factory=dict,
            json_schema_extra={"propertyNames": {"pattern": DURATION_PATTERN}},
        ),
    ]
    """Where it goes by itself, so long after the state was entered."""
    entry: Steps | None = None
    """Steps that run, one after the other, when the state is entered."""
    exit: Steps | None = None
    """Steps that run, one after the other, before the state is left."""
    final: bool = False
    """True: the machine ends here, after `entry`."""
    annotations: dict[str, Any] | None = None
    """Tags, notes, positions for the editor; never change meaning."""


@record
class ActionList:
    """Actions of a state or a transition. `path` leads to the list from the root."""

    name: str
    path: tuple[str | int, ...]


@record
class Way:
    """One transition, located. `name` is the same as that of its actions."""

    name: str
    path: tuple[str | int, ...]
    transition: Transition


class StatesStep(Step):
    """The state machine that a document with `states` is."""

    machine: ClassVar[str] = "states"

    type: Literal["states"]
    initial: str
    states: dict[str, State]

    def ways(self, raw: JsonObject) -> Iterator[tuple[str, str, str, list[Way]]]:
        """Yield every `on` and `after`: state, `on` or `after`, event or duration, ways.

        Args:
            raw: The document.
        """
        all_states: Any = raw["states"]
        for state_name, state in self.states.items():
            names: set[str] = set()
            for key, table in (("on", state.on), ("after", state.after)):
                for word, ways in table.items():
                    path = ("states", state_name, key, word)
                    is_list = isinstance(all_states[state_name][key][word], list)
                    located = [
                        Way(
                            f"{state_name} {_unique(f'{key} {word}', names)}",
                            (*path, position) if is_list else path,
                            transition,
                        )
                        for position, transition in enumerate(ways)
                    ]
                    yield state_name, key, word, located

    def action_lists(self, raw: JsonObject) -> Iterator[ActionList]:
        """Yield every list of actions, in the order of the document's states."""
        for name, state in self.states.items():
            for key in ("entry", "exit"):
                if getattr(state, key) is not None:
                    yield ActionList(f"{name} {key}", ("states", name, key))
        for _, _, _, ways in self.ways(raw):
            for way in ways:
                if way.transition.actions is not None:
                    yield ActionList(way.name, (*way.path, "actions"))

    def parts(self, raw: JsonObject) -> Parts:
        """One scope per list of actions, one condition per guard, and the table."""
        names = frozenset(one.name for one in self.action_lists(raw))
        return Parts(
            templates=tuple(self._guards(raw)),
            scopes=tuple(
                ScopePart(one.name, one.path, "sequence", NAMES)
                for one in self.action_lists(raw)
            ),
            options={"initial": self.initial, "states": self._table(raw, names)},
            waits_outside=True,
        )

    def _guards(self, raw: JsonObject) -> Iterator[TemplatePart]:
        for _, _, _, ways in self.ways(raw):
            for way in ways:
                if way.transition.guard is not None:
                    name = f"guard {way.name}"
                    yield condition_part(name, *way.path, "guard", names=NAMES)

    def _table(self, raw: JsonObject, lists: frozenset[str]) -> JsonObject:
        table: dict[str, dict[str, Any]] = {
            name: {
                "final": state.final,
                "entry": _known(f"{name} entry", lists),
                "exit": _known(f"{name} exit", lists),
                "on": {},
                "after": [],
            }
            for name, state in self.states.items()
        }
        for state_name, key, word, ways in self.ways(raw):
            told = [_way_json(way, lists) for way in ways]
            if key == "on":
                table[state_name]["on"][word] = told
            else:
                timed = {"delay_ms": parse_duration_ms(word), "text": word, "ways": told}
                table[state_name]["after"].append(timed)
        whole: JsonObject = {**table}
        return whole


def _way_json(way: Way, lists: frozenset[str]) -> JsonValue:
    guard = None if way.transition.guard is None else f"guard {way.name}"
    return {
        "target": way.transition.target,
        "guard": guard,
        "actions": _known(way.name, lists),
    }


def _known(name: str, lists: frozenset[str]) -> str | None:
    return name if name in lists else None


def _unique(name: str, taken: set[str]) -> str:
    """Return `name`, numbered if another one of the state makes the same address.

    >>> taken: set[str] = set()
    >>> [_unique(name, taken) for name in ("on a.b", "on a-b", "on a.b")]
    ['on a.b', 'on a-b 2', 'on a.b 3']
    """
    number, found = 1, name
    while in_address(found) in taken:
        number += 1
        found = f"{name} {number}"
    taken.add(in_address(found))
    return found


def in_address(name: str) -> str:
    """Return how the name of a list of actions stands in addresses.

    >>> in_address("on order/17:paid")
    'on_order_17_paid'
    """
    return re.sub(r"[^A-Za-z0-9_]", "_", name)
