"""Laws that every execution of every document keeps, whatever happens in which order."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from plait.compile.inside import all_steps
from plait.kernel import (
    CancelCall,
    CancelTimer,
    Command,
    Execution,
    Kernel,
    StartCall,
    StartTimer,
)
from plait.kernel.events import (
    CallCompleted,
    CallFailed,
    CompensationEnded,
    CompensationStarted,
    ExecutionStarted,
    OutsideEvent,
    SignalReceived,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepSkipped,
    TerminalEvent,
    TimerFired,
)
from plait.kernel.state import Frame, Run
from plait.model.failure import Failure
from plait.plan import Node, Plan, Scope, dump_plan, load_plan
from plait.testing import Simulated, Simulation, shuffled
from tests.simulation.asking import plan_of, play
from tests.simulation.documents import ORDERLY, documents
from tests.simulation.walking import signals_of

SEEDS = st.integers(0, 2**32)
GIVEN: Any = {"a": 1, "flag": True}


def simulation(document: Any) -> Simulation:
    sent = signals_of(document)
    return Simulation(plan_of(document), play, input=GIVEN, signals=sent)


def replay(plan: Plan, history: Sequence[OutsideEvent]) -> tuple[Execution, list[Any]]:
    """Return the state and all events that a history leads to."""
    kernel = Kernel(plan)
    started = history[0]
    assert isinstance(started, ExecutionStarted)
    x, turn = kernel.start(started)
    events = list(turn.events)
    for event in history[1:]:
        events += kernel.decide(x, event).events
    return x, events


def portrait(value: Any, known: dict[int, int] | None = None) -> Any:
    """Return all that `value` holds, slot by slot, as plain data that can be compared.

    A run or frame that was met before stands as the number of its first meeting.
    """
    known = {} if known is None else known
    if isinstance(value, (str, int, float, type(None))):
        return value
    if isinstance(value, (Plan, Scope, Node)):
        return str(value)
    if isinstance(value, (Run, Frame)):
        if id(value) in known:
            return ("met", known[id(value)])
        known[id(value)] = len(known)
    if is_dataclass(value):
        return {
            one.name: portrait(getattr(value, one.name), known) for one in fields(value)
        }
    if isinstance(value, dict):
        return {str(key): portrait(inner, known) for key, inner in value.items()}
    if hasattr(value, "__iter__"):
        return [portrait(inner, known) for inner in value]
    return str(value)


@settings(max_examples=3 * settings().max_examples)
@given(document=documents(ORDERLY), seed=SEEDS)
def test_any_order_of_completions_gives_the_same_output_and_statuses(
    document: Any, seed: int
) -> None:
    first = simulation(document).run()
    second = simulation(document).run(shuffled(seed))
    assert first.status == second.status
    if first.status == "completed":
        assert first.output == second.output
        assert statuses(first) == statuses(second)


def statuses(result: Simulated) -> dict[str, str]:
    return {path: step.status for path, step in result.steps.items()}


@given(document=documents(), seed=SEEDS)
def test_replaying_the_history_rebuilds_state_and_events(document: Any, seed: int) -> None:
    sim = simulation(document)
    result = sim.run(shuffled(seed))
    x, events = replay(sim.kernel.plan, result.history)
    assert events == result.events
    assert portrait(x) == portrait(sim.state)


@given(document=documents(), seed=SEEDS, share=st.floats(0, 1))
def test_replaying_any_beginning_rebuilds_what_was_under_way(
    document: Any, seed: int, share: float
) -> None:
    sim, choose = simulation(document), shuffled(seed)
    portraits = [portrait(sim.state)]
    while sim.state.end is None:
        # A decision that nobody asked for changes nothing, and is not in the history.
        if sim.happen(choose(sim.pending)).events:
            portraits.append(portrait(sim.state))
    length = 1 + round(share * (len(sim.history) - 1))
    x, events = replay(sim.kernel.plan, sim.history[:length])
    assert portrait(x) == portraits[length - 1]
    kernel = Kernel(sim.kernel.plan)
    for event in sim.history[length:]:
        events += kernel.decide(x, event).events
    assert events == sim.events


@given(document=documents(), seed=SEEDS)
def test_a_plan_that_was_stored_replays_a_history_of_the_original(
    document: Any, seed: int
) -> None:
    sim = simulation(document)
    result = sim.run(shuffled(seed))
    data = dump_plan(sim.kernel.plan)
    loaded = load_plan(data)
    assert dump_plan(loaded) == data
    assert loaded.content_hash == sim.kernel.plan.content_hash
    assert replay(loaded, result.history)[1] == result.events


@given(document=documents(), seed=SEEDS)
def test_every_execution_ends_and_until_then_something_will_wake_it(
    document: Any, seed: int
) -> None:
    sim, choose = simulation(document), shuffled(seed)
    turns = 0
    while sim.state.end is None:
        assert sim.pending
        outstanding = [pending.event for pending in sim.pending]
        timers = [event.timer for event in outstanding if isinstance(event, TimerFired)]
        calls = [
            event.step
            for event in outstanding
            if isinstance(event, CallCompleted | CallFailed)
        ]
        assert (calls, timers) == ([*sim.state.calls], [*sim.state.timers])
        sim.happen(choose(sim.pending))
        turns += 1
        assert turns < 5_000
    assert sim.pending == []
    assert not sim.state.calls
    assert not sim.state.timers


@given(document=documents(), seed=SEEDS)
def test_no_two_facts_are_of_the_same_step_and_attempt(document: Any, seed: int) -> None:
    result = simulation(document).run(shuffled(seed))
    facts = [fact_of(event) for event in result.events if hasattr(event, "step")]
    assert len(set(facts)) == len(facts), sorted(facts)
    made = [(call.step, call.attempt) for call in result.calls]
    assert len(set(made)) == len(made), made


def fact_of(event: Any) -> tuple[str, str, int]:
    """Return what `event` is the one event of: how a step ended, what an attempt got."""
    match event:
        case CallCompleted() | CallFailed():
            return "outcome", event.step, event.attempt
        case StepSkipped() | StepCompleted() | StepFailed() | StepCancelled():
            return "end", event.step, 0
        case _:
            return type(event).__name__, event.step, getattr(event, "attempt", 0)


@given(document=documents(), seed=SEEDS)
def test_a_path_leads_to_a_step_of_the_document_and_all_its_rounds_share_one_key(
    document: Any, seed: int
) -> None:
    sim = simulation(document)
    result = sim.run(shuffled(seed))
    addresses = [step.path for step in all_steps(sim.kernel.plan)]
    assert len(set(addresses)) == len(addresses)
    assert {anywhere(path) for path in result.steps} <= set(addresses)
    keyed = [call for call in result.calls if call.idempotency_key is not None]
    # What was undone and is done again is another call: `…/charge~2`.
    assert [plain(str(call.idempotency_key)) for call in keyed] == [
        f"simulated/{plain(call.step)}" for call in keyed
    ]
    if not sim.state.undone:
        assert not any("~" in str(call.idempotency_key) for call in keyed)


def anywhere(path: str) -> str:
    """Return `path` without the numbers of rounds, iterations and items."""
    return re.sub("\\[[0-9]+]", "[*]", plain(path))


def plain(path: str) -> str:
    """Return `path` without the numbers of rounds."""
    return re.sub("[~#][0-9]+", "", path)


@given(document=documents(), seed=SEEDS)
def test_what_completed_is_undone_once_and_the_last_first(document: Any, seed: int) -> None:
    sim = simulation(document)
    result = sim.run(shuffled(seed))
    steps = all_steps(sim.kernel.plan)
    undoable = {step.path for step in steps if step.node.compensate_scope}
    completed: list[str] = []
    undone: set[str] = set()
    for event in result.events:
        match event:
            case StepCompleted(step=step, by_fallback=False) if anywhere(step) in undoable:
                completed.append(step)
            case CompensationStarted(steps=paths):
                assert paths == sorted(paths, key=completed.index, reverse=True)
                assert undone.isdisjoint(paths)
            case CompensationEnded(undone=paths):
                undone |= set(paths)
            case _:
                pass
    if result.status == "compensated":
        assert not sim.state.undo


class Ledger:
    """What was started must be answered or cancelled, once."""

    def __init__(self) -> None:
        self.open: set[tuple[str, Any]] = set()

    def enter(self, commands: Sequence[Command]) -> None:
        """Book what a turn asked for."""
        for command in commands:
            match command:
                case StartCall(step=step, attempt=attempt):
                    assert not any(
                        kind == "call" and key[0] == step for kind, key in self.open
                    )
                    self.open.add(("call", (step, attempt)))
                case CancelCall(step=step, attempt=attempt):
                    self.open.remove(("call", (step, attempt)))
                case StartTimer(timer=timer):
                    assert ("timer", timer) not in self.open
                    self.open.add(("timer", timer))
                case CancelTimer(timer=timer):
                    self.open.remove(("timer", timer))

    def close(self, event: OutsideEvent) -> None:
        """Book what has happened."""
        match event:
            case TimerFired(timer=timer):
                self.open.remove(("timer", timer))
            case CallCompleted() | CallFailed():
                self.open.remove(("call", (event.step, event.attempt)))
            case _:
                pass


@given(document=documents(), seed=SEEDS, cancels=st.booleans())
def test_every_call_and_timer_is_answered_or_cancelled_and_there_is_one_end(
    document: Any, seed: int, cancels: bool
) -> None:
    sim, lot, ledger = simulation(document), random.Random(seed), Ledger()
    kernel = Kernel(sim.kernel.plan)
    started = sim.history[0]
    assert isinstance(started, ExecutionStarted)
    _, turn = kernel.start(started)
    ledger.enter(turn.commands)
    while sim.state.end is None:
        if cancels and lot.random() < 0.1:
            ledger.enter(sim.cancel().commands)
            continue
        pending = lot.choice(sim.pending)
        ledger.close(pending.event)
        ledger.enter(sim.happen(pending).commands)
    assert ledger.open == set()
    ends = [n for n, e in enumerate(sim.events) if isinstance(e, get_args(TerminalEvent))]
    assert ends == [len(sim.events) - 1]


@given(document=documents(), seed=SEEDS)
def test_late_repeated_and_unknown_outcomes_change_nothing(
    document: Any, seed: int
) -> None:
    quiet = simulation(document).run(shuffled(seed))
    sim, choose, lot = simulation(document), shuffled(seed), random.Random(seed)
    while True:
        for event in noise(sim, lot):
            assert sim.feed(event).events == []
        if sim.state.end is not None:
            break
        sim.happen(choose(sim.pending))
    assert sim.events == quiet.events


def noise(sim: Simulation, lot: random.Random) -> list[OutsideEvent]:
    """Return events that nobody waits for: what was heard or cancelled, what never was.

    Among them, in a group that is tried again, the outcomes of its former rounds.
    """
    now_ms = sim.now_ms + 1_000_000
    awaited = {(run.path, run.attempt) for run in sim.state.calls.values()}
    late: list[OutsideEvent] = [
        CallCompleted(call.step, call.attempt, "late", {}, now_ms)
        for call in sim.calls
        if (call.step, call.attempt) not in awaited
    ]
    fired = sim.state.timer_count + 1
    gone = [n for n in range(1, fired + 1) if n not in sim.state.timers]
    late += [TimerFired(timer, now_ms) for timer in gone]
    early = [
        CallFailed(step, attempt + 1, Failure("x", "…"), now_ms)
        for step, attempt in awaited
    ]
    unknown: list[OutsideEvent] = [CallCompleted("nobody", 1, 1, {}, now_ms)]
    heard = [event for event in sim.history if isinstance(event, SignalReceived)]
    unknown += [replace(event, name="again", at_ms=now_ms) for event in heard]
    return [*lot.sample(late, min(3, len(late))), *early, *unknown]


@given(document=documents(), seed=SEEDS)
def test_what_templates_see_is_never_changed_by_running(document: Any, seed: int) -> None:
    sim = simulation(document)
    before = dump_plan(sim.kernel.plan)
    first = sim.run(shuffled(seed))
    assert dump_plan(sim.kernel.plan) == before
    assert GIVEN == {"a": 1, "flag": True}
    second = simulation(document).run(shuffled(seed))
    assert second.events == first.events


def without_lots(value: Any) -> Any:
    """Return a document whose delays are drawn by no lot."""
    if isinstance(value, list):
        return [without_lots(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {name: without_lots(one) for name, one in value.items() if name != "jitter"}
    return {**kept, "backoff": "fixed"} if kept.get("backoff") == "random" else kept


@given(document=documents())
def test_another_execution_id_changes_only_what_is_drawn_by_lot(document: Any) -> None:
    plan = plan_of(without_lots(document))
    sent = signals_of(document)
    first = Simulation(plan, play, input=GIVEN, signals=sent).run()
    second = Simulation(plan, play, input=GIVEN, signals=sent, execution_id="another").run()
    assert first.events[1:] == second.events[1:]
    started = first.history[0]
    assert isinstance(started, ExecutionStarted)
    assert replace(started, execution_id="another") == second.history[0]
