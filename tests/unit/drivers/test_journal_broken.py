"""When Plait itself fails: what it cannot decide stops neither execution nor worker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plait.drivers.journal import HistoryDamaged, JournalDriver, Start
from plait.kernel import Execution, Kernel, Turn
from plait.kernel.events import CallCompleted, CallFailed, OutsideEvent, TimerFired
from plait.operations import show, shown_json, verify_all
from plait.plan import Plan
from plait.ports.journal import Append, History, Message
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.test_journal_doubt import Calls
from tests.unit.drivers.workers import a_while
from tests.unit.stores.histories import hand

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


class DamagedStore(MemoryStore):
    """Has a history that cannot be read, and a message that nobody understands."""

    async def beat(self, worker_id: str, now_ms: int, until_ms: int) -> list[Message]:
        told = await super().beat(worker_id, now_ms, until_ms)
        return [Message("odd", "y", b'{"verb": "decide", "mood": 1}'), *told]

    async def read(self, execution_id: str) -> History:
        history = await super().read(execution_id)
        if execution_id != "x":
            return history
        return replace(history, entries=[*history.entries, history.entries[0]])


def test_who_waits_for_what_cannot_go_on_is_told_and_the_worker_goes_on() -> None:
    async def main() -> str:
        store = DamagedStore()
        eve = driver_on(store, Kernel)
        await eve.start(plan_with(ask("a")), Start("x", None))
        await eve.perish()
        await store.leave("ann")
        driver = driver_on(store, Kernel)
        await driver.open()
        for _ in range(2):
            with pytest.raises(HistoryDamaged):
                await driver.ended("x")
        await driver.start(plan_with(PAID), Start("y", None))
        await a_while(5.0)
        await driver.signal("y", "paid", 1, "s")
        summary = await driver.ended("y")
        await driver.close()
        return summary.standing.status

    assert run_virtually(main()) == "completed"


def test_a_child_that_plait_fails_to_start_fails_its_step() -> None:
    def workflows(_: str, name: str) -> Plan | None:
        raise RecursionError(name)

    async def main() -> str | None:
        store, calls = MemoryStore(), Calls([])
        driver = JournalDriver(store, calls, Kernel, worker_id="ann", workflows=workflows)
        await driver.open()
        kid = {"id": "kid", "type": "workflow", "request": {"name": "child"}}
        plan = plan_with(kid)
        await driver.start(plan, Start("x", None))
        summary = await driver.ended("x")
        await driver.close()
        return summary.standing.error_code

    assert run_virtually(main()) == "internal"


ODD = Message("odd", "x", b'{"verb": "dance", "reason": "new words"}')


def test_a_message_that_nobody_can_read_is_put_aside_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> tuple[str, int]:
        store = MemoryStore()
        driver = driver_on(store, Kernel)
        await driver.open()
        await driver.start(plan_with(PAID), Start("x", None))
        await a_while(5.0)
        await store.post(ODD)
        await a_while(60.0)
        epoch = (await store.read("x")).summary.epoch
        await driver.signal("x", "paid", 1, "s")
        summary = await driver.ended("x")
        await driver.close()
        history = await store.read("x")
        assert history.aside == (ODD,)
        checked = [one async for one in verify_all(hand(store), ["x"])]
        assert [one.code for one in checked] == ["journal.message_unreadable"]
        assert shown_json(show(history, 0))["unreadable"] == [
            {"id": "odd", "body": ODD.body.decode()}
        ]
        return summary.standing.status, epoch

    status, epoch = run_virtually(main())
    assert status == "completed"
    # It was claimed for the message, once, and not again and again.
    assert epoch == 2
    told = [one for one in caplog.records if "message odd" in one.getMessage()]
    assert len(told) == 1
