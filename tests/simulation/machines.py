"""Random state machines, and a slow, obvious model of what the language says of them.

The model looks at the raw mapping only. It works out one moment after the other: what the
actions take, what has come meanwhile, and what is next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.simulation.asking import ask, give
from tests.simulation.reckoning import Ambiguous

Json = Any
TIMEOUT_MS = 2_000
EVENTS = ("e0", "e1", "e2")


# -- random documents --------------------------------------------------------------------


class _Maker:
    def __init__(self, lot: Random) -> None:
        self.lot = lot
        self.names = [f"s{number}" for number in range(lot.randint(2, 5))]

    def document(self) -> Json:
        states = {name: self.state(name) for name in self.names}
        # So that guards may read these in every machine.
        known = [give("g0", 0), self.action("a0")]
        states["s0"].setdefault("on", {})["never"] = {"actions": known}
        return {
            "name": "m",
            "initial": "s0",
            "timeout": f"{TIMEOUT_MS}ms",
            "states": states,
            "annotations": {"sent": self.sent()},
        }

    def sent(self) -> list[Json]:
        moments = self.lot.sample(range(1, 1_200), self.lot.randint(2, 10))
        return [
            [at, self.lot.choice([*EVENTS, *EVENTS, "odd", "error"]), self.payload()]
            for at in sorted(moments)
        ]

    def payload(self) -> Json:
        return self.lot.choice([0, 3, 6, 9, "text"])

    def perhaps(self, share: float) -> bool:
        return self.lot.random() < share

    def state(self, name: str) -> Json:
        state: dict[str, Json] = {}
        if self.perhaps(0.5):
            state["entry"] = self.actions()
        if name != "s0" and self.perhaps(0.2):
            return {**state, "final": True}
        if self.perhaps(0.4):
            state["exit"] = self.actions()
        state["on"] = {one: self.ways() for one in EVENTS if self.perhaps(0.6)}
        if self.perhaps(0.5):
            state["on"]["error"] = self.ways()
        if self.perhaps(0.5):
            delays = self.lot.sample(range(20, 600), self.lot.randint(1, 3))
            state["after"] = {f"{delay}ms": self.ways() for delay in delays}
        return state

    def ways(self) -> Json:
        if self.perhaps(0.2):
            return self.lot.choice(self.names)
        count = self.lot.randint(1, 3)
        ways = [{**self.way(), "guard": self.lot.choice([*GUARDS])} for _ in range(count)]
        if self.perhaps(0.6):
            del ways[-1]["guard"]
        return ways[0] if count == 1 and self.perhaps(0.5) else ways

    def way(self) -> Json:
        way: dict[str, Json] = {}
        if self.perhaps(0.8):
            way["target"] = self.lot.choice(self.names)
        if self.perhaps(0.4):
            way["actions"] = self.actions()
        return way

    def actions(self) -> list[Json]:
        ids = self.lot.sample(["g0", "g1", "a0", "a1"], self.lot.randint(1, 2))
        return [self.action(one) for one in ids]

    def action(self, step_id: str) -> Json:
        if step_id.startswith("g"):
            return give(step_id, self.lot.choice([7, COUNT.format(step_id)]))
        code = "no.luck" if self.perhaps(0.35) else None
        played = {"after": self.lot.randint(1, 250), "code": code, "retry_after": None}
        step = ask(step_id)
        step["request"] = {"play": [played], "arg": step_id}
        return {**step, "on_error": "continue"} if self.perhaps(0.2) else step


COUNT = "${{{0}.response == null ? 1 : {0}.response + 1}}"


def machine_by(lot: Random) -> Json:
    """Return a random machine; what is sent to it stands in its annotations."""
    return _Maker(lot).document()


# -- the model ---------------------------------------------------------------------------


class NoValue(Exception):
    """A guard has no value."""


class Failed(Exception):
    """An action has failed for good: code, path."""


@dataclass
class Ended(Exception):
    """The execution is over."""

    kind: str
    payload: Json


def _payload_above(model: Model, told: Json) -> bool:
    if not isinstance(told["payload"], int):
        raise NoValue
    return bool(told["payload"] > 4)


GUARDS: dict[str, Callable[[Model, Json], bool]] = {
    "${event.payload > 4}": _payload_above,
    "${state == 's1'}": lambda model, _: model.state == "s1",
    "${previous == null}": lambda model, _: model.previous is None,
    "${g0.response == null}": lambda model, _: model.seen.get("g0") is None,
    "${a0.status == 'completed'}": lambda model, _: model.seen.get("a0") is not None,
    "${event.name == 'e1'}": lambda _, told: bool(told["name"] == "e1"),
}


@dataclass
class Model:
    """One execution of `document`, which started at moment 0."""

    document: Json
    now: int = 0
    state: str = ""
    previous: str | None = None
    seen: dict[str, Json] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    timers: list[tuple[int, str]] = field(default_factory=list)
    course: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    moments: set[int] = field(default_factory=set)

    def run(self) -> Ended:
        """Return how it ends.

        Raises:
            Ambiguous: Two things happen at one moment.
        """
        sent = self.document["annotations"]["sent"]
        self.inbox = [(at, f"signal-{n}", *told) for n, (at, *told) in enumerate(sent, 1)]
        for at, *_ in sent:
            self.at(at)
        self.at(TIMEOUT_MS)
        try:
            try:
                self.enter(self.document["initial"])
            except Failed as error:
                self.recover(error, has_exited=False)
            while True:
                self.step()
        except Ended as end:
            return end

    def at(self, moment: int) -> None:
        if moment in self.moments:
            raise Ambiguous
        self.moments.add(moment)

    @property
    def table(self) -> Json:
        return self.document["states"][self.state]

    def step(self) -> None:
        """Do the next thing, while no actions run."""
        if self.table.get("final"):
            context = {one: told for one, told in self.seen.items() if told is not None}
            raise Ended("completed", {"state": self.state, "context": context})
        due = [one for one in self.timers if one[0] <= self.now]
        if due:
            first = min(due)
            self.timers.remove(first)
            self.time_up(first[1])
        elif self.inbox and self.inbox[0][0] <= self.now:
            self.hear(*self.inbox.pop(0))
        else:
            coming = [at for at, *_ in (*self.timers, *self.inbox)]
            self.pass_to(min([*coming, TIMEOUT_MS]))

    def pass_to(self, moment: int) -> None:
        if moment >= TIMEOUT_MS:
            self.now = TIMEOUT_MS
            raise Ended("failed", "execution.timeout")
        self.now = moment

    def hear(self, at: int, signal_id: str, name: str, payload: Json) -> None:
        told = {"name": name, "payload": payload}
        try:
            found = None if name == "error" else self.pick("on", name, told)
        except NoValue:
            found = None
        if found is None:
            self.refused.append(signal_id)
        else:
            self.go(*found)

    def time_up(self, delay: str) -> None:
        try:
            found = self.pick("after", delay, {"name": "after", "payload": None})
        except NoValue:
            raise Ended("failed", "expression") from None
        if found is not None:
            self.go(*found)

    def pick(self, key: str, word: str, told: Json) -> tuple[Json, str] | None:
        ways = self.table.get(key, {}).get(word, [])
        ways = [{"target": ways}] if isinstance(ways, str) else ways
        for number, way in enumerate([ways] if isinstance(ways, dict) else ways, 1):
            if "guard" not in way or GUARDS[way["guard"]](self, told):
                return way, f"{key}_{word}" + (f"_{number}" if number > 1 else "")
        return None

    def go(self, way: Json, label: str, *, has_exited: bool = False) -> None:
        """Take a transition; what fails in it is an event of the state it fails in."""
        is_out = has_exited
        try:
            if "target" in way and "exit" in self.table and not has_exited:
                self.act("exit", self.table["exit"])
            is_out = True
            if "actions" in way:
                self.act(label, way["actions"])
        except Failed as error:
            if label.startswith("on_error"):
                raise Ended("failed", error.args) from None
            self.recover(error, has_exited=not is_out)
            return
        if "target" in way:
            try:
                self.enter(way["target"])
            except Failed as error:
                self.recover(error, has_exited=False)

    def recover(self, error: Failed, *, has_exited: bool) -> None:
        code = error.args[0]
        try:
            found = self.pick("on", "error", {"name": "error", "payload": {"code": code}})
        except NoValue:
            found = None
        if found is None:
            raise Ended("failed", error.args)
        self.go(*found, has_exited=has_exited)

    def enter(self, state: str) -> None:
        self.previous, self.state = self.state or None, state
        self.course.append(state)
        self.timers = []
        for delay in self.table.get("after", {}):
            due = self.now + int(delay.removesuffix("ms"))
            self.at(due)
            self.timers.append((due, delay))
        if "entry" in self.table:
            self.act("entry", self.table["entry"])

    def act(self, label: str, actions: list[Json]) -> None:
        where = f"states[{self.state}][{label}]"
        number = self.counts[where]
        self.counts[where] += 1
        for action in actions:
            step_id = action["id"]
            if action["type"] == "set":
                last = self.seen.get(step_id)
                is_count = isinstance(action["value"], str)
                self.seen[step_id] = 7 if not is_count else 1 if last is None else last + 1
                continue
            played = action["request"]["play"][0]
            self.at(self.now + played["after"])
            self.pass_to(self.now + played["after"])
            if played["code"] is None:
                self.seen[step_id] = {"v": step_id, "n": 1, "ok": True}
            elif "on_error" in action:
                self.seen[step_id] = None
            else:
                raise Failed(played["code"], f"{where}[{number}]/{step_id}")
