"""Snapshots: the state of an execution as JSON, from which it goes on as if nothing were.

Rule 1. Taken between two turns, of an execution that has not ended: nothing is ready then.
Rule 2. A value is written once, however many names in however many frames are given to it.
        Of a frame's names those are written that the frame around it has not.
Rule 3. Step instances that have settled are not in it: what they came to is in the names.
        Nor are the requests of calls: they are rendered anew. Secrets are in neither, but
        for the names of those that were there when it began, or was resumed.
Rule 4. `FORMAT` changes when old readers would misread new snapshots; they then refuse.

Not here: what a machine remembers (plait.kernel.machines), when a snapshot is taken
(plait.drivers.journal.anew).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from plait.kernel.calls import Times, call_of, times_of
from plait.kernel.codec import (
    TurnUnreadable,
    event_json,
    failure_json,
    load_event,
    load_failure,
)
from plait.kernel.commands import Command, StartCall, StartTimer
from plait.kernel.compensation import load_undoing, undoing_json
from plait.kernel.events import ExecutionStarted, SignalReceived
from plait.kernel.frames import active_runs
from plait.kernel.lifecycle import InvariantBroken, StepState
from plait.kernel.machine import Machine
from plait.kernel.recorded import Recorded
from plait.kernel.state import Ambient, Execution, Frame, Incident, Mailbox, Run, Undo
from plait.kernel.views import first_names
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.plan import Node, Plan, Scope, all_nodes

FORMAT: Final = 1
# Stands where the number of a frame's names would: there is no frame around this one.
_NOTHING: Final = -1
_COUNTS: Final = (
    "now_ms",
    "timer_count",
    "deadline_count",
    "undo_count",
    "compensation_count",
    "resumed_at_ms",
)


class Snapshots:
    """Takes and reads snapshots of executions of one plan."""

    def __init__(self, plan: Plan, machines: Mapping[str, Machine]) -> None:
        self.plan = plan
        self.machines = machines
        self.scopes = list(_scopes(plan))
        self.scope_numbers = {id(one): place for place, one in enumerate(self.scopes)}
        self.node_places = {
            id(node): [number, node.index]
            for number, scope in enumerate(self.scopes)
            for node in scope.nodes
        }

    def take(
        self,
        x: Execution,
        calls: Mapping[str, StartCall],
        timers: Mapping[int, StartTimer],
    ) -> JsonObject:
        """Return the state of `x` as JSON; it shares values with `x`, so write it at once.

        Args:
            calls, timers: What is outstanding, as whoever performs it has it.
        """
        if x.end is not None or x.ready or x.root is None:
            raise InvariantBroken("a snapshot is taken between two turns")
        return _Taking(self, x).all(calls, timers)

    def read(
        self, started: ExecutionStarted, saved: JsonObject, ambient: Ambient
    ) -> tuple[Execution, list[Command]]:
        """Return the execution that a snapshot was taken of, and what is outstanding.

        Raises:
            TurnUnreadable: A newer version has taken it.
        """
        if saved.get("format") != FORMAT:
            found = saved.get("format")
            raise TurnUnreadable(f"a snapshot has format {found}, known is {FORMAT}")
        return _Reading(self, started, saved, ambient).all()


def _scopes(plan: Plan) -> Iterator[Scope]:
    """Yield every scope of the plan, in an order that depends on nothing but the plan."""
    yield plan.scope
    for node in all_nodes(plan.scope):
        yield from node.scopes.values()
        for one in (node.fallback_scope, node.compensate_scope):
            if one is not None:
                yield one


def runs_in(saved: Mapping[str, Any]) -> Iterator[tuple[str, StepState, int]]:
    """Yield path, state and attempt of each step that is under way in a snapshot."""
    frames = [saved["root"]]
    while frames:
        for run in frames.pop()["runs"]:
            yield run["path"], StepState(run["state"]), run["attempt"]
            frames += run["frames"]


def secrets_in(started: ExecutionStarted, saved: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the secrets that were known when a snapshot was taken."""
    # The first snapshots did not say it: then those count that were there at the start.
    return frozenset(saved.get("secrets", started.secrets))


def _known_values(started: ExecutionStarted, ambient: Ambient) -> list[Any]:
    """Return the values that need not be written, in the order of their numbers."""
    return [started.input, started.env, started.trigger, ambient.secrets]


