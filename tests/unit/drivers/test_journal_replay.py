"""Histories that cannot be told again."""

from __future__ import annotations

import pytest

from plait.drivers.journal import HistoryMismatch
from plait.drivers.journal.history import chained, replay
from plait.kernel import BEHAVIOUR, Kernel
from plait.kernel.codec import dump_turn
from plait.kernel.events import ExecutionStarted, HistoryBegun
from plait.ports.journal import History, NewExecution, Standing, Summary
from tests.simulation.asking import give, plan_with


def test_what_nobody_foresaw_is_told_of_its_execution() -> None:
    plan = plan_with(give("a", 1))
    started = ExecutionStarted("x1", plan.content_hash, None, {}, 0, BEHAVIOUR)
    begun = HistoryBegun(started, {"format": 1, "root": "nonsense"}, 7, "00", 0)
    new = NewExecution("x1", plan.name, plan.content_hash, 0, "{}")
    entries = chained(new, [dump_turn([begun])])
    summary = Summary(new, Standing("running", 0, 0), 7, entries[-1].digest, 1, None)
    with pytest.raises(HistoryMismatch, match="x1 cannot go on"):
        replay(History(summary, entries), Kernel(plan), {})
