"""What failed a `try` goes on by one resume, although its `finally` failed too."""

from __future__ import annotations

from typing import Any

import pytest

from plait.operations import Fork, fork, resume
from plait.stores.memory import MemoryStore
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.workers import Answers, Lives, run
from tests.unit.stores.histories import damages


def asked(step_id: str) -> dict[str, Any]:
    return ask(step_id, effect="keyed")


def trying(step_id: str, *steps: Any, free: Any, **settings: Any) -> dict[str, Any]:
    """Return steps after which `free` cleans up."""
    clean_up = {"steps": [free]}
    return {
        "id": step_id,
        "type": "try",
        "steps": [*steps],
        "finally": clean_up,
        **settings,
    }


FREE = asked("free")
INNER = trying("deep", asked("pay"), free=FREE)
AGAIN = {"max_attempts": 2, "on": ["connector.http.500"]}
CAUGHT = {"steps": [asked("mend")]}
# By name: the steps; those whose calls fail at first; what a resume calls.
TRIES: dict[str, tuple[Any, list[str], list[str]]] = {
    "steps": (
        trying("t", asked("pay"), free=FREE),
        ["t/pay", "t[finally]/free"],
        ["t/pay", "t[finally]/free"],
    ),
    "a catch": (
        trying("t", asked("pay"), free=FREE, catch=[CAUGHT]),
        ["t/pay", "t[catch1]/mend", "t[finally]/free"],
        ["t[catch1]/mend", "t[finally]/free"],
    ),
    "a second attempt": (
        trying("t", asked("pay"), free=FREE, retry=AGAIN),
        ["t/pay", "t[finally]/free", "t/pay", "t[finally]/free"],
        ["t/pay", "t[finally]/free"],
    ),
    "a try in a try": (
        trying("t", INNER, free=FREE),
        ["t/deep/pay", "t/deep[finally]/free", "t[finally]/free"],
        ["t/deep/pay", "t/deep[finally]/free", "t[finally]/free"],
    ),
    "a try in what cleans up": (
        trying("t", asked("pay"), free=INNER),
        ["t/pay", "t[finally]/deep/pay", "t[finally]/deep[finally]/free"],
        ["t/pay", "t[finally]/deep/pay", "t[finally]/deep[finally]/free"],
    ),
}


@pytest.mark.parametrize("name", TRIES)
def test_one_resume_is_enough_when_finally_failed_too(name: str) -> None:
    step, broken, again = TRIES[name]

    async def main() -> None:
        calls, store = Answers(), MemoryStore()
        lives = Lives(store, calls)
        calls.broken = {*broken}
        await lives.live(plan_with(step), dies=False)
        assert (await lives.status(), calls.made) == ("failed", broken)
        calls.broken, calls.made = set(), []
        await resume(lives.hand(), "x")
        await lives.live(dies=True)
        assert (await lives.status(), calls.made) == ("completed", again)
        assert await damages(store) == []

    run(main)


def test_a_step_that_was_timed_out_begins_anew_when_finally_failed_too() -> None:
    plan = plan_with(trying("t", asked("pay"), free=FREE, timeout="5ms"))

    async def main() -> None:
        calls, store = Answers(), MemoryStore()
        lives = Lives(store, calls)
        calls.broken = {"t[finally]/free"}
        await lives.live(plan, dies=False)
        assert calls.made == ["t/pay", "t[finally]/free"]
        calls.broken, calls.made = set(), []
        await resume(lives.hand(), "x")
        await lives.live(dies=False)
        assert calls.made == ["t/pay", "t[finally]/free"]

    run(main)


def test_a_fork_does_again_what_failed_and_what_failed_to_clean_up_after_it() -> None:
    step, broken, _ = TRIES["steps"]

    async def main() -> None:
        calls, store = Answers(), MemoryStore()
        lives = Lives(store, calls)
        calls.broken = {*broken}
        await lives.live(plan_with(asked("log"), step, order="sequence"), dies=False)
        calls.broken, calls.made = set(), []
        await fork(lives.hand(), Fork("x", "t[finally]/free"), "y")
        await lives.live(dies=False)
        assert await lives.status("y") == "completed"
        assert calls.made == [f"y/{one}" for one in broken]

    run(main)
