"""A history begins anew while children run: all are awaited still, and each ends once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.kernel import Kernel
from plait.kernel.codec import load_turn
from plait.kernel.events import CallCompleted, HistoryBegun
from plait.kernel.snapshot import runs_in
from plait.kernel.turn import Limits
from plait.operations import Fork, cancel, fork
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.ports.journal import Search, Summary
from plait.stores.memory import MemoryStore
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.workers import Lives, run

ROUNDS = 60
KEPT = 40
SLOW_S = 0.7
CHILD = plan_with(ask("work", effect="keyed"), name="child", output="${work.response.step}")
EACH = ask("x", {"at": "${iteration}"}, effect="keyed")
LOOP: Any = {
    "id": "l",
    "type": "while",
    "while": f"${{iteration < {ROUNDS}}}",
    "steps": [EACH],
}


def kernel_for(plan: Plan) -> Kernel:
    return Kernel(plan, limits=Limits(events_max=20 * KEPT, events_kept=KEPT))


def kid(**request: Any) -> Any:
    return {"id": "kid", "type": "workflow", "request": {"name": "child", **request}}


def beside(step: Any) -> Plan:
    """Return a workflow with a child beside a long loop, and a step after both."""
    after = ask("after", "${kid.response}", effect="keyed", depends_on=["kid", "l"])
    return plan_with(LOOP, step, after, output="${after.response.step}")


class Calls:
    """Answers after 10 ms, what a child asks for after `slow_s`."""

    def __init__(self) -> None:
        self.made: list[Call] = []
        self.slow_s = SLOW_S

    def start(self, call: Call, done: Done) -> CallHandle:
        self.made.append(call)
        delay_s = self.slow_s if call.step == "work" else 0.01
        reply = CallReply({"step": call.step, "long": "-" * 200}, {})
        return asyncio.get_running_loop().call_later(delay_s, done, reply)

    async def close(self) -> None:
        """Nothing to close."""

    def of(self, step: str) -> list[Call]:
        return [call for call in self.made if call.step == step]


class Case(Lives):
    """A store, workers, and a workflow to be called."""

    calls: Calls

    def __init__(self) -> None:
        super().__init__(MemoryStore(), Calls(), kernel_for)

    async def live(self, plan: Plan | None = None, **given: Any) -> None:
        await super().live(plan, workflows=lambda *_: CHILD, **given)

    async def turns(self, execution_id: str = "x") -> list[Any]:
        history = await self.store.read(execution_id)
        return [load_turn(entry.body)[0] for entry in history.entries]

    async def under_way(self) -> set[str]:
        """Return what was under way when the history began, as it does by now."""
        first = (await self.turns())[0]
        assert isinstance(first, HistoryBegun)
        return {path for path, _, _ in runs_in(first.state)}

    async def children(self) -> list[Summary]:
        return list(await self.store.find(Search(workflow="child", limit=200)))


def test_a_child_that_is_awaited_is_the_same_and_its_end_comes_once() -> None:
    async def main() -> None:
        case = Case()
        await case.live(beside(kid()), for_s=0.505)
        assert "kid" in await case.under_way()
        await case.live(for_s=5, dies=False)
        assert await case.status() == "completed"
        [child] = await case.children()
        assert child.standing.status == "completed"
        ends = [
            turn
            for turn in await case.turns()
            if isinstance(turn, CallCompleted) and turn.step == "kid"
        ]
        assert [turn.response for turn in ends] == ["work"]
        [after] = case.calls.of("after")
        assert after.request["arg"] == "work"
        keys = {call.idempotency_key for call in case.calls.of("work")}
        assert len(keys) == 1

    run(main)


def test_a_child_that_ended_while_nobody_held_its_parent_is_heard_of() -> None:
    async def main() -> None:
        case = Case()
        case.calls.slow_s = 0.5
        await case.live(beside(kid()), for_s=0.495)
        assert "kid" in await case.under_way()
        row = (await case.store.read("x")).summary
        case.calls.slow_s = 0.001
        await case.live(for_s=0.03)
        assert (await case.store.read("x")).summary.length > row.length
        await case.live(for_s=5, dies=False)
        assert await case.status() == "completed"
        assert len(await case.children()) == len(case.calls.of("after")) == 1

    run(main)


def test_a_child_that_is_left_alone_is_started_once_and_goes_on() -> None:
    async def main() -> None:
        case = Case()
        case.calls.slow_s = 30
        await case.live(beside(kid(wait=False)), for_s=0.505)
        assert "kid" not in await case.under_way()
        await case.live(for_s=2, dies=False)
        assert await case.status() == "completed"
        [child] = await case.children()
        assert child.standing.status == "running"
        [after] = case.calls.of("after")
        assert after.request["arg"] == {"execution_id": child.new.execution_id}
        await case.live(for_s=60, dies=False)
        [child] = await case.children()
        assert child.standing.status == "completed"

    run(main)


def test_whoever_is_cancelled_after_its_history_began_anew_cancels_its_child() -> None:
    async def main() -> None:
        case = Case()
        case.calls.slow_s = 1e6
        await case.live(beside(kid()), for_s=0.505)
        assert "kid" in await case.under_way()
        await cancel(case.hand(), "x", "enough")
        await case.live(for_s=5, dies=False)
        assert await case.status() == "cancelled"
        [child] = await case.children()
        assert child.standing.status == "cancelled"

    run(main)


@pytest.mark.parametrize("for_s", [0.035, 0.2])
def test_each_iteration_has_one_child_through_crashes_and_new_beginnings(
    for_s: float,
) -> None:
    async def main() -> None:
        case = Case()
        case.calls.slow_s = 0.01
        loop = {**LOOP, "steps": [kid()], "while": "${iteration < 30}"}
        plan = plan_with(loop, output="${l.response.iterations}")
        await case.live(plan, for_s=for_s)
        for _ in range(100):
            if await case.status() != "running":
                break
            await case.live(for_s=for_s)
        assert await case.status() == "completed"
        await case.under_way()
        children = await case.children()
        assert len(children) == 30
        assert {one.standing.status for one in children} == {"completed"}

    run(main)


def test_a_fork_has_a_child_of_its_own() -> None:
    async def main() -> None:
        case = Case()
        case.calls.slow_s = 1e6
        await case.live(beside(kid()), for_s=2, dies=False)
        assert "kid" in await case.under_way()
        case.calls.slow_s = 0.1
        await fork(case.hand(), Fork("x", f"l[{ROUNDS - 1}]/x"), "y")
        await cancel(case.hand(), "x", "enough")
        await case.live(for_s=5, dies=False)
        assert await case.status("y") == "completed"
        ends = sorted(one.standing.status for one in await case.children())
        assert ends == ["cancelled", "completed"]

    run(main)
