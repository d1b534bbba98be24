"""A promotion whose answer from the store is lost: it goes on in one place, once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from plait.drivers.journal import JournalDriver, Start, Unkept
from plait.kernel import Kernel
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.ports.journal import (
    Created,
    Entry,
    History,
    Hold,
    LostRace,
    NewExecution,
    Search,
    Standing,
    StoreUnavailable,
    Summary,
)
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.test_journal_doubt import Calls
from tests.unit.drivers.workers import a_while, driver_on

PLAN = plan_with(ask("a"), ask("b", "${a.response}"), ask("c", "${b.response}"))


class Slow(Calls):
    """Answers each call a second later."""

    def start(self, call: Call, done: Done) -> CallHandle:
        self.made.append(call)
        loop = asyncio.get_running_loop()
        return loop.call_later(1, done, CallReply(call.step, {}))


class LostAnswer(MemoryStore):
    """Loses the answer to the first start, as one kind of store or another does.

    Args:
        kind: What happens to the execution that was begun.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.is_lost = False
        self.away_count = 0
        self.late: (
            tuple[NewExecution, Sequence[Entry], Standing, str, Hold | None] | None
        ) = None

    async def create(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None = None,
    ) -> Created:
        asked = new, list(entries), standing, owner, under
        if self.late is not None:
            late, self.late = self.late, None
            await super().create(*late)
        if self.is_lost:
            return await super().create(*asked)
        self.is_lost = True
        match self.kind:
            case "not done":
                pass
            case "seen later":
                self.late = asked
            case _:
                await super().create(*asked)
        if self.kind == "given back":
            await self.release(owner, [new.execution_id])
            self._change.set()
        if self.kind == "and away":
            self.away_count = 5
        await a_while(0.01)
        raise StoreUnavailable("the connection was lost")

    async def read(self, execution_id: str) -> History:
        self._reach()
        return await super().read(execution_id)

    async def take(self, worker_id: str, now_ms: int, execution_id: str) -> Summary:
        self._reach()
        return await super().take(worker_id, now_ms, execution_id)

    def _reach(self) -> None:
        if self.away_count:
            self.away_count -= 1
            raise StoreUnavailable("away")


def begun(store: MemoryStore, calls: Calls) -> tuple[JournalDriver, Unkept]:
    driver = driver_on(store, "w", calls)
    return driver, Unkept(driver, Kernel(PLAN), Start("x", None), 1)


@pytest.mark.parametrize(
    "kind", ["done", "not done", "seen later", "given back", "and away"]
)
def test_it_is_written_once_and_no_call_is_made_again(kind: str) -> None:
    async def main() -> tuple[str, list[str], int]:
        store, calls = LostAnswer(kind), Slow([])
        driver, unkept = begun(store, calls)
        await driver.open()
        await a_while(0.5)
        await unkept.promote()
        summary = await driver.ended("x")
        found = await store.find(Search())
        await driver.close()
        return summary.standing.status, [one.step for one in calls.made], len(found)

    assert run_virtually(main()) == ("completed", ["a", "b", "c"], 1)


class Refusing(MemoryStore):
    """Says of the first starts that they were not done; the first one was, it turns out."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[
            tuple[NewExecution, Sequence[Entry], Standing, str, Hold | None]
        ] = []

    async def create(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None = None,
    ) -> Created:
        self.asked.append((new, list(entries), standing, owner, under))
        if len(self.asked) <= 2:
            raise StoreUnavailable("the connection was lost")
        await super().create(*self.asked[0])
        raise LostRace(new.execution_id)


def test_what_happened_since_an_earlier_attempt_is_added() -> None:
    async def main() -> tuple[str, list[str]]:
        store, calls = Refusing(), Slow([])
        driver, unkept = begun(store, calls)
        await driver.open()
        with pytest.raises(StoreUnavailable):
            await unkept.promote()
        await a_while(1.5)
        await unkept.promote()
        summary = await driver.ended("x")
        await driver.close()
        return summary.standing.status, [one.step for one in calls.made]

    assert run_virtually(main()) == ("completed", ["a", "b", "c"])


def test_what_another_worker_goes_on_with_is_left_to_it() -> None:
    async def main() -> tuple[str, str, int]:
        store, calls = LostAnswer("and away"), Slow([])
        driver, unkept = begun(store, calls)
        other = driver_on(store, "other", Slow([]))
        promoting = asyncio.create_task(unkept.promote())
        await a_while(0.1)
        await store.leave("w")  # as when its lease has run out
        await other.open()
        promoted = await promoting
        ended = await other.ended("x")
        await other.close()
        await driver.close()
        return promoted.new.execution_id, ended.standing.status, len(calls.made)

    assert run_virtually(main()) == ("x", "completed", 1)
