"""Executions as callers may see and change them, and as many follow them at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from plait.drivers.journal import JournalDriver, Start
from plait.drivers.journal.result import turns_of
from plait.kernel import Kernel
from plait.kernel.events import ApprovalDecided
from plait.model.caller import ANYBODY, LOCAL, LOCAL_PROGRAM, Caller, Forbidden
from plait.operations.executing import LocalExecutions
from plait.operations.keeper import Keeper, Kept
from plait.operations.messages import NotAnApprover
from plait.ports.journal import Append, History, Search, UnknownExecution
from plait.ports.platform import InvalidRequest, Told
from plait.stores.faults import StoreDamaged
from plait.stores.memory import MemoryStore
from tests.simulation.asking import plan_with
from tests.unit.stores.histories import running

PAID: Any = {"id": "paid", "type": "wait", "event": {"name": "paid"}}
PLAN = plan_with(PAID, output="${paid.response}")
WAIT_MS = 10_000
VIEWER = Caller("user:vi", role="viewer")
STRANGER = Caller("user:eve", tenant="elsewhere", role="admin")
GRANTED = Caller("user:gil", role="viewer", grants={PLAN.name: "operator"})


class CountedStore(MemoryStore):
    """Counts how often it is read.

    Attributes:
        read_count: How many whole histories.
        breaking: Executions whose histories the next thing that is written damages.
        damaged: Those whose histories cannot be read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.read_count = 0
        self.breaking: set[str] = set()
        self.damaged: set[str] = set()

    async def append(self, append: Append) -> None:
        """Write, and damage what shall be."""
        await super().append(append)
        self.damaged |= self.breaking & {append.execution_id}

    async def read(self, execution_id: str) -> History:
        """Count, and read."""
        self.read_count += 1
        if execution_id in self.damaged:
            raise StoreDamaged(f"the history of {execution_id}", "half of it is gone")
        return await super().read(execution_id)


class Scene:
    """Executions in a store, and a worker that runs them."""

    def __init__(self, store: CountedStore, driver: JournalDriver) -> None:
        self.store = store
        self.driver = driver
        kept = Kept(driver, store, Kernel, store.close)

        async def open_() -> Kept:
            return kept

        self.executions = LocalExecutions(Keeper(open_))

    async def start(self, *execution_ids: str, tenant: str = "default") -> None:
        """Begin executions that wait for somebody to pay."""
        for execution_id in execution_ids:
            await self.driver.start(PLAN, Start(execution_id, None, tenant=tenant))


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    store = CountedStore()
    async with running(store) as driver:
        yield Scene(store, driver)


async def listed(events: AsyncIterator[Told]) -> list[Told]:
    """Return all that is told to the end."""
    return [told async for told in events]


async def test_whoever_knows_an_id_learns_how_it_ended_and_no_more() -> None:
    async with scene() as case:
        await case.start("x")
        told = await case.executions.get(ANYBODY, "x")
        assert "input" not in told
        assert told["status"] == "running"
        assert "steps" in await case.executions.get(VIEWER, "x")


@pytest.mark.parametrize("verb", ["cancel", "signals"])
async def test_who_may_look_only_changes_nothing(verb: str) -> None:
    async with scene() as case:
        await case.start("x")
        for caller in (VIEWER, ANYBODY):
            with pytest.raises(Forbidden):
                await case.executions.change(caller, "x", verb, {})
        told = await case.executions.change(GRANTED, "x", "cancel", {})
        assert told["status"] == "cancelled"


@pytest.mark.parametrize(
    ("owner", "stranger"),
    [("default", STRANGER), ("elsewhere", LOCAL), ("third", STRANGER)],
)
async def test_another_tenants_execution_does_not_exist(
    owner: str, stranger: Caller
) -> None:
    async with scene() as case:
        await case.start("x", tenant=owner)
        for ask in (
            case.executions.get(stranger, "x"),
            case.executions.timeline(stranger, "x"),
            case.executions.change(stranger, "x", "cancel", {}),
            anext(case.executions.events(stranger, "x", 0)),
        ):
            with pytest.raises(UnknownExecution):
                await ask
        for search in (Search(), Search(tenant=owner), Search(execution_ids=("x",))):
            found = await case.executions.find(stranger, search)
            assert (found["executions"], found["total_count"]) == ([], 0)


