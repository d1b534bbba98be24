"""States node: a state machine. One state at a time, one transition at a time.

Rule 1. Run to completion: while actions run, nothing else happens to the machine. Events
        are kept in the order of their coming, times that are over are remembered; both are
        looked at when the actions have ended, the times first.
Rule 2. An event that no transition takes is refused and changes nothing. So is one whose
        guard has no value: a stranger's payload must not fail an execution. The guard of
        an `after` is the author's alone: without a value it fails the machine.
Rule 3. What actions came to stands in the names of the frame around the machine, by step
        id: the latest wins, and one that has not run yet reads as skipped.
Rule 4. Each run of a list of actions has its number, so its steps' addresses, attempts and
        idempotency keys are its own: `states[paid][entry][0]/charge`.

Not here: which tables are wrong (plait.compile.states), keeping events for their turn
(plait.kernel.mailbox).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, cast

from plait.expression import ExpressionError
from plait.kernel.events import ApprovalDecided, SignalReceived, StateEntered
from plait.kernel.iteration import TURN_EVENTS_MAX
from plait.kernel.machine import Machine, Offers
from plait.kernel.mailbox import kept, refuse, take
from plait.kernel.state import Execution, Frame, Run
from plait.kernel.timers import cancel_timer, start_timer
from plait.kernel.views import absent_view, moment_text
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.model.place import Place
from plait.plan import Node

ERROR: Final = "error"
# Of transitions that nothing from outside and no time led to: more go in a circle.
TRANSITIONS_MAX: Final = 100
_AFTER: Final = "item_after"
_RUN: Final = "run"
_ENTER: Final = "enter"


@dataclass(slots=True)
class Position:
    """Where a machine is.

    Attributes:
        state: Empty before the first is entered.
        todo: What is left of the transition under way: lists to run, a state to enter.
        counts: How often each list of actions has begun.
        due: Which of the state's `after` were over while actions ran, the first first.
        cause: What led to the transition under way.
        is_handling: True while a transition on `error` runs: what fails in it is final.
        unasked: How many transitions in a row an `error` or an `after` of no time led to.
    """

    state: str = ""
    todo: list[list[str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    due: list[int] = field(default_factory=list)
    cause: str = ""
    is_handling: bool = False
    unasked: int = 0


class StatesMachine(Machine):
    """Waits for events and moments; runs the actions of what they lead to."""

    name: ClassVar[str] = "states"
    waits_outside: ClassVar[bool] = True
    is_endless: ClassVar[bool] = True

    def turns(self, node: Node) -> tuple[tuple[str, ...], ...]:
        """One list of actions at a time, whichever is next."""
        return (tuple(node.scopes),)

    def suffix(self, name: str) -> str:
        """`paid entry` stands at `[paid][entry][*]/`, `paid on a.b` at `[paid][on_a_b]…`.

        The number counts how often the list has run, from 0.
        """
        state, _, rest = name.partition(" ")
        told = "".join(one if one.isascii() and one.isalnum() else "_" for one in rest)
        return f"[{state}][{told}][*]/"

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Enter the first state."""
        names = run.frame.names
        for scope in run.node.scopes.values():
            for node in scope.nodes:
                names[node.id] = absent_view(node, "skipped", 0, None)
        names.update({"event": None, "state": None, "previous": None})
        first = str(run.node.options["initial"])
        run.memory = Position(todo=[[_ENTER, first]])
        self._go_on(kernel, x, run)

    def dump_memory(self, memory: Position) -> JsonValue:
        """See plait.kernel.machine.Machine."""
        todo = cast("JsonValue", [list(one) for one in memory.todo])
        counts: JsonObject = {**memory.counts}
        due: list[JsonValue] = [*memory.due]
        handling, unasked = memory.is_handling, memory.unasked
        return [memory.state, todo, counts, due, memory.cause, handling, unasked]

    def load_memory(self, saved: Any) -> Position:
        """See plait.kernel.machine.Machine."""
        state, todo, counts, due, *others = saved
        left = [list(one) for one in todo]
        return Position(state, left, dict(counts), list(due), *others)

    # -- what comes ------------------------------------------------------------------

    def hears(
        self,
        kernel: Offers,
        x: Execution,
        run: Run,
        event: SignalReceived | ApprovalDecided,
    ) -> bool:
        """Take the event, or refuse it: when the machine waits, nothing else does."""
        if isinstance(event, ApprovalDecided):
            return False
        if self._offer(x, run, event):
            self._go_on(kernel, x, run)
        return True

    def wanted(self, run: Run) -> JsonObject:
        """Return the state, and the events that it takes."""
        events: list[JsonValue] = [*takes(run)]
        told = " or ".join(map(str, events))
        return {"for": "event", "name": told, "state": run.memory.state, "events": events}

    def on_timer(self, kernel: Offers, x: Execution, run: Run) -> None:
        """The turn before was long enough."""
        self._go_on(kernel, x, run)

    def on_item_timer(self, kernel: Offers, x: Execution, run: Run, purpose: str) -> None:
        """The time of an `after` is over; if actions run, it waits for their end."""
        run.memory.due.append(int(purpose.partition(" ")[2]))
        if run.path in x.waiting:
            self._go_on(kernel, x, run)

    def on_frame_completed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, output: JsonValue
    ) -> None:
        """Keep what the actions came to; go on with the transition."""
        _remember(run, frame)
        self._go_on(kernel, x, run)

    def on_frame_failed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, failure: Failure
    ) -> None:
        """Take the state's transition on `error`, if there is one; else fail."""
        _remember(run, frame)
        position: Position = run.memory
        place = run.node.place
        failure = failure.at(step=run.path, attempts=run.attempt, place=place)
        ways = _state(run)["on"].get(ERROR, [])
        told = _event(ERROR, "", failure.as_json(), x.now_ms)
        try:
            way = None if position.is_handling else _pick(run, ways, told)
        except ExpressionError:
            way = None
        if way is None:
            kernel.fail(x, run, failure)
            return
        # An exit that has failed is not tried again on the way out.
        has_exited = frame.name == _state(run)["exit"]
        self._begin(x, run, way, told, has_exited=has_exited)
        position.is_handling = True
        position.unasked += 1
        self._go_on(kernel, x, run)

    # -- transitions -----------------------------------------------------------------

    def _offer(self, x: Execution, run: Run, signal: SignalReceived) -> bool:
        """Begin the transition that `signal` leads to, or refuse it."""
        told = _event(signal.name, signal.signal_id, signal.payload, signal.at_ms)
        ways = [] if signal.name == ERROR else _state(run)["on"].get(signal.name, [])
        try:
            way = _pick(run, ways, told)
        except ExpressionError:
            way = None
        if way is None:
            refuse(x, signal)
            return False
        take(x, run, signal)
        run.memory.unasked = 0
        self._begin(x, run, way, told)
        return True

    def _begin(
        self,
        x: Execution,
        run: Run,
        way: dict[str, Any],
        told: JsonObject,
        cause: str = "",
        *,
        has_exited: bool = False,
    ) -> None:
        """Note what is to be done for a transition; `_go_on` does it."""
        position: Position = run.memory
        x.waiting.pop(run.path, None)
        run.frame.names["event"] = told
        position.cause = cause or str(told["name"])
        actions = [[_RUN, way["actions"]]] if way["actions"] else []
        if way["target"] is None:
            position.todo = actions
            return
        leaving = _state(run)["exit"]
        exits = [[_RUN, leaving]] if leaving and not has_exited else []
        position.todo = [*exits, *actions, [_ENTER, way["target"]]]

    def _go_on(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Do what is left of the transition, then what has come meanwhile; then wait."""
        position: Position = run.memory
        while True:
            if position.unasked > TRANSITIONS_MAX:
                kernel.fail(x, run, _circling(run))
                return
            if len(x.events) >= TURN_EVENTS_MAX:
                x.waiting.pop(run.path, None)
                kernel.start_timer(x, run, x.now_ms)
                return
            if not position.todo:
                position.is_handling = False
                if _state(run)["final"]:
                    self._finish(kernel, x, run)
                    return
                if not self._next(kernel, x, run):
                    return
                continue
            what, name = position.todo.pop(0)
            if what == _RUN:
                self._act(kernel, x, run, name)
                return
            self._enter(x, run, name)

    def _act(self, kernel: Offers, x: Execution, run: Run, actions: str) -> None:
        number = run.memory.counts.get(actions, 0)
        run.memory.counts[actions] = number + 1
        suffix = self.suffix(actions).replace("[*]", f"[{number}]")
        kernel.open_frame(x, run, actions, suffix)

    def _enter(self, x: Execution, run: Run, name: str) -> None:
        position: Position = run.memory
        previous = position.state or None
        # Not before: who fails on the way out stays, and so do the times.
        _forget_times(x, run)
        position.state, position.is_handling = name, False
        run.frame.names.update({"state": name, "previous": previous})
        x.events.append(StateEntered(run.path, name, previous, position.cause, x.now_ms))
        state = _state(run)
        for number, one in enumerate(state["after"]):
            start_timer(x, run, f"{_AFTER} {number}", x.now_ms + one["delay_ms"])
        if state["entry"]:
            position.todo.append([_RUN, state["entry"]])

    def _next(self, kernel: Offers, x: Execution, run: Run) -> bool:
        """Begin the next transition. False: there is none, and the machine waits."""
        try:
            if self._is_time_up(x, run):
                return True
        except ExpressionError as error:
            # Not at the machine's own address: who resumes it must not begin it anew, and
            # forget what it was told.
            where = f"{run.path}[{run.memory.state}][after]"
            failure = error.failure().at(step=where, attempts=0, place=_place(run))
            kernel.fail(x, run, failure)
            return False
        for signal in list(kept(x)):
            if self._offer(x, run, signal):
                return True
        if run.path not in x.waiting:
            kernel.wait_outside(x, run, None)
        return False

    def _is_time_up(self, x: Execution, run: Run) -> bool:
        """Begin the transition of the first `after` that is over and may be taken.

        Raises:
            ExpressionError: Its guard has no value.
        """
        position: Position = run.memory
        while position.due:
            one = _state(run)["after"][position.due.pop(0)]
            told = _event("after", "", None, x.now_ms)
            way = _pick(run, one["ways"], told)
            if way is not None:
                self._begin(x, run, way, told, f"after {one['text']}")
                position.unasked = 0 if one["delay_ms"] else position.unasked + 1
                return True
        return False

    def _finish(self, kernel: Offers, x: Execution, run: Run) -> None:
        names, nodes = run.frame.names, _nodes(run)
        context: JsonObject = {
            name: names[name]["response"]
            for name in nodes
            if names[name]["status"] == "completed"
        }
        response: JsonObject = {"state": run.memory.state, "context": context}
        run.memory = None
        kernel.succeed(x, run, response)


def _circling(run: Run) -> Failure:
    """Return the failure of a machine that would go on and on by itself."""
    state = run.memory.state
    text = f"more than {TRANSITIONS_MAX} transitions in a row that nothing waited for"
    details: JsonObject = {"state": state, "transitions_max": TRANSITIONS_MAX}
    failure = Failure("limit.transitions", text, details, Advice.FIX_REQUEST)
    # Not at the machine's own address: who resumes it must not begin it anew.
    return failure.at(step=f"{run.path}[{state}]", attempts=0, place=_place(run))


def takes(run: Run) -> list[str]:
    """Return the events that the state of a machine takes."""
    return sorted(name for name in _state(run)["on"] if name != ERROR)


def _state(run: Run) -> dict[str, Any]:
    states = cast("dict[str, Any]", run.node.options["states"])
    found: dict[str, Any] = states[run.memory.state]
    return found


def _place(run: Run) -> Place:
    """Return where the state that a machine is in stands."""
    # Plans of executions that are older than this have no places of states.
    found = _state(run).get("place")
    return run.node.place if found is None else Place(*found)


def _nodes(run: Run) -> dict[str, None]:
    scopes = run.node.scopes.values()
    return dict.fromkeys(node.id for scope in scopes for node in scope.nodes)


def _remember(run: Run, frame: Frame) -> None:
    """Let all that follows see what the steps of `frame` have come to."""
    for node in frame.scope.nodes:
        run.frame.names[node.id] = frame.names[node.id]


def _forget_times(x: Execution, run: Run) -> None:
    run.memory.due.clear()
    for timer, purpose in list(run.timers.items()):
        if purpose.startswith(_AFTER):
            cancel_timer(x, run, timer)


def _pick(run: Run, ways: list[dict[str, Any]], told: JsonObject) -> dict[str, Any] | None:
    """Return the first transition whose guard lets it pass.

    Raises:
        ExpressionError: A guard before it has no value.
    """
    names: dict[str, Any] | None = None
    for way in ways:
        if way["guard"] is None:
            return way
        names = names or {**run.frame.names, "event": told}
        if run.node.templates[way["guard"]].render_bool(names):
            return way
    return None


def _event(name: str, signal_id: str, payload: JsonValue, at_ms: int) -> JsonObject:
    return {"name": name, "id": signal_id, "payload": payload, "at": moment_text(at_ms)}


MACHINE = StatesMachine()
