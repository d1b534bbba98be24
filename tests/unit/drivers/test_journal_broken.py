"""When Plait itself fails: what it cannot decide stops neither execution nor worker."""

from __future__ import annotations

from typing import Any

import pytest

from plait.drivers.journal import JournalDriver, Start
from plait.kernel import Execution, Kernel, Turn
from plait.kernel.events import CallCompleted, CallFailed, OutsideEvent, TimerFired
from plait.ports.journal import Append
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.test_journal_doubt import Calls, a_while

PAID: Any = {"id": "paid", "type": "wait", "event": {"name": "paid"}}
LONG: Any = {"id": "long", "type": "wait", "for": "50ms"}


class BrokenKernel(Kernel):
    """Cannot decide the events of some kinds, nor signals that say `bad`."""

    broken: tuple[type, ...] = ()

    def decide(self, state: Execution, event: OutsideEvent) -> Turn:
        if isinstance(event, self.broken) or getattr(event, "payload", None) == "bad":
            raise TypeError("nobody thought of this")
        return super().decide(state, event)


def driver_on(
    store: MemoryStore, kernel: type[Kernel] = BrokenKernel, calls: Any = None
) -> JournalDriver:
    return JournalDriver(store, calls or Calls([]), kernel, worker_id="ann")


def test_a_signal_that_cannot_be_decided_is_passed_over_and_the_next_is_heard() -> None:
    async def main() -> tuple[str, Any]:
        driver = driver_on(MemoryStore())
        await driver.open()
        plan = plan_with(PAID, ask("a"), output="${paid.response}")
        await driver.start(plan, Start("x", None))
        await driver.signal("x", "paid", "bad", "one")
        await driver.signal("x", "paid", "good", "two")
        summary = await driver.ended("x")
        result = await driver.result("x")
        await driver.close()
        return summary.standing.status, result.output

    assert run_virtually(main()) == ("completed", "good")


def test_an_answer_that_cannot_be_decided_fails_its_step() -> None:
    class Worse(BrokenKernel):
        broken = (CallCompleted,)

    async def main() -> tuple[str, str | None, int]:
        calls = Calls([])
        driver = driver_on(MemoryStore(), Worse, calls)
        await driver.open()
        await driver.start(plan_with(ask("a")), Start("x", None))
        standing = (await driver.ended("x")).standing
        await driver.close()
        return standing.status, standing.error_code, len(calls.made)

    assert run_virtually(main()) == ("failed", "internal", 1)


@pytest.mark.parametrize("step", [LONG, ask("a")])
def test_what_cannot_go_on_can_be_cancelled(step: Any) -> None:
    class Worse(BrokenKernel):
        broken = (TimerFired, CallCompleted, CallFailed)

    async def main() -> str:
        driver = driver_on(MemoryStore(), Worse)
        await driver.open()
        await driver.start(plan_with(step), Start("x", None))
        await a_while(1.0)
        await driver.cancel("x", "it hangs", "m")
        summary = await driver.ended("x")
        await driver.close()
        return summary.standing.status

    assert run_virtually(main()) == "cancelled"


class FaultyStore(MemoryStore):
    """Fails once at a turn, as no store should."""

    is_faulty = True

    async def append(self, append: Append) -> None:
        if self.is_faulty:
            self.is_faulty = False
            raise ValueError("nobody thought of this")
        await super().append(append)


def test_a_turn_is_written_again_after_a_fault_that_nobody_thought_of() -> None:
    async def main() -> str:
        driver = driver_on(FaultyStore(), Kernel)
        await driver.open()
        await driver.start(plan_with(ask("a")), Start("x", None))
        summary = await driver.ended("x")
        await driver.close()
        return summary.standing.status

    assert run_virtually(main()) == "completed"
