"""What a storm finds beside broken promises."""

from __future__ import annotations

from typing import Any

import pytest

from plait.drivers.children import told_of
from plait.ports.calls import Call
from plait.testing import reply
from plait.testing.durable import Work, storm
from tests.simulation.asking import ask, plan_with

NAP: Any = {"type": "wait", "for": "10ms"}
KID: Any = {"id": "kid", "type": "workflow", "request": {"name": "child"}}
BROKEN: Any = {"id": "broken", "type": "fail", "code": "custom.bad"}
# Two timers are due in one moment: what one begins the other gives up, in one write.
AT_ONCE = Work(
    plan_with(
        {**NAP, "id": "first"},
        {**NAP, "id": "second"},
        {**KID, "depends_on": ["first"]},
        {**BROKEN, "depends_on": ["second"]},
    ),
    None,
    children=(plan_with(ask("a"), name="child"),),
)


def broken() -> list[str]:
    return storm([AT_ONCE] * 3, lambda _: reply("a"), seed=1, rates={}).broken


def test_a_child_that_is_given_up_in_the_write_that_asks_for_it_leaves_nothing() -> None:
    assert broken() == []


def test_a_storm_tells_of_work_that_was_made_and_never_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forgetful(call: Call, outcome: Any, done: Any) -> Any:
        outcome()
        return told_of(call, outcome, done)

    monkeypatch.setattr("plait.drivers.journal.children.told_of", forgetful)
    assert broken() == [
        "RuntimeWarning: coroutine 'Children._outcome' was never awaited",
    ]
