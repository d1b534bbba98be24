"""Sessions: how a program follows one state machine, and tells it of events.

Rule. What a session says is what the journal says: it reads what was recorded since it
looked last, also when another process runs the machine.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from plait.connectors.python import Functions
from plait.connectors.python.values import NoJson, as_json
from plait.drivers.inline import Result
from plait.drivers.outcome import outcome_of
from plait.kernel import StartCall
from plait.kernel.codec import load_turn
from plait.kernel.events import (
    Event,
    SignalRefused,
    SignalTaken,
    StateEntered,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepSkipped,
    StepStarted,
    TerminalEvent,
)
from plait.model.errors import Advice, PlaitError
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.patterns.journal import Journal
from plait.patterns.outcome import Outcome
from plait.plan import Plan
from plait.ports.calls import Calls

S = TypeVar("S", bound=str)
E = TypeVar("E", bound=str)
S_co = TypeVar("S_co", bound=str, covariant=True)

# How long to wait before looking again: soon at first, most events take a millisecond.
_LOOK_AGAIN_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02)
_GUARD_TIMEOUT_MS: Final = 30_000
_ID_BYTES: Final = 8


class EventRefused(PlaitError):
    """The state that a machine is in does not take an event, or no guard let it pass.

    Attributes:
        state: That state.
        event: What was sent.
    """

    code: ClassVar[str] = "pattern.event_refused"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, state: str, event: str, why: str = "") -> None:
        super().__init__(f"state '{state}' does not take the event '{event}'{why}")
        self.state = state
        self.event = event


@record
class Guard:
    """A guard that is a function: its state, its name in payloads, and its function's."""

    state: str
    name: str
    function: str


@record
class Change:
    """A machine has entered a state.

    Attributes:
        state: The new one; `previous` the one before, None at the beginning.
        event: What led here; `after …` for a time that was over, empty at the beginning.
        at_ms: When, milliseconds since the Unix epoch.
    """

    state: str
    previous: str | None
    event: str
    at_ms: int


class Machine(Protocol[S_co]):
    """The pattern, as its sessions see it."""

    name: str
    functions: Functions

    @property
    def plan(self) -> Plan:
        """What it is made into by now."""
        ...

    @property
    def calls(self) -> Calls:
        """What calls its functions."""
        ...

    def named(self, state: str) -> S_co:
        """Return a state as it was given."""
        ...

    def guards_of(self, event: str) -> Sequence[Guard]:
        """Return the guards of an event that are functions."""
        ...

    def outcome_of(self, result: Result) -> Outcome[dict[str, Any]]:
        """Return how it ended."""
        ...


