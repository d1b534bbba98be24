"""Executions that kill whoever holds them are left alone after some deaths."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from plait.kernel.codec import load_turn
from plait.kernel.events import TimerFired, WorkerLost
from plait.operations import cancel, resume
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.ports.journal import Append, Summary
from plait.stores.memory import MemoryStore
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.workers import Lives, driver_on, run

POISON = plan_with(ask("a"), ask("b", depends_on=["a"]))
NAP = plan_with({"id": "nap", "type": "wait", "for": "10s"})
DEATHS_MAX = 3


@dataclass
class Calls:
    """Answers the steps in `answered`, and no others."""

    answered: set[str]
    made: list[str] = field(default_factory=list)

    def start(self, call: Call, done: Done) -> CallHandle:
        self.made.append(call.step)
        delay_s = 0.01 if call.step in self.answered else 1e9
        loop = asyncio.get_running_loop()
        return loop.call_later(delay_s, done, CallReply(call.step, {}))

    async def close(self) -> None:
        """Nothing to close."""


class Case(Lives):
    """A store, and workers, three of which an execution may kill."""

    calls: Calls

    def __init__(self, store: MemoryStore | None = None) -> None:
        super().__init__(store or MemoryStore(), Calls(set()))

    async def live(self, plan: Plan | None = None, **given: Any) -> None:
        await super().live(plan, deaths_max=DEATHS_MAX, **given)

    async def row(self) -> Summary:
        return (await self.store.read("x")).summary

    async def deaths(self) -> list[int]:
        turns = [load_turn(one.body)[0] for one in (await self.store.read("x")).entries]
        return [turn.deaths for turn in turns if isinstance(turn, WorkerLost)]


def test_it_is_quarantined_at_the_last_death_and_others_go_on() -> None:
    async def main() -> None:
        case = Case()
        await case.live(POISON)
        for _ in range(DEATHS_MAX + 2):
            await case.live()
        assert await case.deaths() == [1, 2, 3]
        assert case.calls.made == ["a"] * DEATHS_MAX
        row = await case.row()
        standing = row.standing
        assert standing.error_code == "execution.quarantined"
        assert (standing.status, standing.wake_at_ms, row.owner) == ("running", None, None)
        case.calls.answered = {"a", "b"}
        await resume(case.hand(), "x")
        await case.live(dies=False)
        assert (await case.row()).standing.status == "completed"
        assert case.calls.made == [*["a"] * (DEATHS_MAX + 1), "b"]

    run(main)


def test_a_worker_that_leaves_has_not_died() -> None:
    async def main() -> None:
        case = Case()
        await case.live(POISON, dies=False)
        for _ in range(DEATHS_MAX + 2):
            await case.live(dies=False)
        assert await case.deaths() == []
        assert case.calls.made == ["a"] * (DEATHS_MAX + 3)

    run(main)


def test_deaths_count_anew_after_any_progress() -> None:
    async def main() -> None:
        case = Case()
        await case.live(POISON)
        await case.live()
        case.calls.answered = {"a"}
        await case.live(dies=False)
        for _ in range(DEATHS_MAX):
            await case.live()
        assert await case.deaths() == [1, 2, 1, 2]
        assert (await case.row()).standing.error_code is None

    run(main)


class DeadlyTimer(MemoryStore):
    """Whoever writes that a timer has fired hears no more of it."""

    async def append(self, append: Append) -> None:
        if any(isinstance(load_turn(one.body)[0], TimerFired) for one in append.entries):
            await asyncio.get_running_loop().create_future()
        await super().append(append)


def test_one_that_kills_whoever_wakes_it_is_quarantined_too() -> None:
    async def main() -> None:
        case = Case(DeadlyTimer())
        await case.live(NAP, dies=False)
        await case.live(for_s=10)
        for _ in range(DEATHS_MAX + 2):
            await case.live()
        assert await case.deaths() == [1, 2, 3]
        assert (await case.row()).standing.error_code == "execution.quarantined"

    run(main)


def test_one_that_has_only_waited_is_woken_in_its_time_by_any_worker() -> None:
    async def main() -> None:
        case = Case()
        await case.live(NAP)
        for _ in range(DEATHS_MAX + 2):
            await case.live()
        await case.live(for_s=10, dies=False)
        assert await case.deaths() == []
        assert (await case.row()).standing.status == "completed"

    run(main)


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_in_quarantine_it_can_be_cancelled_and_hears_signals(is_cancelled: bool) -> None:
    async def main() -> None:
        case = Case()
        await case.live(POISON)
        for _ in range(DEATHS_MAX):
            await case.live()
        made = list(case.calls.made)
        if is_cancelled:
            await cancel(case.hand(), "x", "enough")
            assert (await case.row()).standing.status == "cancelled"
            return
        eve = driver_on(case.store, "eve", case.calls)
        await eve.signal("x", "news", 7, "s1")
        await case.live(for_s=5, dies=False)
        row = await case.row()
        assert (row.standing.error_code, row.owner) == ("execution.quarantined", None)
        last = load_turn((await case.store.read("x")).entries[-1].body)[0]
        assert type(last).__name__ == "SignalReceived"
        assert case.calls.made == made

    run(main)


def test_an_unsafe_call_that_killed_its_worker_is_asked_about_when_it_is_resumed() -> None:
    async def main() -> None:
        case = Case()
        await case.live(plan_with(ask("a", effect="unsafe")))
        for _ in range(DEATHS_MAX + 2):
            await case.live()
        row = await case.row()
        assert row.standing.error_code == "step.outcome_unknown"
        assert case.calls.made == ["a"]

    run(main)
