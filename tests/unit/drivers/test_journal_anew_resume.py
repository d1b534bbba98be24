"""What failed after its history began anew goes on as it would with a whole one."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import pytest

from plait.drivers.journal import verify
from plait.drivers.journal.resuming import NotResumable
from plait.kernel import Kernel
from plait.kernel.turn import Limits
from plait.model.failure import Failure
from plait.operations import BegunAnew, Fork, fork, resume, rollback, show
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.stores.memory import MemoryStore
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.workers import Answers, Lives, run

KEPT = 40
# The loop's other name is time: 10 ms an iteration, and it has time for 35 of them.
ROUNDS = 90
TIME_S = 0.355
UNSAFE = ask("pay", "${iteration}", effect="unsafe", on_unknown="retry")


class Upstream(Answers):
    """Notes steps instead of keys: calls that are not safe to repeat have none.

    Attributes:
        broken: The steps that fail, after `broken_after_s`.
    """

    broken_after_s = 0.01

    def start(self, call: Call, done: Done) -> CallHandle:
        """Answer in a while."""
        self.made.append(call.step)
        answer: Any = CallReply({"long": "-" * 200}, {})
        after_s = 0.01
        if call.step in self.broken:
            answer, after_s = Failure("connector.http.500", "broken"), self.broken_after_s
        return asyncio.get_running_loop().call_later(after_s, done, answer)


class Case(Lives):
    """Workers whose histories begin anew after `kept` events."""

    calls: Upstream

    def __init__(self, kept: int = KEPT) -> None:
        def kernel_for(plan: Plan) -> Kernel:
            return Kernel(plan, limits=Limits(events_max=50_000, events_kept=kept))

        super().__init__(MemoryStore(), Upstream(), kernel_for, {"name": "n" * 100})

    async def is_anew(self, execution_id: str = "x") -> bool:
        history = await self.store.read(execution_id)
        verify(history)
        return len(history.entries) < history.summary.length

    async def failure(self) -> Any:
        return (await self.store.read("x")).summary.standing.error_code

    async def recover(self) -> None:
        """Resume, and die again and again until it has ended."""
        await resume(self.hand(), "x")
        for _ in range(ROUNDS):
            await self.live(for_s=0.045)
            if await self.status() != "running":
                break


def loop(**settings: Any) -> dict[str, Any]:
    step: dict[str, Any] = {"id": "l", "type": "repeat", "steps": [UNSAFE]}
    return step | {"until": f"${{iteration >= {ROUNDS - 1}}}"} | settings


def timed_out(**settings: Any) -> Plan:
    return plan_with(loop(timeout=f"{TIME_S * 1000:.0f}ms", **settings), output="done")


@pytest.mark.parametrize("dies", [False, True])
def test_a_loop_that_ran_out_of_time_goes_on_in_its_iteration_with_all_its_time(
    dies: bool,
) -> None:
    async def main() -> None:
        case = Case()
        await case.live(timed_out(), for_s=1, dies=False)
        for _ in range(2):
            assert await case.failure() == "step.timeout"
            assert await case.is_anew()
            await resume(case.hand(), "x")
            if dies:
                await case.live(for_s=0.105)
            await case.live(for_s=1, dies=False)
        assert await case.status() == "completed"
        times = Counter(case.calls.made)
        assert len(times) == ROUNDS
        # Each failure and each death cuts one call short, and that is made again.
        assert sum(times.values()) <= ROUNDS + (2 if not dies else 4)
        assert max(times.values()) <= 2

    run(main)


def test_a_loop_whose_attempts_ran_out_of_time_goes_on_in_the_last_of_them() -> None:
    async def main() -> None:
        case = Case()
        retry = {"max_attempts": 2, "delay": "1ms", "on": ["any"]}
        keyed = ask("pay", effect="keyed")
        step = loop(attempt_timeout="755ms", retry=retry, steps=[keyed])
        plan = plan_with(step, output="done")
        await case.live(plan, for_s=2, dies=False)
        assert await case.failure() == "step.timeout"
        assert await case.is_anew()
        await resume(case.hand(), "x")
        await case.live(for_s=0.105)
        await case.live(for_s=2, dies=False)
        assert await case.status() == "completed"
        second = Counter(one for one in case.calls.made if one.startswith("l~2["))
        assert len(second) == ROUNDS
        assert sum(second.values()) <= ROUNDS + 2

    run(main)


def test_what_cannot_go_on_otherwise_is_not_resumed() -> None:
    async def main() -> None:
        case = Case()
        await case.live(plan_with(loop(max_iterations=50)), for_s=2, dies=False)
        assert await case.failure() == "limit.iterations"
        made = [*case.calls.made]
        with pytest.raises(NotResumable, match=re.escape("would end the same way at once")):
            await resume(case.hand(), "x")
        await case.live(for_s=1, dies=False)
        assert case.calls.made == made

    run(main)


def test_a_fork_goes_on_in_a_loop_that_ran_out_of_time() -> None:
    async def main() -> None:
        case = Case()
        await case.live(timed_out(), for_s=1, dies=False)
        made = [*case.calls.made]
        number = len(made) - 3
        with pytest.raises(BegunAnew, match=re.escape("'l' began before that")):
            await fork(case.hand(), Fork("x", "l"), "y")
        await fork(case.hand(), Fork("x", f"l[{number}]/pay"), "y")
        await case.live(for_s=0.105)
        await case.live(for_s=1, dies=False)
        assert show(await case.store.read("y"), 0).status == "failed"
        again = list(dict.fromkeys(case.calls.made[len(made) :]))
        # All the time of the loop: 35 more of them.
        assert again[0] == f"l[{number}]/pay"
        assert len(again) >= 30
        assert await case.is_anew("y")

    run(main)


def test_what_a_loop_did_is_undone_after_it_went_on_and_ran_out_of_time_again() -> None:
    async def main() -> None:
        case = Case()
        before = ask("book", effect="keyed", compensate=ask("unbook", effect="keyed"))
        step = loop(timeout=f"{TIME_S * 1000:.0f}ms", depends_on=["book"])
        await case.live(plan_with(before, step), for_s=1, dies=False)
        await resume(case.hand(), "x")
        await case.live(for_s=1, dies=False)
        assert await case.failure() == "step.timeout"
        await rollback(case.hand(), "x", "not wanted")
        await case.live(for_s=1, dies=False)
        assert await case.status() == "compensated"
        assert case.calls.made.count("book.compensate/unbook") == 1
        assert await case.is_anew()

    run(main)


RETRY = {"max_attempts": 3, "delay": "10ms", "on": ["any"]}
ENDLESS = loop(until="${iteration >= 400}", max_iterations=1_000)


def beside(**settings: Any) -> Plan:
    slow = ask("slow", effect="keyed", retry=RETRY, **settings)
    return plan_with(ENDLESS, slow, output="done")


@pytest.mark.parametrize("kept", [KEPT, 10_000])
def test_a_step_that_was_under_way_when_the_history_began_has_all_its_attempts_anew(
    kept: int,
) -> None:
    async def main() -> None:
        case = Case(kept)
        case.calls.broken, case.calls.broken_after_s = {"slow"}, 0.35
        await case.live(beside(), for_s=1.5, dies=False)
        assert case.calls.made.count("slow") == 3
        assert await case.is_anew() is (kept == KEPT)
        for count in (6, 9):
            await resume(case.hand(), "x")
            await case.live(for_s=1.5, dies=False)
            assert await case.status() == "failed"
            assert case.calls.made.count("slow") == count
        case.calls.broken.clear()
        await case.recover()
        assert await case.status() == "completed"
        assert case.calls.made.count("slow") == 10

    run(main)


@pytest.mark.parametrize("kept", [KEPT, 60, 80, 100])
def test_what_completed_after_one_resume_is_not_done_again_by_the_next(kept: int) -> None:
    async def main() -> None:
        case = Case(kept)
        case.calls.broken, case.calls.broken_after_s = {"slow", "l[112]/pay"}, 0.35
        await case.live(beside(), for_s=1.5, dies=False)
        case.calls.broken.discard("slow")
        await resume(case.hand(), "x")
        await case.live(for_s=3, dies=False)
        assert show(await case.store.read("x"), 0).status == "failed"
        assert case.calls.made.count("slow") == 4
        case.calls.broken.clear()
        case.calls.made.clear()
        await case.recover()
        assert await case.status() == "completed"
        assert "slow" not in case.calls.made
        assert case.calls.made[0] == "l[112]/pay"

    run(main)


@pytest.mark.parametrize("kept", [KEPT, 10_000])
def test_a_step_that_goes_on_has_all_its_time_whatever_ran_beside_it(kept: int) -> None:
    async def main() -> None:
        case = Case(kept)
        case.calls.broken, case.calls.broken_after_s = {"slow"}, 0.35
        await case.live(beside(timeout="1100ms"), for_s=1.5, dies=False)
        assert case.calls.made.count("slow") == 3
        for count in (6, 9):
            assert await case.status() == "failed"
            await resume(case.hand(), "x")
            await case.live(for_s=1.5, dies=False)
            assert case.calls.made.count("slow") == count

    run(main)


# With some of them the history does not begin anew between the failures.
@pytest.mark.parametrize("kept", [KEPT, 60, 80, 100])
def test_a_fork_has_the_outcome_of_a_step_that_had_all_its_attempts_anew(kept: int) -> None:
    async def main() -> None:
        case = Case(kept)
        case.calls.broken, case.calls.broken_after_s = {"slow"}, 0.35
        await case.live(beside(), for_s=1.5, dies=False)
        case.calls.broken.clear()
        case.calls.broken = {"l[112]/pay"}
        await resume(case.hand(), "x")
        await case.live(for_s=1, dies=False)
        assert await case.status() == "failed"
        case.calls.broken.clear()
        case.calls.made.clear()
        await fork(case.hand(), Fork("x", "l[111]/pay"), "y")
        await case.live(for_s=0.105)
        await case.live(for_s=5, dies=False)
        assert await case.status("y") == "completed"
        assert "slow" not in case.calls.made
        assert case.calls.made[0] == "l[111]/pay"

    run(main)


@pytest.mark.parametrize("kept", [KEPT, 10_000])
def test_the_time_limits_of_other_steps_stand_still_in_each_pause(kept: int) -> None:
    async def main() -> None:
        case = Case(kept)
        case.calls.broken = {"l[60]/pay", "l[80]/pay"}
        nap: dict[str, Any] = {"id": "nap", "type": "wait", "for": "1900ms"}
        plan = plan_with(loop(), {**nap, "timeout": "2s"}, output="done")
        await case.live(plan, for_s=5, dies=False)
        for step in ("l[60]/pay", "l[80]/pay"):
            assert await case.failure() == "connector.http.500"
            case.calls.broken.discard(step)
            await resume(case.hand(), "x")
            # So much longer than any limit is the pause after it.
            await case.live(for_s=5, dies=False)
        assert await case.status() == "completed"

    run(main)
