"""State machine: events lead it from one state to the next, for as long as that takes.

Rule 1. It lives in a journal, like everything that waits for somebody outside; without one
it lives in memory, in a store of its own, and ends with its session.
Rule 2. Guards that are functions are asked by whoever sends an event, and what they said
travels with it: so it is recorded, and a replay decides as it was decided.

Not here: how a session follows it (plait.patterns.session).
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Final, Generic, TypeAlias, TypeVar, Unpack

from plait.model.json import JsonObject, JsonValue
from plait.patterns.base import Pattern, Where
from plait.patterns.build import call, context, either, limits
from plait.patterns.checks import Retry, check_seconds, duration
from plait.patterns.context import Callee
from plait.patterns.journal import Journal, Place, opened
from plait.patterns.outcome import Outcome
from plait.patterns.session import Guard, Session
from plait.stores.memory import MemoryStore

In = TypeVar("In")
S = TypeVar("S", bound=str)
E = TypeVar("E", bound=str)

_PAYLOAD: Final = (
    "${event == null || event.payload == null ? null"
    " : event.name == 'error' ? event.payload : event.payload.?value.orValue(null)}"
)


@dataclass(frozen=True, slots=True)
class Action:
    """A function that runs on the way from one state to another.

    Attributes:
        function: Takes the machine's input, or a `Context` with what actions have come to,
            and as a second value the payload of the event that led here.
        name: For people and `Context.results`. Default: the function's.
        timeout_s, retry, effect: As in `SagaStep`.
    """

    function: Callable[..., Any]
    name: str = ""
    timeout_s: float | None = None
    retry: Retry | int | None = None
    effect: str = "keyed"


Actions: TypeAlias = Callable[..., Any] | Action | Sequence[Callable[..., Any] | Action]


@dataclass(frozen=True, slots=True)
class Transition(Generic[S]):
    """What an event, or the end of a time, leads to.

    Attributes:
        target: The next state; None: the machine stays, and only the actions run.
        guard: It is taken only when this is true: a function of the machine's input and
            the event's payload (one that fails does not hold), or an expression over
            `event.payload.value`, `input` and actions, such as
            `${reserve.response.is_complete}`.
        actions: Run between the exit of one state and the entry of the next.
    """

    target: S | None = None
    guard: Callable[..., Any] | str | None = None
    actions: Actions = ()


Ways: TypeAlias = S | Transition[S] | Sequence[Transition[S]]


@dataclass(frozen=True, slots=True)
class State(Generic[S, E]):
    """One state.

    Attributes:
        on: Where events lead: a state, a transition, or several, of which the first that
            its guard lets pass is taken. `error`: an action has failed for good.
        after: Where it goes by itself, so many seconds after it was entered.
        entry, exit: Actions that run when it is entered, and before it is left.
        final: The machine ends here, after `entry`.
    """

    on: Mapping[E, Ways[S]] = field(default_factory=dict)
    after: Mapping[float, Ways[S]] = field(default_factory=dict)
    entry: Actions = ()
    exit: Actions = ()
    final: bool = False


class StateMachine(Pattern[In, dict[str, Any]], Generic[In, S, E]):
    """States, events that lead from one to the next, and what is done on the way.

    States and events are texts, or string enums, so that a type checker knows them all.

    Args:
        initial: The state in which it begins.
        states: By name.
        timeout_s: From its beginning to its end, seconds.

    Raises:
        ValueError: A transition leads to a state that is not there, a state is never
            reached, a guard of an `after` is a function, an action is none.

    >>> import asyncio
    >>> def is_enough(order: dict, payment: dict) -> bool:
    ...     return payment["amount"] >= order["total"]
    >>> orders = StateMachine[dict, str, str]("order", "created", {
    ...     "created": State({"pay": Transition("paid", guard=is_enough)}),
    ...     "paid": State({"ship": "shipped"}),
    ...     "shipped": State(final=True),
    ... })
    >>> async def use():
    ...     async with orders.start({"total": 40}) as order:
    ...         await order.send("pay", {"amount": 40})
    ...         return await order.send("ship")
    >>> asyncio.run(use())
    'shipped'
    """

    kind: ClassVar[str] = "state machine"

    def __init__(
        self,
        name: str,
        initial: S,
        states: Mapping[S, State[S, E]],
        *,
        timeout_s: float | None = None,
    ) -> None:
        super().__init__(name)
        what = f"{self.kind} '{name}'"
        _check_mapping(f"{what}: states: a mapping from name to State", states)
        self.states = {word_of(one): state for one, state in states.items()}
        self._names = {word_of(one): one for one in states}
        self._actions: dict[str, tuple[Action, Callee]] = {}
        self._guards: dict[str, list[Guard]] = {}
        if not self.states:
            raise ValueError(f"{what}: it has no states")
        # All actions see each other, so they are known before any is written down.
        written = [
            functools.partial(self._state, one, state, self._noted(one, state))
            for one, state in self.states.items()
        ]
        made: JsonObject = dict(zip(self.states, [one() for one in written], strict=True))
        document: JsonObject = {"initial": word_of(initial), "states": made}
        self._compile({**document, **limits(what, timeout_s=timeout_s)})
        if self.warnings:
            # In a program nobody would see them: a state is never reached, or never left.
            raise ValueError(f"{what}: {self.warnings[0].message}")

    # -- making ------------------------------------------------------------------------

    def _noted(self, state: str, given: State[S, E]) -> dict[str, list[str]]:
        """Register the actions of a state; return their names, by where they stand."""
        one: Any = given
        if not isinstance(one, State):
            kind = type(one).__name__
            raise ValueError(
                f"{self.kind} '{self.name}': {state}: a State is needed, this is a {kind}"
            )
        for key in ("on", "after"):
            told = f"{self.kind} '{self.name}': {state}: {key}: a mapping"
            _check_mapping(told, getattr(given, key))
        found = {"entry": self._ids(given.entry), "exit": self._ids(given.exit)}
        for key, table in (("on", given.on), ("after", given.after)):
            for word, ways in table.items():
                for number, way in enumerate(_ways(ways)):
                    found[f"{key} {_key(word)} {number}"] = self._ids(way.actions)
        return found

    def _ids(self, actions: Actions) -> list[str]:
        listed = actions if isinstance(actions, Sequence) else [actions]
        return [self._id(one) for one in listed]

    def _id(self, given: Callable[..., Any] | Action) -> str:
        action = given if isinstance(given, Action) else Action(given)
        name = action.name or getattr(action.function, "__name__", "")
        if not name or name == "<lambda>":
            raise ValueError(f"{self.kind} '{self.name}': an action has no name to go by")
        number, own = 1, name
        while own in self._actions:
            number += 1
            own = f"{name}_{number}"
        self._actions[own] = action, self._callee(own, action.function, values=2)
        return own

    def _state(
        self, name: str, state: State[S, E], ids: dict[str, list[str]]
    ) -> JsonObject:
        written: JsonObject = {}
        if state.final:
            written["final"] = True
        for key in ("entry", "exit"):
            if ids[key]:
                written[key] = self._steps(ids[key])
        on: JsonObject = {
            word_of(event): self._table(
                name, f"on {_key(event)}", ways, ids, word_of(event)
            )
            for event, ways in state.on.items()
        }
        after: JsonObject = {
            self._delay(name, delay_s): self._table(
                name, f"after {_key(delay_s)}", ways, ids, ""
            )
            for delay_s, ways in state.after.items()
        }
        return {
            **written,
            **({"on": on} if on else {}),
            **({"after": after} if after else {}),
        }

    def _delay(self, state: str, delay_s: float) -> str:
        check_seconds(f"{self.kind} '{self.name}': {state}: after", delay_s)
        return duration(delay_s)

    def _table(
        self, state: str, where: str, ways: Ways[S], ids: dict[str, list[str]], event: str
    ) -> list[JsonValue]:
        """Return the transitions of one event or time."""
        written: list[JsonValue] = []
        for number, way in enumerate(_ways(ways)):
            one: JsonObject = {}
            if way.target is not None:
                one["target"] = word_of(way.target)
            if way.guard is not None:
                one["guard"] = self._guard(state, way.guard, event)
            if ids[f"{where} {number}"]:
                one["actions"] = self._steps(ids[f"{where} {number}"])
            written.append(one)
        return written

    def _guard(self, state: str, guard: Callable[..., Any] | str, event: str) -> str:
        if isinstance(guard, str):
            return guard
        what = f"{self.kind} '{self.name}': {state}"
        if not event:
            raise ValueError(
                f"{what}: nobody is there to ask the guard of an `after`: write it as an "
                "expression"
            )
        name = f"guard_{sum(map(len, self._guards.values()))}"
        self._callee(name, guard, values=2)
        self._guards.setdefault(event, []).append(Guard(state, name, f"{self.name}.{name}"))
        return f"${{event.payload.guards.{name}}}"

    def _steps(self, ids: list[str]) -> list[JsonValue]:
        return [self._step(one) for one in ids]

    def _step(self, own: str) -> JsonObject:
        action, callee = self._actions[own]
        given = either("${input}", context("${input}", self._actions))
        what = f"{self.kind} '{self.name}': {own}"
        settings = limits(what, timeout_s=action.timeout_s, retry=action.retry)
        return {**call(own, callee, given, _PAYLOAD), **settings, "effect": action.effect}

    # -- running -----------------------------------------------------------------------

    @asynccontextmanager
    async def start(
        self,
        value: In,
        *,
        journal: Place | Journal | None = None,
        key: str | None = None,
    ) -> AsyncIterator[Session[S, E]]:
        """Begin in the initial state, or go on with the machine that has this key already.

        Args:
            journal, key: As of `Pattern.run`. Without a journal the machine ends with the
                block; with one it stays as it is, and goes on when it is started again.
        """
        given = self._given(value)
        if journal is None and key is not None:
            raise ValueError("key: it names a machine in a journal; give one")
        place = MemoryStore() if journal is None else journal
        async with opened(place, self) as kept:
            execution_id = await kept.begin(self, given, key)
            session = Session[S, E](self, kept, execution_id, given)
            await session.settled()
            yield session

    async def run(self, value: In, **where: Unpack[Where]) -> Outcome[dict[str, Any]]:
        """Begin, and wait for the end: of a machine that goes on by itself."""
        async with self.start(value, **where) as session:
            return await session.ended()

    def named(self, state: str) -> S:
        """Return a state as it was given: a text, or an enum's member."""
        return self._names[state]

    def guards_of(self, event: str) -> Sequence[Guard]:
        """Return the guards that are functions, of an event in whatever state."""
        return self._guards.get(event, ())


def word_of(name: str) -> str:
    """Return the text that a state or an event is.

    >>> class Light(str, Enum):
    ...     RED = "red"
    >>> word_of(Light.RED), word_of("green")
    ('red', 'green')
    """
    return str(name.value) if isinstance(name, Enum) else name


def _check_mapping(what: str, given: object) -> None:
    if not isinstance(given, Mapping):
        raise ValueError(f"{what} is needed; not a {type(given).__name__}")


def _key(word: str | float) -> str:
    return word_of(word) if isinstance(word, str) else str(word)


def _ways(ways: Ways[S]) -> Sequence[Transition[S]]:
    if isinstance(ways, Transition):
        return [ways]
    if isinstance(ways, str):
        return [Transition(ways)]
    return ways
