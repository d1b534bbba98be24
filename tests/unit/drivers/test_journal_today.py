"""What has happened is told as it was, whatever secrets and limits there are today."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from plait.drivers.journal import JournalDriver, Start, Store
from plait.kernel import Kernel, Limits
from plait.operations import (
    Fork,
    Hand,
    Signal,
    fork,
    requests,
    restart,
    resume,
    rollback,
    signal,
)
from plait.ports.journal import Search, Standing, Summary
from plait.stores.memory import MemoryStore
from tests.simulation.asking import ask, give, plan_with
from tests.unit.stores.histories import Answers, damages, hand, running

TOKEN = {"token": "s3cr3t-value"}
PAID: Any = {
    **ask("pay"),
    "effect": "unsafe",
    "compensate": {"type": "ask", "request": {"play": [], "arg": "back"}},
}
TOLD: Any = {**ask("tell", "${secrets.token}"), "depends_on": ["pay"]}
SHOP = plan_with(PAID, TOLD)


def with_secrets(store: Store, secrets: Mapping[str, str]) -> Hand:
    return replace(hand(store), secrets=secrets)


async def lacking() -> MemoryStore:
    """Return a store with an execution `x` that failed since a secret was missing."""
    store = MemoryStore()
    async with running(store) as driver:
        await driver.start(SHOP, Start("x", None))
        assert (await driver.ended("x")).standing.status == "failed"
    return store


Change = Callable[[Hand], Awaitable[Summary]]
CHANGES: dict[str, tuple[Change, str, list[object]]] = {
    "resume": (lambda own: resume(own, "x"), "x", [TOKEN["token"]]),
    "fork": (
        lambda own: fork(own, Fork("x", "tell"), "y"),
        "y",
        [TOKEN["token"]],
    ),
    "restart": (lambda own: restart(own, "x", "y"), "y", [None, TOKEN["token"]]),
    "rollback": (lambda own: rollback(own, "x", "no"), "x", ["back"]),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_what_failed_for_a_missing_secret_goes_on_once_it_is_there(name: str) -> None:
    change, execution_id, asked = CHANGES[name]
    store, calls = await lacking(), Answers()
    await change(with_secrets(store, TOKEN))
    async with running(store, calls, secrets=TOKEN) as driver:
        ended = await driver.ended(execution_id)
    assert ended.standing.status == ("compensated" if name == "rollback" else "completed")
    assert [one.request["arg"] for one in calls.made] == asked
    assert await damages(store) == []


async def test_what_was_let_pass_for_a_missing_secret_stays_so_when_resumed() -> None:
    plan = plan_with(
        {**TOLD, "depends_on": [], "on_error": "continue"},
        {**ask("late", "${secrets.other}"), "depends_on": ["tell"]},
    )
    store, calls = MemoryStore(), Answers()
    async with running(store) as driver:
        await driver.start(plan, Start("x", None))
        await driver.ended("x")
    secrets = {**TOKEN, "other": "another-secret"}
    await resume(with_secrets(store, secrets), "x")
    async with running(store, calls, secrets=secrets) as driver:
        assert (await driver.ended("x")).standing.status == "completed"
    assert [one.step for one in calls.made] == ["late"]


def bounded(store: Store, **limits: int) -> Hand:
    return replace(hand(store), kernel_for=partial(Kernel, limits=Limits(**limits)))


async def full(calls: Answers) -> MemoryStore:
    """Return a store with an execution `x` that failed since its history was too long."""
    store = MemoryStore()
    kernel_for = partial(Kernel, limits=Limits(events_max=8))
    driver = JournalDriver(store, calls, kernel_for, worker_id="w")
    await driver.open()
    steps = [ask(f"s{n}", **({"depends_on": [f"s{n - 1}"]} if n else {})) for n in range(5)]
    await driver.start(plan_with(*steps), Start("x", None))
    ended = await driver.ended("x")
    await driver.close()
    assert ended.standing.error_code == "limit.events"
    return store


async def test_a_history_that_was_too_long_goes_on_when_it_may_be_longer() -> None:
    calls = Answers()
    store = await full(calls)
    await resume(bounded(store, events_max=100), "x")
    async with running(store, calls) as driver:
        assert (await driver.ended("x")).standing.status == "completed"
    made = [one.step for one in calls.made]
    assert made == sorted({*made})


async def test_a_history_that_is_too_long_still_is_not_resumed() -> None:
    store = await full(Answers())
    with pytest.raises(Exception, match=r"execution\.events_max"):
        await resume(bounded(store, events_max=8), "x")


async def test_a_lower_limit_changes_nothing_of_what_has_happened() -> None:
    store = MemoryStore()
    async with running(store) as driver:
        await driver.start(plan_with(ask("a"), give("b", 1)), Start("x", None))
        await driver.ended("x")
    await restart(bounded(store, events_max=50), "x", "y")
    low = bounded(store, events_max=2, pending_max=0)
    assert (await fork(low, Fork("x", "b"), "z")).new.execution_id == "z"


SLOW: Any = {"id": "paid", "type": "wait", "event": {"name": "paid"}}
LATE = plan_with(
    TOLD | {"depends_on": []},
    SLOW | {"depends_on": ["tell"]},
    TOLD | {"id": "again", "depends_on": ["paid"], "effect": "unsafe"},
    name="late",
)


async def until_code(driver: JournalDriver, code: str | None) -> Summary:
    def stands(standing: Standing) -> bool:
        return standing.error_code == code or standing.status != "running"

    return await driver.ended("x", stands)


async def waiting(calls: Answers) -> MemoryStore:
    """Return a store with an execution `x` that used a secret and waits for an event."""
    store = MemoryStore()
    async with running(store, calls, secrets=TOKEN) as driver:
        await driver.start(LATE, Start("x", None))
        await driver.ended("x", lambda one: one.wake_at_ms is None)
    return store


async def test_without_the_secret_one_looks_forks_and_cancels_all_the_same() -> None:
    store = await waiting(Answers())
    own, history = hand(store), await store.read("x")
    assert (await requests(own, history))["tell"] == {"play": [], "arg": "***"}
    assert await damages(store) == []
    await fork(own, Fork("x", "paid"), "y")
    await signal(own, "x", Signal("s", "paid", 1))
    async with running(store) as driver:
        await driver.cancel("y", "no", "m")
        assert (await driver.ended("y")).standing.status == "cancelled"


async def test_a_call_waits_for_a_worker_that_has_its_secret() -> None:
    calls = Answers()
    store = await waiting(calls)
    async with running(store, calls) as driver:
        await driver.signal("x", "paid", 1, "s")
        parked = await until_code(driver, "execution.secret_missing")
    assert (parked.owner, parked.standing.status) == (None, "running")
    assert [one.step for one in calls.made] == ["tell"]
    assert await damages(store) == []
    (found,) = await store.find(Search(error_code="execution.secret_missing"))
    assert found.new.execution_id == "x"
    async with running(store, calls, secrets=TOKEN) as driver:
        assert (await driver.ended("x")).standing.status == "completed"
    assert [one.request["arg"] for one in calls.made] == [TOKEN["token"]] * 2


async def test_what_waits_for_a_secret_still_hears_that_it_is_to_end() -> None:
    store = await waiting(Answers())
    async with running(store) as driver:
        await driver.signal("x", "paid", 1, "s")
        await until_code(driver, "execution.secret_missing")
        await driver.cancel("x", "no", "m")
        assert (await driver.ended("x")).standing.status == "cancelled"


async def test_a_fork_to_a_call_that_lacks_its_secret_waits_and_is_not_made() -> None:
    calls = Answers()
    store = await waiting(calls)
    calls.made.clear()
    await fork(hand(store), Fork("x", "tell"), "y")
    async with running(store, calls) as driver:
        await driver.ended("y", lambda one: one.error_code is not None)
        assert calls.made == []
    async with running(store, calls, secrets=TOKEN) as driver:
        await driver.ended("y", lambda one: one.wake_at_ms is None)
    assert [one.request["arg"] for one in calls.made] == [TOKEN["token"]]