async def test_nobody_waits_for_another_tenants_execution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def waited(*_: object) -> bool:
        pytest.fail("how long the answer takes would tell that there is one")

    async with scene() as case:
        await case.start("x")
        monkeypatch.setattr(Keeper, "has_ended", waited)
        with pytest.raises(UnknownExecution):
            await case.executions.get(STRANGER, "x", WAIT_MS)


async def test_a_tenant_sees_and_changes_its_own() -> None:
    async with scene() as case:
        await case.start("x", tenant="elsewhere")
        await case.start("y")
        found: Any = await case.executions.find(STRANGER, Search())
        assert [one["id"] for one in found["executions"]] == ["x"]
        assert found["total_count"] == 1
        assert "steps" in await case.executions.get(STRANGER, "x")
        told = await case.executions.change(STRANGER, "x", "cancel", {})
        assert (told["status"], told["tenant"]) == ("cancelled", "elsewhere")


APPROVAL: Any = {"id": "ok", "type": "approval", "approvers": ["ann", "finance"]}
ASKING = plan_with(APPROVAL, output="${ok.response.by}")
ANN = Caller("user:ann", role="operator")
CI = Caller("key:k3v7", role="operator", grants={"other": "admin"})
BOSS = Caller("user:bo", role="viewer", grants={ASKING.name: "admin"})


async def decision(case: Scene) -> tuple[str, list[str]]:
    await case.executions.get(LOCAL, "x", WAIT_MS)
    events = [one for turn in turns_of(await case.store.read("x")) for one in turn]
    (event,) = [one for one in events if isinstance(one, ApprovalDecided)]
    return event.by, event.roles


@pytest.mark.parametrize("verb", ["approve", "reject", "decide"])
@pytest.mark.parametrize(
    "claim", [{"by": "ann"}, {"roles": ["finance"]}, {"roles": ["admin"]}]
)
async def test_an_operator_decides_in_nobody_elses_name(
    verb: str, claim: dict[str, Any]
) -> None:
    if verb == "decide" and "roles" in claim:
        return
    async with scene() as case:
        await case.driver.start(ASKING, Start("x", None))
        with pytest.raises(Forbidden, match="key:k3v7 may not decide as"):
            await case.executions.change(CI, "x", verb, claim)
        with pytest.raises(NotAnApprover):
            await case.executions.change(CI, "x", "approve", {})
        assert (await case.executions.get(LOCAL, "x"))["status"] == "running"


@pytest.mark.parametrize("claim", [{}, {"by": "ann"}, {"by": "user:ann"}])
async def test_whoever_decides_is_who_asks(claim: dict[str, Any]) -> None:
    async with scene() as case:
        await case.driver.start(ASKING, Start("x", None))
        await case.executions.change(ANN, "x", "approve", claim)
        assert await decision(case) == ("ann", ["viewer", "operator", "user:ann"])


@pytest.mark.parametrize("caller", [BOSS, LOCAL, LOCAL_PROGRAM])
async def test_an_admin_vouches_for_another_and_is_kept_with_the_decision(
    caller: Caller,
) -> None:
    async with scene() as case:
        await case.driver.start(ASKING, Start("x", None))
        said: Any = {"by": "eve", "roles": ["finance"]}
        await case.executions.change(caller, "x", "approve", said)
        assert await decision(case) == ("eve", ["finance", caller.subject])


