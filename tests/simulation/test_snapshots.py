"""A snapshot holds all of an execution: whoever goes on from it concludes the same."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from plait.drivers.journal.telling import Outstanding
from plait.kernel import Execution, Kernel
from plait.kernel.codec import dump_turn, load_turn
from plait.kernel.events import (
    CancelRequested,
    CompensationRequested,
    HistoryBegun,
    IncidentResolved,
    OutcomeUnknown,
    OutsideEvent,
)
from plait.kernel.frames import active_runs
from plait.kernel.turn import Turn
from plait.plan import dump_plan, load_plan
from plait.testing import Simulation
from tests.simulation.asking import plan_of, play
from tests.simulation.documents import document_by
from tests.simulation.test_laws import GIVEN, portrait
from tests.simulation.walking import signals_of


class Watched(Simulation):
    """A simulation with a book of what is outstanding."""

    def __init__(self, document: Any, **settings: Any) -> None:
        self.outstanding = Outstanding()
        self.snapshot_count = 0
        sent = signals_of(document)
        super().__init__(plan_of(document), play, input=GIVEN, signals=sent, **settings)

    def feed(self, event: OutsideEvent) -> Turn:
        turn = self.kernel.decide(self.state, event)
        if turn.events:
            self.history.append(event)
            self.outstanding.hear(event)
        self._act(turn)
        return turn

    def _act(self, turn: Turn) -> None:
        self.outstanding.ask(turn.commands)
        super()._act(turn)

    def begin_anew(self) -> None:
        """Go on from a snapshot, as it stands in a journal."""
        state, out = self.state, self.outstanding
        saved = self.kernel.snapshot(state, out.calls, out.timers)
        event = HistoryBegun(state.started, saved, 7, "00", state.now_ms)
        [read] = load_turn(dump_turn([event]))
        assert isinstance(read, HistoryBegun)
        assert dump_turn([read]) == dump_turn([event])
        # Whoever goes on has the plan out of the store.
        self.kernel = Kernel(load_plan(dump_plan(self.kernel.plan)))
        restored, commands = self.kernel.restore(read.started, read.state, state.ambient)
        again = Outstanding()
        again.ask(commands)
        assert (again.calls, again.timers) == (out.calls, out.timers)
        assert [*again.calls] == [*out.calls]
        assert facts_of(restored) == facts_of(state)
        rest = self.kernel.snapshot(restored, again.calls, again.timers)
        assert orjson.dumps(rest) == orjson.dumps(saved)
        self.state, self.outstanding = restored, again
        self.snapshot_count += 1

    def go_on(self, lot: random.Random) -> None:
        """Let something happen, by lot: most often what is outstanding."""
        choice = lot.random()
        doubted = [*self.state.incidents]
        unsafe = [one for one in self.outstanding.calls.values() if one.effect == "unsafe"]
        if unsafe and choice < 0.3:
            call = lot.choice(unsafe)
            del self._calls[call.step]
            self.feed(OutcomeUnknown(call.step, call.attempt, self.now_ms))
        elif doubted and (choice < 0.4 or not self.pending):
            step, action = lot.choice(doubted), lot.choice(["retry", "done", "fail"])
            self.feed(IncidentResolved(step, action, {"n": 1}, "ann", self.now_ms))
        elif choice > 0.99 or not self.pending:
            is_cancel = lot.random() < 0.5
            undo = CompensationRequested("back", False, self.now_ms)
            self.feed(CancelRequested("enough", self.now_ms) if is_cancel else undo)
        else:
            self.happen(lot.choice(self.pending))


def facts_of(x: Execution) -> Any:
    """Return what is remembered for later turns, which may never come to use it."""
    box = x.mailbox
    return (
        [(key, u.path, u.number, u.is_owed, u.tries) for key, u in x.undo.items()],
        [u.names for u in x.undo.values()],
        (x.undone, x.undo_count, x.compensation_count, x.deadline_count, x.timer_count),
        box and ([*box.known], [*box.kept.values()], box.bytes),
        [
            (r.path, r.state, r.attempt, r.deadline_at_ms, r.undo_from, r.timers)
            for r in active_runs(x)
        ],
        [portrait(r.memory) for r in active_runs(x)],
        [(r.failure, r.passed_over, r.frame.names, [*r.frames]) for r in active_runs(x)],
    )


def ended(sim: Watched, seed: int, share: float) -> Watched:
    """Run to the end; at this share of the turns go on from a snapshot."""
    lot, other = random.Random(seed), random.Random(seed)
    while sim.state.end is None:
        if other.random() < share:
            sim.begin_anew()
        sim.go_on(lot)
    return sim


@pytest.mark.parametrize("block", range(10))
def test_whoever_goes_on_from_snapshots_concludes_the_same(block: int) -> None:
    snapshot_count = 0
    for seed in range(block * 100, block * 100 + 100):
        document = document_by(random.Random(seed))
        through = ended(Watched(document), seed, 0.0)
        anew = ended(Watched(document), seed, (0.3, 0.6, 1.0)[seed % 3])
        assert anew.events == through.events, seed
        assert anew.calls == through.calls, seed
        snapshot_count += anew.snapshot_count
    assert snapshot_count > 100


def met_in(x: Execution) -> set[str]:
    """Return what `x` has that a snapshot of it has to hold."""
    parts = {
        "calls": x.calls,
        "timers": x.timers,
        "incidents": x.incidents,
        "waiting": x.waiting,
        "mailbox": x.mailbox and x.mailbox.kept,
        "undo": x.undo,
        "undone": x.undone,
        "undoing": x.undoing,
        "owed": [one for one in x.undo.values() if one.is_owed],
    }
    memories = {type(run.memory).__name__ for run in active_runs(x)}
    return {name for name, part in parts.items() if part} | memories


def test_random_executions_have_all_that_a_snapshot_holds() -> None:
    wanted = {"calls", "timers", "incidents", "waiting", "mailbox", "undo", "undone"}
    wanted |= {"undoing", "owed", "Tally", "Question", "Iterations", "Items", "Undoing"}
    wanted |= {"Trying", "Taken"}
    seed = 0
    while wanted and seed < 3_000:
        seed += 1
        lot = random.Random(seed)
        sim = Watched(document_by(random.Random(seed)))
        while sim.state.end is None:
            wanted -= met_in(sim.state)
            sim.go_on(lot)
    assert not wanted
