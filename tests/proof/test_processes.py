"""Rows 5, 15 and 16 of the scorecard, in little: processes that are stopped or that die."""

from __future__ import annotations

from dataclasses import replace

from plait.drivers.journal import entry_of
from plait.kernel.events import CancelRequested
from plait.ports.journal import History, NewExecution, Standing, Summary
from tests.proof import hangs, recovery, returns, stops
from tests.proof.paying import Bank, judge
from tests.proof.scorecard import Outcome, Scale

LITTLE = Scale(share=0.0)


def test_no_write_of_a_worker_that_was_stopped_too_long_is_accepted() -> None:
    outcome = hangs.run(LITTLE)
    assert outcome.broken == []
    assert outcome.figures["changes of hands"] > 0


def test_a_stale_write_that_was_accepted_would_be_found() -> None:
    first = entry_of([CancelRequested("one", 1)], b"")
    second = entry_of([CancelRequested("two", 2)], first.digest)
    new = NewExecution("x", "w", "sha256:1", 0, "null")
    standing = Standing("completed", 0, None)
    history = History(Summary(new, standing, 2, second.digest, 2, None), [first, second])
    sound = [
        (0, 1, [first.digest.hex()], "done"),
        (1, 2, [second.digest.hex()], "done"),
        (1, 1, ["00"], "refused"),
    ]
    assert hangs.stale_writes(history, sound) == []
    lost = [sound[0], (1, 1, ["00"], "done")]
    assert "is not in its history" in hangs.stale_writes(history, lost)[0]
    stale = [(0, 2, *sound[0][2:]), (1, 1, *sound[1][2:])]
    assert "a write of epoch 1 after one of 2" in hangs.stale_writes(history, stale)[0]
    shorter = replace(history, entries=[first])
    assert hangs.stale_writes(shorter, sound) != []


def test_a_hundred_executions_are_under_way_again_within_seconds() -> None:
    outcome = recovery.run(LITTLE)
    assert outcome.broken == []
    assert outcome.figures["events each"] >= 20


def test_all_that_a_killed_gateway_had_in_flight_runs_again() -> None:
    outcome = returns.run(LITTLE)
    assert outcome.broken == []
    assert outcome.figures["kills"] == 2


def test_a_gateway_that_is_stopped_under_load_loses_and_doubles_nothing() -> None:
    outcome = stops.run(LITTLE)
    assert outcome.broken == []
    assert (outcome.figures["stops"], outcome.figures["with a second signal"]) == (2, 1)
    assert (
        "accepted and not in the store" in outcome.figures["acknowledges before it writes"]
    )


def test_what_was_accepted_and_is_not_there_would_be_found() -> None:
    outcome = Outcome()
    judge({}, Bank(), {"x": 1}, outcome)
    assert outcome.broken == ["accepted and lost: x"]


def test_what_was_paid_by_two_keys_would_be_found() -> None:
    bank, outcome = Bank(), Outcome()
    bank.charged["/charge/7"] = 2
    judge({}, bank, {}, outcome)
    assert outcome.broken == ["paid twice: /charge/7"]