class Session(Generic[S, E]):
    """One machine under way.

    Attributes:
        execution_id: Names it in the journal.
        history: All states that it has entered, the first first.
        is_ended: True once it has come to a final state, or failed.
    """

    def __init__(
        self, machine: Machine[S], journal: Journal, execution_id: str, value: JsonValue
    ) -> None:
        self.execution_id = execution_id
        self.history: list[Change] = []
        self.is_ended = False
        self._machine = machine
        self._journal = journal
        self._value = value
        self._looked_at = 0
        self._active: set[str] = set()
        # What became of events, by their ids.
        self._heard: dict[str, bool] = {}

    @property
    def state(self) -> S:
        """The state that it was in when it was looked at last."""
        return self._machine.named(self.history[-1].state)

    async def send(
        self, event: E, payload: Any = None, *, event_id: str | None = None
    ) -> S:
        """Tell the machine of an event; return the state that it has come to when all
        actions have ended.

        Args:
            payload: JSON, dataclasses, pydantic models.
            event_id: Sent again under this id, it changes nothing.

        Raises:
            EventRefused: The state does not take it.
            ValueError: The payload is no JSON.
        """
        word = str(getattr(event, "value", event))
        signal_id = event_id or secrets.token_hex(_ID_BYTES)
        try:
            given = as_json(payload)
        except NoJson as error:
            raise ValueError(f"event '{word}' was given {error}") from None
        guards, whys = await self._asked(word, given)
        told: JsonObject = {"value": given, "guards": guards}
        await self.settled()
        if self.is_ended:
            raise EventRefused(self.history[-1].state, word, ": the machine has ended")
        await self._journal.tell(self.execution_id, word, told, signal_id)
        async for _ in self._looks():
            if signal_id in self._heard or self.is_ended:
                break
        if not self._heard.get(signal_id):
            state = self.history[-1].state
            raise EventRefused(state, word, whys.get(state, ""))
        return await self.settled()

    async def settled(self) -> S:
        """Wait until no action is under way; return the state."""
        async for _ in self._looks():
            if self.history and (self.is_ended or not self._active):
                break
        return self.state

    async def until(self, *states: S) -> S:
        """Wait until it is in one of these states, however it gets there, or has ended."""
        words = [str(getattr(one, "value", one)) for one in states]
        async for _ in self._looks():
            is_there = bool(self.history) and self.history[-1].state in words
            if self.is_ended or (is_there and not self._active):
                break
        return self.state

    async def ended(self) -> Outcome[dict[str, Any]]:
        """Wait for its end; return how it ended.

        `output` has the `state`, and `context`: what actions have come to, by name.
        """
        result = await self._journal.ended(self.execution_id)
        await self._look()
        return self._machine.outcome_of(result)

    # -- looking -----------------------------------------------------------------------

    async def _looks(self) -> Any:
        """Look again and again, with a rest in between."""
        for delay_s in chain(_LOOK_AGAIN_S, repeat(_LOOK_AGAIN_S[-1])):
            await self._look()
            yield None
            await asyncio.sleep(delay_s)

    async def _look(self) -> None:
        """Take in what was recorded since the last look."""
        entries = await self._journal.entries(self.execution_id)
        if len(entries) < self._looked_at:
            # Its history has begun anew: the first entry says how it stood.
            self._looked_at = 1
        for entry in entries[self._looked_at :]:
            for event in load_turn(entry):
                self._take_in(event)
        self._looked_at = len(entries)

    def _take_in(self, event: Event) -> None:
        match event:
            case StateEntered():
                entered = (event.state, event.previous, event.cause, event.at_ms)
                self.history.append(Change(*entered))
            case SignalTaken():
                self._heard[event.signal_id] = True
            case SignalRefused():
                self._heard.setdefault(event.signal_id, False)
            case StepStarted() if "[" in event.step:
                self._active.add(event.step)
            case StepCompleted() | StepFailed() | StepSkipped() | StepCancelled():
                self._active.discard(event.step)
            case _:
                self.is_ended |= isinstance(event, TerminalEvent)

    # -- guards ------------------------------------------------------------------------

    async def _asked(
        self, event: str, payload: JsonValue
    ) -> tuple[JsonObject, dict[str, str]]:
        """Return what the guards of an event say of it, by name, and by state why one
        that said nothing clear does not hold.

        All states' are asked: in which one the machine is when it hears of the event is
        not known yet.
        """
        found, whys = dict[str, JsonValue](), dict[str, str]()
        for guard in self._machine.guards_of(event):
            said = await self._answer(guard, payload)
            found[guard.name] = said is True
            if isinstance(said, str):
                whys.setdefault(guard.state, said)
        return found, whys

    async def _answer(self, guard: Guard, payload: JsonValue) -> bool | str:
        """Return what a guard says, or why it says nothing."""
        function = self._machine.functions.named(guard.function)
        known = function.signature
        count = 2 if known is None else len(known.parameters)
        arguments = [self._value, payload][:count]
        call = StartCall(
            "python",
            {"function": guard.function, "arguments": arguments},
            False,
            _GUARD_TIMEOUT_MS,
            None,
            (),
            self.execution_id,
            guard.name,
            1,
        )
        said = await outcome_of(self._machine.calls.start, call)
        if isinstance(said, Failure):
            return f": its guard failed: {said.message}"
        if not isinstance(said.response, bool):
            return f": its guard returned {said.response!r}, not true or false"
        return said.response
