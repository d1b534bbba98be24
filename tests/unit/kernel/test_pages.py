"""Pages: items that are fetched as those before are used up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.kernel import Limits, StartCall
from plait.testing import Answer, Simulated, Simulation, error, reply, simulate
from tests.simulation.asking import ask, give, plan_with

BROKEN = "connector.http.500"
FETCH = ask("got", "${next}")
PAGES = {"steps": [FETCH], "items": "${got.response.items}", "next": "${got.response.next}"}
EACH = ask("x", "${item}")


def fan(*steps: Any, pages: Any = PAGES, **given_settings: Any) -> dict[str, Any]:
    step = {"id": "f", "type": "foreach", "pages": pages, "steps": list(steps)}
    return {**step, **given_settings}


def run(step: dict[str, Any], script: Any) -> Simulated:
    return simulate(plan_with(step, output="${f.response}"), script)


def page_number(call: StartCall) -> int:
    return int(call.step.partition("[page")[2].partition("]")[0] or -1)


def book(*pages: list[Any], after_ms: int = 5) -> Any:
    """Answer with the pages, one after the other; a page after the last is none."""

    def answer(call: StartCall) -> Answer:
        number = page_number(call)
        if number < 0:
            arg: Any = call.request["arg"]
            return reply(arg, after_ms=10)
        following = number + 1 if number + 1 < len(pages) else None
        return reply({"items": pages[number], "next": following}, after_ms=after_ms)

    return answer


def test_items_of_all_pages_are_one_list() -> None:
    step = fan(EACH, result="${x.response}")
    result = run(step, book(["a", "b"], [], ["c"]))
    assert result.output == {
        "results": ["a", "b", "c"],
        "failures": [],
        "total": 3,
        "success_count": 3,
        "failure_count": 0,
        "skipped_count": 0,
        "success_rate": 1.0,
        "pages": 3,
    }
    fetched = [call for call in result.calls if page_number(call) >= 0]
    assert [call.step for call in fetched] == [f"f[page{n}]/got" for n in range(3)]
    assert [call.request["arg"] for call in fetched] == [None, 1, 2]


def test_a_page_is_fetched_when_fewer_items_wait_than_may_be_under_way() -> None:
    pages = [[*range(6)], [*range(6)], [1]]
    result = run(fan(EACH, max_concurrency=2), book(*pages))
    begun = [call.step for call in result.calls]
    # Of six two are under way and three begin no more than one of them ends.
    assert begun.index("f[page1]/got") == begun.index("f[4]/x") + 1
    assert begun.index("f[page2]/got") > begun.index("f[9]/x")


@pytest.mark.parametrize("end", [None, False, ""])
def test_null_false_and_an_empty_text_end_the_pages(end: Any) -> None:
    answers = {"f[page0]/got": reply({"items": [1], "next": end}), "f[0]/x": reply(1)}
    result = run(fan(EACH), answers)
    assert result.status == "completed"
    assert len(result.calls) == 2


def test_a_page_that_names_itself_as_the_next_one_fails_the_step() -> None:
    same = reply({"items": [], "next": "c1"})
    result = run(fan(EACH), {"f[page0]/got": same, "f[page1]/got": same})
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == ("foreach.same_page", "f")


@pytest.mark.parametrize(
    ("pages", "code"),
    [
        ({**PAGES, "items": "${got.response.next}"}, "foreach.items"),
        ({**PAGES, "next": "${got.response.nothing.here}"}, "expression.no_such_key"),
        ({**PAGES, "max_pages": 1}, "limit.pages"),
    ],
)
def test_what_is_wrong_with_a_page_fails_the_step(pages: Any, code: str) -> None:
    step = fan(EACH, pages=pages, on_item_error="continue")
    result = run(step, book(["a"], ["b"]))
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == (code, "f")


def test_a_failed_fetch_is_no_failed_item_and_can_be_tried_again_by_itself() -> None:
    once = {"f[page0]/got": [error(BROKEN), reply({"items": [1], "next": None})]}
    again = {**FETCH, "retry": {"max_attempts": 2, "delay": "0ms", "on": "any"}}
    pages = {**PAGES, "steps": [again]}
    script: Any = {**once, "f[0]/x": reply(1)}
    assert run(fan(EACH, pages=pages), script).status == "completed"
    result = run(fan(EACH, on_item_error="continue"), once)
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == (BROKEN, "f[page0]/got")


def test_break_gives_up_the_page_that_is_being_fetched() -> None:
    step = fan(EACH, max_concurrency=1, **{"break": "${item == 1}"})
    result = run(step, book([1], [2], after_ms=50))
    assert result.status == "completed"
    assert result.status_of("f[page1]/got") == "cancelled"
    assert result.elapsed_ms == 60


@settings(max_examples=60, deadline=None)
@given(
    pages=st.lists(st.lists(st.integers(0, 9), max_size=7), min_size=1, max_size=6),
    most=st.integers(1, 5),
    batch=st.none() | st.integers(1, 5),
    broken=st.sets(st.integers(0, 9), max_size=3),
    stop=st.none() | st.integers(0, 9),
)
def test_pages_come_to_what_one_list_of_their_items_comes_to(
    pages: Any, most: int, batch: int | None, broken: set[int], stop: int | None
) -> None:
    turned = book(*pages, after_ms=0)

    def answer(call: StartCall) -> Answer:
        is_broken = page_number(call) < 0 and call.request["arg"] in broken
        return error(BROKEN) if is_broken else turned(call)

    wanted: dict[str, Any] = {"max_concurrency": most, "on_item_error": "continue"}
    wanted |= {"result": "${x.response}", "continue": "${item == 7}"}
    wanted |= {} if batch is None else {"batch_size": batch, "batch_delay": "3ms"}
    # Who is under way when it breaks hangs on when pages come; so one at a time then.
    wanted |= (
        {} if stop is None else {"break": f"${{item == {stop}}}", "max_concurrency": 1}
    )
    paged = told(run(fan(EACH, **wanted), answer))
    items = [item for page in pages for item in page]
    listed = told(run({**fan(EACH, **wanted), "items": items, **NO_PAGES}, answer))
    assert paged.pop("pages") <= len(pages)
    if stop is not None:
        count = len(paged["results"])
        assert listed["results"][:count] == paged["results"]
        assert listed["failures"] == paged["failures"]
        return
    assert paged == listed


NO_PAGES = {"pages": None}


def told(result: Simulated) -> Any:
    output: Any = result.output
    failures = [(one["index"], one["item"]) for one in output["failures"]]
    return {**output, "failures": failures}


def test_a_hundred_thousand_items_of_a_thousand_pages_take_the_room_of_a_page() -> None:
    def answer(call: StartCall) -> Answer:
        number = page_number(call)
        items: Any = [100 * number + one for one in range(100)]
        return reply({"items": items, "next": number + 1 if number < 999 else None})

    pages = {**PAGES, "max_pages": 1_000}
    step = fan(give("x", "${item}"), pages=pages, result=None)
    limits = Limits(events_max=1_000_000)
    sim = Simulation(plan_with(step, output="${f.response.total}"), answer, limits=limits)
    waiting = under_way = longest = 0
    while sim.state.end is None:
        assert sim.state.root is not None
        run_of = sim.state.root.runs[0]
        waiting = max(waiting, len(run_of.memory.waiting))
        under_way = max(under_way, len(run_of.frames))
        longest = max(longest, len(sim.happen(sim.pending[0]).events))
    assert sim.result().output == 100_000
    assert len(sim.result().calls) == 1_000
    assert waiting < 110
    assert under_way <= 11
    assert longest <= 1_100
