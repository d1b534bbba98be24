"""Loops outlive their workers: whoever goes on is in the iteration where the other was."""

from __future__ import annotations

from typing import Any

import pytest

from plait.operations import Fork, fork, resume, show
from plait.plan import Plan
from plait.stores.memory import MemoryStore
from tests.simulation.asking import ask, give, plan_with
from tests.unit.drivers.workers import Answers, Lives, run

EACH = ask("x", effect="keyed")


def loop(**settings: Any) -> Plan:
    step: dict[str, Any] = {"id": "l", "type": "while", "steps": [EACH]}
    step |= {"while": "${iteration < 6}", **settings}
    return plan_with(step, output="${l.response.iterations}")


def fan(**settings: Any) -> Plan:
    step: dict[str, Any] = {"id": "l", "type": "foreach", "steps": [EACH]}
    step |= {"items": [0, 1, 2, 3, 4, 5], "max_concurrency": 2, **settings}
    return plan_with(step, output="${l.response.success_count}")


def paged(**settings: Any) -> Plan:
    """The same items, two to a page."""
    got = give("got", ["${2 * iteration}", "${2 * iteration + 1}"])
    pages = {"steps": [got], "items": "${got.response}"}
    pages["next"] = "${iteration < 2 ? iteration + 1 : null}"
    step: dict[str, Any] = {"id": "l", "type": "foreach", "steps": [EACH], "pages": pages}
    step |= {"max_concurrency": 2, **settings}
    return plan_with(step, output="${l.response.success_count}")


class Case(Lives):
    """One store, and workers on it."""

    calls: Answers

    def __init__(self) -> None:
        super().__init__(MemoryStore(), Answers())


@pytest.mark.parametrize("plan", [loop(), loop(delay="5ms"), fan(), paged()])
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


COUNT = "${(n.response == null ? 0 : int(n.response)) + 1}"
VISITS = ["x", *(f"x#{number}" for number in range(2, 7))]


def circle() -> Plan:
    back = {"id": "g", "type": "goto", "to": "n", "condition": "${n.response < 6}"}
    steps = (give("n", COUNT), EACH, back)
    return plan_with(*steps, order="sequence", output="${n.response}")


@pytest.mark.parametrize("for_s", [0.015, 0.025])
def test_whoever_takes_over_goes_on_in_the_same_visit(for_s: float) -> None:
    async def main() -> None:
        case = Case()
        await case.live(circle(), for_s=for_s)
        for _ in range(20):
            if await case.status() != "running":
                break
            await case.live(None, for_s=for_s)
        assert await case.status() == "completed"
        assert list(dict.fromkeys(case.calls.made)) == VISITS
        assert case.count > 1

    run(main)


def test_a_visit_that_failed_is_resumed_and_any_visit_can_be_forked_from() -> None:
    async def main() -> None:
        case = Case()
        case.calls.broken = {"x#3"}
        await case.live(circle(), for_s=1, dies=False)
        assert await case.status() == "failed"
        case.calls.broken = set()
        await resume(case.hand(), "x")
        await case.live(None, for_s=1, dies=False)
        assert await case.status() == "completed"
        assert case.calls.made == [*VISITS[:3], *VISITS[2:]]
        await fork(case.hand(), Fork("x", "x#5"), "y")
        await case.live(None, for_s=1, dies=False)
        assert await case.status("y") == "completed"
        assert [key.removeprefix("y/") for key in case.calls.made[7:]] == VISITS[4:]

    run(main)