async def test_pages_and_cursors_lead_to_the_same_rows() -> None:
    async with scene() as case:
        await case.start("a", "b", "c", "d", "e")
        search = Search(limit=2)
        second = await case.executions.find(VIEWER, search, 2)
        assert (second["total_count"], second["page"], second["page_size"]) == (5, 2, 2)
        first: Any = await case.executions.find(VIEWER, search)
        behind = Search(limit=2, before=int(first["before"]))
        following = await case.executions.find(VIEWER, behind)
        assert following["executions"] == second["executions"]
        assert following["total_count"] is None
        last = await case.executions.find(VIEWER, search, 3)
        assert (len(last["executions"]), last["before"]) == (1, None)  # type: ignore[arg-type]


async def test_a_page_too_deep_names_the_way_on() -> None:
    async with scene() as case:
        with pytest.raises(InvalidRequest, match="`before`"):
            await case.executions.find(VIEWER, Search(limit=1_000), 11)


async def test_a_verb_that_is_none_names_the_nearest() -> None:
    async with scene() as case:
        with pytest.raises(InvalidRequest, match="did you mean 'cancel'"):
            await case.executions.change(LOCAL, "x", "cancle", {})


async def test_a_thousand_followers_cost_the_store_what_one_costs() -> None:
    async with scene() as case:
        await case.start("x")
        begun = asyncio.Semaphore(0)

        async def follow() -> list[Told]:
            heard = []
            async for told in case.executions.events(VIEWER, "x", 0):
                heard.append(told)
                begun.release()
            return heard

        case.store.read_count = 0
        following = [asyncio.create_task(follow()) for _ in range(1_000)]
        for _ in following:
            await begun.acquire()
        assert case.store.read_count == 1
        await case.driver.signal("x", "paid", {"by": "card"}, "s")
        heard = await asyncio.gather(*following)
        assert all(one == heard[0] for one in heard)
        last = heard[0][-1]
        assert (last.type, last.data["output"]) == ("end", {"by": "card"})
        # A read for each time that somebody looked and saw something new.
        assert case.store.read_count <= 1 + 3


async def test_who_comes_back_hears_what_followed_and_nothing_twice() -> None:
    async with scene() as case:
        await case.start("x")
        await case.driver.signal("x", "paid", 1, "s")
        await case.driver.ended("x")
        every = [told async for told in case.executions.events(VIEWER, "x", 0)]
        again = [told async for told in case.executions.events(VIEWER, "x", 1)]
        assert again == every[1:]
        assert [told.type for told in every] == ["turn", "turn", "end"]


async def test_an_id_that_nobody_has_seen_yet_lets_all_others_hear_the_end() -> None:
    async with scene() as case:
        await case.start("x")
        events = case.executions.events(VIEWER, "x", 0)
        heard = [await anext(events)]
        going_on = asyncio.create_task(listed(events))
        await case.driver.signal("x", "paid", 1, "s")
        await case.driver.ended("x")
        (end,) = await listed(case.executions.events(VIEWER, "x", 99_999))
        async with asyncio.timeout(WAIT_MS / 1000):
            heard += await going_on
        assert [told.type for told in heard] == ["turn", "turn", "end"]
        assert heard[-1].data["status"] == end.data["status"] == "completed"


async def test_a_history_that_is_damaged_ends_its_own_stream_alone() -> None:
    async with scene() as case:
        await case.start("x", "y")
        streams = [case.executions.events(VIEWER, one, 0) for one in ("x", "y")]
        for stream in streams:
            await anext(stream)
        damaged, whole = (asyncio.create_task(listed(stream)) for stream in streams)
        case.store.breaking.add("x")
        await case.driver.signal("x", "paid", 1, "s")
        with pytest.raises(StoreDamaged, match="the history of x"):
            await damaged
        await case.driver.signal("y", "paid", 2, "s")
        async with asyncio.timeout(WAIT_MS / 1000):
            heard = await whole
        assert [told.type for told in heard] == ["turn", "end"]


async def test_nobody_looks_any_more_when_nobody_follows() -> None:
    async with scene() as case:
        await case.start("x")
        before = asyncio.all_tasks()
        following = case.executions.events(VIEWER, "x", 0)
        await anext(following)
        going_on = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) > len(before) + 1
        going_on.cancel()
        await asyncio.wait((going_on,))
        await following.aclose()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