class _Taking:
    """One snapshot being taken."""

    def __init__(self, known: Snapshots, x: Execution) -> None:
        self._known = known
        self._x = x
        self._values: list[Any] = _known_values(x.started, x.ambient)
        self._known_count = len(self._values)
        self._value_numbers = {id(one): place for place, one in enumerate(self._values)}
        self._names: list[JsonValue] = []
        self._names_numbers: dict[int, int] = {}

    def all(
        self, calls: Mapping[str, StartCall], timers: Mapping[int, StartTimer]
    ) -> JsonObject:
        x = self._x
        assert x.root is not None
        root = self._frame(x.root, None)
        undo: list[JsonValue] = [
            self._undo(key, one, x.root.names) for key, one in x.undo.items()
        ]
        secrets: list[JsonValue] = [*sorted(x.ambient.known)]
        counts = cast("JsonObject", {name: getattr(x, name) for name in _COUNTS})
        return {
            "format": FORMAT,
            **counts,
            "secrets": secrets,
            "root": root,
            "calls": [_call_json(path, calls[path]) for path in x.calls],
            "timers": [
                [number, timers[number].due_at_ms, "" if run is None else run.path]
                for number, run in x.timers.items()
            ],
            "incidents": [[path, one.since_ms] for path, one in x.incidents.items()],
            "waiting": list(x.waiting),
            "mailbox": _mailbox_json(x.mailbox),
            "undo": undo,
            "undone": dict(x.undone),
            "undoing": None if x.undoing is None else undoing_json(x.undoing),
            "names": self._names,
            "values": self._values[self._known_count :],
        }

    def _frame(self, frame: Frame, around: dict[str, Any] | None) -> JsonObject:
        return {
            "scope": self._known.scope_numbers[id(frame.scope)],
            "name": frame.name,
            "prefix": frame.prefix,
            "names": self._names_of(frame.names, around),
            "waits": list(frame.waits),
            "unsettled": frame.unsettled,
            "passed_over": _failure_json(frame.passed_over),
            "visits": dict(frame.visits),
            "runs": [self._run(run) for run in frame.runs.values() if run.is_active],
        }

    def _run(self, run: Run) -> JsonObject:
        machine = self._known.machines[run.node.machine]
        return {
            "node": run.node.index,
            "path": run.path,
            "state": run.state.value,
            "attempt": run.attempt,
            "deadline_at_ms": run.deadline_at_ms,
            "failure": _failure_json(run.failure),
            "passed_over": _failure_json(run.passed_over),
            "timers": [[number, purpose] for number, purpose in run.timers.items()],
            "memory": None if run.memory is None else machine.dump_memory(run.memory),
            "undo_from": run.undo_from,
            "frames": [self._frame(one, run.frame.names) for one in run.frames.values()],
        }

    def _undo(self, key: str, undo: Undo, around: dict[str, Any]) -> JsonValue:
        place = self._known.node_places[id(undo.node)]
        names = self._names_of(undo.names, around)
        return [key, [*place], undo.path, names, undo.number, undo.is_owed, undo.tries]

    def _names_of(self, names: dict[str, Any], around: dict[str, Any] | None) -> int:
        """Return the number of a mapping of names; it is written when it is met first."""
        known = self._names_numbers.get(id(names))
        if known is not None:
            return known
        outer: dict[str, Any] = {} if around is None else around
        own: JsonObject = {
            name: self._value(value)
            for name, value in names.items()
            if name not in outer or outer[name] is not value
        }
        hidden: list[JsonValue] = [name for name in outer if name not in names]
        number = _NOTHING if around is None else self._names_numbers[id(around)]
        self._names.append([number, own, hidden])
        self._names_numbers[id(names)] = len(self._names) - 1
        return len(self._names) - 1

    def _value(self, value: Any) -> int:
        number = self._value_numbers.get(id(value))
        if number is None:
            number = self._value_numbers[id(value)] = len(self._values)
            self._values.append(value)
        return number


