"""One execution kills its workers, others run beside it: it alone is quarantined."""

from __future__ import annotations

import asyncio

import pytest

from plait.drivers.journal import DEATHS_MAX, JournalDriver, Start
from plait.kernel import Kernel
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.ports.journal import Search, Standing
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.workers import a_while

POISON = plan_with(ask("kill"), name="poison")
SLOW = plan_with(ask("slow"), name="slow")
CALL_S = 3.0
LIFE_S = 60.0


class Deadly:
    """Answers slowly; whoever makes the call `kill` dies of it."""

    def __init__(self, dies_after_s: float) -> None:
        self.dies_after_s = dies_after_s
        self.died = asyncio.Event()
        self.made: list[str] = []

    def start(self, call: Call, done: Done) -> CallHandle:
        self.made.append(call.step)
        loop = asyncio.get_running_loop()
        if call.step == "kill":
            return loop.call_later(self.dies_after_s, self.died.set)
        return loop.call_later(CALL_S, done, CallReply(None, {}))

    async def close(self) -> None:
        """Nothing to close."""


class Case:
    """One store, and worker after worker on it."""

    def __init__(self, dies_after_s: float) -> None:
        self.store = MemoryStore()
        self.calls = Deadly(dies_after_s)
        self.lives = 0

    async def begin(self) -> JournalDriver:
        self.lives += 1
        self.calls.died.clear()
        driver = JournalDriver(
            self.store,
            self.calls,
            Kernel,
            worker_id=f"worker-{self.lives}",
            wall_clock_s=asyncio.get_running_loop().time,
        )
        await driver.open()
        return driver

    async def survives(self, driver: JournalDriver) -> bool:
        """Let the worker live for a while; tell whether it does."""
        try:
            async with asyncio.timeout(LIFE_S):
                await self.calls.died.wait()
        except TimeoutError:
            await driver.close()
            return True
        await driver.perish()
        await self.store.leave(f"worker-{self.lives}")
        return False

    async def standings(self) -> dict[str, Standing]:
        rows = await self.store.find(Search())
        return {row.new.execution_id: row.standing for row in rows}


@pytest.mark.parametrize("dies_after_s", [0.1, CALL_S - 0.1])
@pytest.mark.parametrize("others", [1, 6])
def test_the_one_that_kills_is_found_out_and_the_others_go_on(
    others: int, dies_after_s: float
) -> None:
    async def main() -> None:
        case = Case(dies_after_s)
        driver = await case.begin()
        for number in range(others):
            await driver.start(SLOW, Start(f"slow-{number}", None))
        await driver.start(POISON, Start("poison", None))
        while not await case.survives(driver):
            assert case.lives <= DEATHS_MAX
            driver = await case.begin()
        standings = await case.standings()
        poison = standings.pop("poison")
        assert (poison.status, poison.error_code) == ("running", "execution.quarantined")
        assert {one.status for one in standings.values()} == {"completed"}
        assert case.calls.made.count("kill") == DEATHS_MAX

    run_virtually(main())


def test_a_suspect_that_waits_can_be_cancelled() -> None:
    async def main() -> None:
        case = Case(0.1)
        driver = await case.begin()
        for number in range(3):
            await driver.start(SLOW, Start(f"slow-{number}", None))
        await driver.start(POISON, Start("poison", None))
        for _ in range(DEATHS_MAX - 2):
            assert not await case.survives(driver)
            driver = await case.begin()
        await driver.cancel("slow-2", "enough", "m")
        async with asyncio.timeout(6):
            ended = await driver.ended("slow-2")
        assert ended.standing.status == "cancelled"
        await driver.close()

    run_virtually(main())


def test_after_few_deaths_everything_runs_again_at_once() -> None:
    async def main() -> None:
        case = Case(0.1)
        driver = await case.begin()
        for number in range(20):
            await driver.start(SLOW, Start(f"slow-{number}", None))
        await a_while(0.1)
        await driver.perish()
        await case.store.leave("worker-1")
        heir = await case.begin()
        await a_while(0.1)
        assert case.calls.made.count("slow") == 40
        await heir.close()

    run_virtually(main())
