"""Loops outlive their workers: whoever goes on is in the iteration where the other was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from plait.drivers.journal import JournalDriver, Start
from plait.kernel import Kernel
from plait.model.failure import Failure
from plait.operations import Fork, Hand, fork, resume, show
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with

EACH = ask("x", effect="keyed")


def loop(**settings: Any) -> Plan:
    step: dict[str, Any] = {"id": "l", "type": "while", "steps": [EACH]}
    step |= {"while": "${iteration < 6}", **settings}
    return plan_with(step, output="${l.response.iterations}")


def fan(**settings: Any) -> Plan:
    step: dict[str, Any] = {"id": "l", "type": "foreach", "steps": [EACH]}
    step |= {"items": [0, 1, 2, 3, 4, 5], "max_concurrency": 2, **settings}
    return plan_with(step, output="${l.response.success_count}")


@dataclass
class Calls:
    """Answers each call after 10 ms; those whose key is in `broken` with a failure."""

    broken: set[str] = field(default_factory=set)
    made: list[str] = field(default_factory=list)

    def start(self, call: Call, done: Done) -> CallHandle:
        key = str(call.idempotency_key).removeprefix("x/")
        self.made.append(key)
        answer: Any = CallReply(None, {})
        if key in self.broken:
            answer = Failure("connector.http.500", "broken")
        return asyncio.get_running_loop().call_later(0.01, done, answer)

    async def close(self) -> None:
        """Nothing to close."""


class Case:
    """A store, and workers that live for a while, one after the other."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.calls = Calls()
        self.count = 0

    async def live(self, plan: Plan | None, *, for_s: float, dies: bool = True) -> None:
        """Be a worker; begin `plan`; then die, or leave."""
        self.count += 1
        name = f"worker-{self.count}"
        clock = asyncio.get_running_loop().time
        driver = JournalDriver(
            self.store, self.calls, Kernel, worker_id=name, wall_clock_s=clock
        )
        await driver.open()
        if plan is not None:
            await driver.start(plan, Start("x", None))
        over = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(for_s, over.set_result, None)
        await over
        if dies:
            await driver.perish()
            await self.store.leave(name)
        else:
            await driver.close()

    async def status(self, execution_id: str = "x") -> str:
        return (await self.store.read(execution_id)).summary.standing.status

    def hand(self) -> Hand:
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        return Hand(self.store, Kernel, f"hand-{self.count}", now_ms, {})


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_virtually(main())


@pytest.mark.parametrize("plan", [loop(), loop(delay="5ms"), fan()])
@pytest.mark.parametrize("for_s", [0.015, 0.025])
def test_whoever_takes_over_goes_on_in_the_same_iteration(plan: Plan, for_s: float) -> None:
    async def main() -> None:
        case = Case()
        await case.live(plan, for_s=for_s)
        for _ in range(20):
            if await case.status() != "running":
                break
            await case.live(None, for_s=for_s)
        assert await case.status() == "completed"
        made = case.calls.made
        assert list(dict.fromkeys(made)) == [f"l[{number}]/x" for number in range(6)]
        assert case.count > 1
        assert len(made) <= 6 + 2 * case.count

    run(main)


def test_a_loop_that_failed_is_resumed_in_the_iteration_that_failed() -> None:
    async def main() -> None:
        case = Case()
        case.calls.broken = {"l[3]/x"}
        await case.live(loop(), for_s=1, dies=False)
        assert await case.status() == "failed"
        case.calls.broken = set()
        await resume(case.hand(), "x")
        await case.live(None, for_s=1, dies=False)
        assert await case.status() == "completed"
        assert case.calls.made == [f"l[{n}]/x" for n in (0, 1, 2, 3, 3, 4, 5)]

    run(main)


def test_a_loop_can_be_forked_from_an_iteration() -> None:
    async def main() -> None:
        case = Case()
        await case.live(loop(), for_s=1, dies=False)
        await fork(case.hand(), Fork("x", "l[4]/x"), "y")
        await case.live(None, for_s=1, dies=False)
        assert await case.status("y") == "completed"
        again = [key.removeprefix("y/") for key in case.calls.made[6:]]
        assert again == ["l[4]/x", "l[5]/x"]

    run(main)


def test_the_timeline_of_a_loop_shows_each_iteration() -> None:
    async def main() -> None:
        case = Case()
        await case.live(loop(), for_s=1, dies=False)
        shown = show(await case.store.read("x"), 10**9)
        assert list(shown.trace.steps) == ["l", *(f"l[{n}]/x" for n in range(6))]

    run(main)