class _Reading:
    """One snapshot being read."""

    def __init__(
        self,
        known: Snapshots,
        started: ExecutionStarted,
        saved: dict[str, Any],
        ambient: Ambient,
    ) -> None:
        self._known = known
        self._saved = saved
        self._x = Execution(known.plan, started, ambient, saved["now_ms"])
        values = [*_known_values(started, ambient), *saved["values"]]
        root = saved["names"][saved["root"]["names"]][1]
        # A fork goes on from it under another id.
        values[root["execution"]] = first_names(known.plan, started, ambient)["execution"]
        self._names: list[dict[str, Any]] = []
        for number, own, hidden in saved["names"]:
            names = {} if number == _NOTHING else dict(self._names[number])
            for name in hidden:
                del names[name]
            names.update((name, values[place]) for name, place in own.items())
            self._names.append(names)

    def all(self) -> tuple[Execution, list[Command]]:
        x, saved = self._x, self._saved
        for name in _COUNTS:
            setattr(x, name, saved[name])
        x.root = self._frame(saved["root"], None)
        runs = {run.path: run for run in active_runs(x)}
        x.incidents = {path: Incident(runs[path], at) for path, at in saved["incidents"]}
        x.waiting = {path: runs[path] for path in saved["waiting"]}
        x.mailbox = _mailbox(saved["mailbox"])
        x.undo = {key: self._undo(*facts) for key, *facts in saved["undo"]}
        x.undone = dict(saved["undone"])
        if saved["undoing"] is not None:
            x.undoing = load_undoing(saved["undoing"])
        x.recorded = Recorded()  # all these calls were asked for
        commands = [*self._calls(runs), *self._timers(runs)]
        x.recorded = None
        return x, commands

    def _calls(self, runs: Mapping[str, Run]) -> Iterator[Command]:
        for path, *times in self._saved["calls"]:
            run = self._x.calls[path] = runs[path]
            call = call_of(self._x, run, Times(*times))
            if isinstance(call, Failure):
                raise InvariantBroken(f"'{path}' was called, and could not be: {call.code}")
            yield call

    def _timers(self, runs: Mapping[str, Run]) -> Iterator[Command]:
        for number, due_at_ms, path in self._saved["timers"]:
            self._x.timers[number] = runs[path] if path else None
            yield StartTimer(number, due_at_ms, path)

    def _frame(self, saved: dict[str, Any], parent: Run | None) -> Frame:
        frame = Frame(
            self._known.scopes[saved["scope"]],
            parent,
            saved["name"],
            saved["prefix"],
            self._names[saved["names"]],
            list(saved["waits"]),
            saved["unsettled"],
            passed_over=_failure(saved["passed_over"]),
            visits=dict(saved.get("visits", {})),
        )
        for one in saved["runs"]:
            frame.runs[one["node"]] = self._run(one, frame)
        return frame

    def _run(self, saved: dict[str, Any], frame: Frame) -> Run:
        node = frame.scope.nodes[saved["node"]]
        run = Run(
            node,
            frame,
            saved["path"],
            StepState(saved["state"]),
            saved["attempt"],
            saved["deadline_at_ms"],
            _failure(saved["failure"]),
            _failure(saved["passed_over"]),
            dict(saved["timers"]),
            undo_from=saved["undo_from"],
        )
        if saved["memory"] is not None:
            machine = self._known.machines[node.machine]
            run.memory = machine.load_memory(saved["memory"])
        for one in saved["frames"]:
            run.frames[one["name"]] = self._frame(one, run)
        return run

    def _undo(
        self,
        place: tuple[int, int],
        path: str,
        names: int,
        number: int,
        is_owed: bool,
        tries: int,
    ) -> Undo:
        scope, index = place
        node: Node = self._known.scopes[scope].nodes[index]
        return Undo(node, path, self._names[names], number, is_owed, tries)


def _call_json(path: str, call: StartCall) -> list[JsonValue]:
    times = times_of(call)
    return [path, times.timeout_ms, times.left_ms]


def _mailbox_json(mailbox: Mailbox | None) -> JsonValue:
    if mailbox is None:
        return None
    kept: list[JsonValue] = [event_json(signal) for signal in mailbox.kept.values()]
    return {"known": list(mailbox.known), "kept": kept, "bytes": mailbox.bytes}


def _mailbox(saved: dict[str, Any] | None) -> Mailbox | None:
    if saved is None:
        return None
    kept = [cast("SignalReceived", load_event(one)) for one in saved["kept"]]
    by_id = {signal.signal_id: signal for signal in kept}
    return Mailbox(dict.fromkeys(saved["known"]), by_id, saved["bytes"])


def _failure_json(failure: Failure | None) -> JsonValue:
    return None if failure is None else failure_json(failure)


def _failure(saved: dict[str, Any] | None) -> Failure | None:
    return None if saved is None else load_failure(saved)
