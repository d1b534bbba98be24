"""A wish to cancel ends an execution whatever it does, once, and undoes what is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import pytest

from plait.drivers.journal import JournalDriver, Start, cancel_message, is_at_rest
from plait.kernel import Kernel
from plait.kernel.codec import load_turn
from plait.kernel.events import TerminalEvent
from plait.operations import Decision, Hand, cancel, resolve, resume, rollback, show
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.ports.journal import QUEUED, History, Summary
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.workers import a_while, driver_on

UNDO: Any = {
    "id": "undo",
    "type": "ask",
    "effect": "keyed",
    "request": {"play": [], "arg": None},
}
PAID = ask("pay", effect="keyed", compensate=UNDO)
SHOP = plan_with(PAID, ask("ship", "${pay.response}"))


class Upstream:
    """Answers each call after a hundredth of a second, but for those that hang."""

    def __init__(self, *hung: str) -> None:
        self.hung = set(hung)
        self.made: list[str] = []
        self.given_up: list[str] = []

    def start(self, call: Call, done: Done) -> CallHandle:
        name = call.step.rpartition("/")[2]
        self.made.append(name)
        delay_s = 1e9 if name in self.hung else 0.01
        timer = asyncio.get_running_loop().call_later(
            delay_s, done, CallReply(call.step, {})
        )
        return Handle(self, name, timer)

    async def close(self) -> None:
        """Nothing to close."""


class Handle:
    def __init__(self, upstream: Upstream, name: str, timer: asyncio.TimerHandle) -> None:
        self.upstream, self.name, self.timer = upstream, name, timer

    def cancel(self) -> None:
        self.upstream.given_up.append(self.name)
        self.timer.cancel()


async def begun(
    store: MemoryStore, upstream: Upstream, plan: Plan, for_s: float = 1
) -> JournalDriver:
    driver = driver_on(store, "w", upstream)
    await driver.open()
    await driver.start(plan, Start("x", None))
    await a_while(for_s)
    return driver


def hand_on(store: MemoryStore, driver: JournalDriver) -> Hand:
    return Hand(store, Kernel, "hand", driver.now_ms(), {})


def ends(history: History) -> int:
    turns = [load_turn(entry.body) for entry in history.entries]
    return sum(isinstance(one, TerminalEvent) for turn in turns for one in turn)


async def soon(driver: JournalDriver) -> Summary:
    async with asyncio.timeout(5):
        return await driver.ended("x")


def test_a_call_that_hangs_is_given_up() -> None:
    async def main() -> None:
        store, upstream = MemoryStore(), Upstream("ship")
        driver = await begun(store, upstream, SHOP)
        await driver.cancel("x", "enough", "m")
        assert (await soon(driver)).standing.status == "cancelled"
        assert upstream.given_up == ["ship"]
        assert upstream.made == ["pay", "ship"]
        await driver.close()

    run_virtually(main())


@pytest.mark.parametrize("is_held", [True, False])
def test_what_was_done_is_undone_where_that_is_asked(is_held: bool) -> None:
    async def main() -> None:
        store, upstream = MemoryStore(), Upstream("ship")
        driver = await begun(store, upstream, SHOP)
        if not is_held:
            await driver.perish()
            await store.leave("w")
        await cancel(hand_on(store, driver), "x", "enough", compensates=True)
        if not is_held:
            driver = driver_on(store, "heir", upstream)
            await driver.open()
        assert (await soon(driver)).standing.status == "compensated"
        assert upstream.made == ["pay", "ship", "undo"]
        await driver.close()

    run_virtually(main())


@pytest.mark.parametrize("compensates", [True, False])
@pytest.mark.parametrize("dies", [True, False])
def test_a_cancel_while_it_is_undone(dies: bool, compensates: bool) -> None:
    async def main() -> None:
        store, upstream = MemoryStore(), Upstream("ship", "undo")
        driver = await begun(store, upstream, SHOP)
        hand = hand_on(store, driver)
        await cancel(hand, "x", "enough", compensates=True)
        driver.stir()
        await a_while(1)
        assert upstream.made == ["pay", "ship", "undo"]
        if dies:
            await driver.perish()
            await store.leave("w")
        again = cancel_message("x", "now", "again", compensates=compensates)
        await store.post(again)
        if dies:
            driver = driver_on(store, "heir", upstream)
            await driver.open()
        else:
            driver.stir()
        if compensates:
            # It is being undone already: that takes the time that it takes.
            await a_while(30)
            upstream.hung.clear()
            assert (await store.read("x")).summary.standing.status == "running"
        else:
            assert (await soon(driver)).standing.status == "cancelled"
            assert "undo" in upstream.given_up
            failure = show(await store.read("x"), 0).failure
            assert failure is not None
            told: Any = (failure.details or {})["compensation"]
            assert [one["step"] for one in told["not_undone"]] == ["pay"]
        assert ends(await store.read("x")) == (0 if compensates else 1)
        await driver.close()

    run_virtually(main())


@pytest.mark.parametrize("action", ["done", "retry"])
def test_an_undo_for_time_that_waits_for_somebody_goes_on_where_it_was(
    action: Literal["done", "retry"],
) -> None:
    back = {**UNDO, "id": "back", "effect": "unsafe"}
    booked = ask("book", effect="keyed", compensate=back)
    paid = ask("pay", "${book.response}", effect="keyed", compensate=UNDO)
    shipped = ask("ship", "${pay.response}")
    plan = plan_with(booked, paid, shipped, on_failure="compensate", timeout="2s")

    async def main() -> list[str]:
        store, upstream = MemoryStore(), Upstream("ship", "back")
        driver = await begun(store, upstream, plan, for_s=3)
        await driver.perish()
        await store.leave("w")
        heir = driver_on(store, "heir", upstream)
        await heir.open()
        doubt = await heir.ended("x", is_at_rest)
        assert doubt.standing.error_code == "step.outcome_unknown"
        upstream.hung.clear()
        await resolve(hand_on(store, heir), "x", Decision("", action))
        heir.stir()
        assert (await soon(heir)).standing.status == "compensated"
        await heir.close()
        return upstream.made

    again = ["back"] if action == "retry" else []
    assert run_virtually(main()) == ["book", "pay", "ship", "undo", "back", *again]


def test_nothing_runs_in_the_timeline_of_what_has_ended() -> None:
    async def main() -> None:
        store, upstream = MemoryStore(), Upstream("ship")
        driver = await begun(store, upstream, SHOP)
        wishes: tuple[Callable[[Hand, str], Awaitable[Summary]], ...] = (
            partial(cancel, reason="enough"),
            resume,
            partial(cancel, reason="enough"),
            partial(rollback, reason="enough"),
        )
        for number, wish in enumerate(wishes):
            hand = replace(hand_on(store, driver), worker_id=f"hand-{number}")
            await wish(hand, "x")
            driver.stir()
            await a_while(30)
        shown = show(await store.read("x"), driver.now_ms())
        assert shown.status == "compensated"
        statuses = {str(one["step"]): one["status"] for one in shown.trace.as_json()}
        assert statuses.pop("ship") == "cancelled"
        assert set(statuses.values()) == {"completed"}
        await driver.close()

    run_virtually(main())


def test_a_cancel_that_comes_during_recovery_is_heard() -> None:
    class Late(MemoryStore):
        """Tells of the wish as the heir reads what it has claimed."""

        driver: JournalDriver | None = None

        async def read(self, execution_id: str) -> History:
            history = await super().read(execution_id)
            if self.driver is not None:
                driver, self.driver = self.driver, None
                await driver.cancel("x", "enough", "m")
            return history

    async def main() -> None:
        store, upstream = Late(), Upstream("ship")
        driver = await begun(store, upstream, SHOP)
        await driver.perish()
        await store.leave("w")
        heir = driver_on(store, "heir", upstream)
        store.driver = heir
        await heir.open()
        assert (await soon(heir)).standing.status == "cancelled"
        await heir.close()

    run_virtually(main())


@pytest.mark.parametrize("names", [("m", "m"), ("m", "n")])
def test_a_cancel_that_comes_twice_ends_it_once(names: tuple[str, str]) -> None:
    async def main() -> None:
        store, upstream = MemoryStore(), Upstream("ship")
        driver = await begun(store, upstream, SHOP)
        wishes = [driver.cancel("x", "enough", name) for name in names]
        await asyncio.gather(*wishes)
        assert (await soon(driver)).standing.status == "cancelled"
        await a_while(5)
        assert ends(await store.read("x")) == 1
        await driver.close()

    run_virtually(main())


@pytest.mark.parametrize("by", ["driver", "hand", "hand that compensates"])
def test_what_queues_behind_a_lane_is_cancelled_at_once(by: str) -> None:
    plan = plan_with(ask("ship"), concurrency={"max": 1})

    async def main() -> None:
        store, upstream = MemoryStore(), Upstream("ship")
        driver = await begun(store, upstream, plan)
        await driver.start(plan, Start("y", None))
        assert (await store.read("y")).summary.lane_state == QUEUED
        match by:
            case "driver":
                await driver.cancel("y", "enough", "m")
            case _:
                compensates = by == "hand that compensates"
                hand = hand_on(store, driver)
                await cancel(hand, "y", "enough", compensates=compensates)
        driver.stir()
        async with asyncio.timeout(5):
            ended = await driver.ended("y")
        assert ended.standing.status == "cancelled"
        await driver.cancel("x", "enough", "n")
        await soon(driver)
        assert upstream.made == ["ship"]
        await driver.close()

    run_virtually(main())
