"""The worst case of time and calls: hand-computed, and never passed by a simulation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.compile.iterations import UNBOUNDED
from plait.compile.worst_case import (
    Bound,
    longest_delay_ms,
    shortest_delay_ms,
    worst_cases,
)
from plait.kernel import StartCall
from plait.kernel.backoff import next_delay_ms
from plait.kernel.paths import in_document
from plait.plan import Plan, RetryPolicy
from plait.testing import HANG, error, reply, simulate
from plait.testing.script import Answer
from tests.unit.compile.plans import call, parallel, plan_of, sequence, wait


def whole(*steps: dict[str, Any], **document: Any) -> Bound:
    return worst_cases(plan_of(*steps, **document))[0]


def step(settings: dict[str, Any]) -> Bound:
    return worst_cases(plan_of(call("a", **settings)))[1]["a"]


def retry(attempts: int, **more: Any) -> dict[str, Any]:
    return {"max_attempts": attempts, **more}


EACH_1S: dict[str, Any] = {"attempt_timeout": "1s"}
GROWING = retry(4, backoff="exponential", factor=3, jitter=0.5, max_delay="500ms")


@pytest.mark.parametrize(
    ("settings", "ms", "calls"),
    [
        ({}, 30_000, 1),
        ({"timeout": "2s"}, 2_000, 1),
        ({"attempt_timeout": "2s"}, 2_000, 1),
        ({"attempt_timeout": "2s", "retry": retry(3, delay="100ms")}, 6_200, 3),
        ({**EACH_1S, "timeout": "5s", "retry": retry(3)}, 3_200, 3),
        ({**EACH_1S, "timeout": "2s", "retry": retry(3)}, 2_000, 3),
        ({"retry": retry(2, delay="1s")}, 61_000, 2),
        # 100 + 200 + 300: linear grows by the delay.
        ({**EACH_1S, "retry": retry(4, backoff="linear")}, 4_600, 4),
        # 100, 300, 500 (the ceiling), each half again as long by jitter, but for the last.
        ({**EACH_1S, "retry": GROWING}, 4_000 + 150 + 450 + 500, 4),
        # random: up to max_delay each time.
        ({**EACH_1S, "retry": retry(3, backoff="random", max_delay="2s")}, 7_000, 3),
        # Within 1 s only three waits of 300 ms begin: 300, 600, 900.
        ({"timeout": "1s", "retry": retry(9, delay="300ms")}, 1_000, 4),
        ({"disabled": True}, 0, 0),
        ({"timeout": "1s", "fallback": {"x": 1}}, 1_000, 1),
        ({"timeout": "1s", "fallback": call("b", timeout="3s")}, 4_000, 2),
    ],
)
def test_a_call_takes_at_most_its_attempts_and_waits(
    settings: dict[str, Any], ms: int, calls: int
) -> None:
    assert (step(settings).ms, step(settings).calls) == (ms, calls)


def test_services_that_ask_for_longer_waits_are_counted_apart() -> None:
    bound = step({**EACH_1S, "retry": retry(3, max_delay="10s")})
    assert (bound.ms, bound.asked_ms) == (3_200, 23_000)
    bound = step({"timeout": "2s", "retry": {"max_attempts": 3}})
    assert (bound.ms, bound.asked_ms) == (2_000, 2_000)


def test_waiting_in_line_counts_as_long_as_the_time_of_all_attempts_allows() -> None:
    line = {
        "rate_limit": {"limit": 1, "per": "1s", "queue_timeout": "2s"},
        "bulkhead": {"max_concurrency": 1, "max_queue": 1, "queue_timeout": "3s"},
    }
    assert step({**EACH_1S, **line}).ms == 6_000
    assert step({**EACH_1S, **line, "timeout": "4s"}).ms == 4_000
    nobody_waits = {"bulkhead": {"max_concurrency": 1}}
    assert step({**EACH_1S, **nobody_waits}).ms == 1_000


def test_how_a_bound_comes_about_is_said() -> None:
    settings = {"attempt_timeout": "1s", "timeout": "2s", "retry": {"max_attempts": 3}}
    assert step(settings).why == (
        "3 attempts × 1s (attempt_timeout) + 200ms of waits, cut off at 2s (timeout)"
    )
    assert step({}).why == "30s (the default time limit of a call)"
    assert step({"timeout": "1s", "fallback": call("b", timeout="3s")}).why == (
        "1s (timeout), then the fallback: 3s"
    )


def test_steps_in_a_row_add_up_and_steps_side_by_side_count_as_the_longest() -> None:
    a, b, c = call("a", timeout="1s"), call("b", timeout="3s"), call("c", "a", timeout="4s")
    assert whole(a, b, c).ms == 5_000
    assert whole(a, b, c, order="sequence").ms == 8_000
    assert whole(sequence("s", a, b, c)).ms == 8_000
    assert whole(parallel("p", [a, c], [b])).ms == 5_000


def test_of_alternatives_the_longest_counts() -> None:
    way = {
        name: {"steps": [call(name, timeout=f"{n}s")]} for n, name in enumerate("abc", 1)
    }
    test = {"when": "${input.x == 1}"}
    cases = [{**way["a"], **test}, {**way["b"], **test}]
    switch = {"id": "s", "type": "switch", "cases": cases, "default": way["c"]}
    bound = whole(switch)
    assert (bound.ms, bound.calls, bound.slowest) == (3_000, 1, ("s[default]/c",))
    everything = whole({**switch, "strategy": "all_match"})
    assert (everything.ms, everything.calls) == (3_000, 3)
    catch = [{"on": ["timeout"], **way["a"]}, way["b"]]
    last = {"steps": [call("d", timeout="4s")]}
    bound = whole({"id": "t", "type": "try", **way["c"], "catch": catch, "finally": last})
    assert (bound.ms, bound.calls) == (9_000, 3)
    assert bound.slowest == ("t/c", "t[catch2]/b", "t[finally]/d")
    route = {"id": "r", "type": "route", "max_hops": 1, "handlers": way}
    bound = whole(route)
    assert (bound.ms, bound.calls, bound.deepest) == (6_000, 2, ("r[a]/a",))
    assert bound.why == ""


@pytest.mark.parametrize("join", ["all", "any", 2])
def test_every_join_counts_as_a_join_of_all(join: Any) -> None:
    branches = ([wait("a", "1s")], [wait("b", "2s")], [wait("c", "3s")])
    assert whole(parallel("p", *branches, join=join)).ms == 3_000


def test_retries_of_a_step_with_steps_inside_multiply_time_and_calls() -> None:
    inner = [call("a", timeout="1s"), call("b", timeout="2s")]
    bound = whole(parallel("p", inner, retry={"max_attempts": 3, "delay": "50ms"}))
    assert (bound.ms, bound.calls) == (6_100, 6)


def test_a_step_timeout_cuts_off_what_is_inside() -> None:
    assert whole(parallel("p", [wait("w", "1h")], timeout="2s")).ms == 2_000
    assert whole(sequence("s", wait("w", "1h"), attempt_timeout="3s")).ms == 3_000


def test_a_wait_without_known_duration_is_unbounded_unless_something_ends_it() -> None:
    assert whole(wait("w", "${input.n}")).ms == UNBOUNDED
    assert whole(wait("w", "${input.n}", timeout="1s")).ms == 1_000
    assert whole(wait("w", "${input.n}"), timeout="4s").ms == 4_000


def test_the_workflow_timeout_cuts_off_everything() -> None:
    assert whole(call("a"), timeout="5s").ms == 5_000
    assert whole(call("a", timeout="1s"), timeout="5s").ms == 1_000


def test_instant_steps_take_no_time_and_no_calls() -> None:
    value = {"id": "v", "type": "set", "value": 1, "retry": {"max_attempts": 5}}
    assert (whole(value).ms, whole(value).calls) == (0, 0)


def fail(step_id: str, **settings: Any) -> dict[str, Any]:
    return {"id": step_id, "type": "fail", "code": "shop.closed", **settings}


def test_a_fail_that_is_tried_again_takes_its_waits() -> None:
    again = fail("f", retry=retry(3, delay="500ms", on=["any"]))
    bound = whole(again)
    assert (bound.ms, bound.asked_ms, bound.calls) == (1_000, 1_000, 0)
    assert simulate(plan_of(again), lambda _: HANG).elapsed_ms == 1_000
    assert whole(fail("f")).ms == 0
    # The third attempt would begin after the deadline, so nobody waits for it.
    assert whole(fail("f", timeout="700ms", retry=again["retry"])).ms == 500


def child(**settings: Any) -> dict[str, Any]:
    return {"id": "c", "type": "workflow", "request": {"name": "other"}, **settings}


def test_another_workflow_has_no_bound_unless_its_step_sets_one() -> None:
    bound = worst_cases(plan_of(child()))[1]["c"]
    assert (bound.ms, bound.calls) == (UNBOUNDED, 1)
    assert bound.why == "unbounded ('workflow' has no time limit of its own)"
    assert whole(child(timeout="5s")).ms == 5_000
    assert whole(child(attempt_timeout="5s", retry=retry(2, delay="1s"))).ms == 11_000
    assert whole(child(), timeout="4s").ms == 4_000


POLICIES = st.builds(
    RetryPolicy,
    attempts_max=st.integers(1, 9),
    delay_ms=st.integers(0, 5_000),
    backoff=st.sampled_from(["fixed", "linear", "exponential", "random"]),
    factor=st.floats(1, 100),
    delay_ms_max=st.integers(0, 9_000),
    jitter=st.floats(0, 1),
    on=st.none(),
    when=st.none(),
)


@given(POLICIES, st.integers(1, 80), st.text(max_size=5))
def test_every_delay_of_the_kernel_lies_between_shortest_and_longest(
    policy: RetryPolicy, attempt: int, seed: str
) -> None:
    delay_ms = next_delay_ms(policy, attempt, seed=seed, asked_ms=None)
    assert shortest_delay_ms(policy, attempt) <= delay_ms
    assert delay_ms <= longest_delay_ms(policy, attempt)


@given(POLICIES, st.integers(1, 9), st.integers(0, 100_000))
def test_no_wait_that_a_service_asks_for_is_above_max_delay(
    policy: RetryPolicy, attempt: int, asked_ms: int
) -> None:
    delay_ms = next_delay_ms(policy, attempt, seed="x", asked_ms=asked_ms)
    assert delay_ms <= policy.delay_ms_max


# -- random documents against the kernel -----------------------------------------------

DURATIONS = st.sampled_from(["10ms", "70ms", "300ms", "1s"])
RETRIES = st.fixed_dictionaries(
    {"max_attempts": st.integers(1, 4), "delay": DURATIONS, "max_delay": DURATIONS},
    optional={
        "backoff": st.sampled_from(["fixed", "linear", "exponential", "random"]),
        "jitter": st.sampled_from([0.0, 0.3, 1.0]),
        "on": st.just(["any"]),
    },
    # Drawn between the two, the ceiling is not below the delay.
).map(lambda one: {**one, "max_delay": "1s"} if one.get("backoff") == "random" else one)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "timeout": DURATIONS,
        "attempt_timeout": DURATIONS,
        "retry": RETRIES,
        "on_error": st.just("continue"),
    },
)

ITEMS = st.fixed_dictionaries(
    {"items": st.lists(st.just(1), max_size=5), "max_concurrency": st.integers(1, 3)},
    optional={
        "batch_size": st.integers(1, 3),
        "batch_delay": DURATIONS,
        "item_timeout": DURATIONS,
        "item_retry": RETRIES,
        "on_item_error": st.just("continue"),
    },
)


@st.composite
def scopes(draw: st.DrawFn, depth: int = 2, prefix: str = "") -> list[dict[str, Any]]:
    """Draw the steps of a scope; a later step may depend on earlier ones."""
    steps: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 3))):
        step_id = f"{prefix}s{number}"
        step = draw(steps_of(step_id, depth))
        earlier = [other["id"] for other in steps]
        if earlier:
            step["depends_on"] = draw(st.lists(st.sampled_from(earlier), unique=True))
        steps.append(step)
    return steps


@st.composite
def steps_of(draw: st.DrawFn, step_id: str, depth: int) -> dict[str, Any]:
    """Draw one step."""
    kinds = ["call", "call", "wait", "fail"]
    kinds += ["parallel", "sequence", "while", "foreach"] if depth else []
    kind = draw(st.sampled_from(kinds))
    settings = draw(LIMITS)
    if draw(st.booleans()):
        settings["fallback"] = call(f"{step_id}f", **draw(LIMITS))
    if kind == "wait":
        return wait(step_id, draw(DURATIONS), **settings)
    if kind == "fail":
        return fail(step_id, **settings)
    if kind == "call":
        return call(step_id, **settings)
    if kind in ("while", "foreach"):
        return loop(step_id, draw(scopes(depth - 1, f"{step_id}x")), draw, kind, settings)
    first = draw(scopes(depth - 1, f"{step_id}x"))
    if kind == "sequence":
        for step in first:
            step.pop("depends_on", None)
        return sequence(step_id, *first, **settings)
    second = draw(scopes(depth - 1, f"{step_id}y"))
    join = draw(st.sampled_from(["all", "any"]))
    return parallel(step_id, first, second, join=join, **settings)


def loop(
    step_id: str, steps: list[Any], draw: st.DrawFn, kind: str, settings: dict[str, Any]
) -> dict[str, Any]:
    """Return a loop around `steps`."""
    own: dict[str, Any]
    if kind == "while":
        most = draw(st.integers(1, 3))
        own = {"max_iterations": most, "while": f"${{iteration < {most}}}"}
        own |= draw(st.fixed_dictionaries({}, optional={"delay": DURATIONS}))
    else:
        own = draw(ITEMS)
        if "batch_delay" in own:
            own.setdefault("batch_size", 2)
    return {"id": step_id, "type": kind, "steps": steps, **own, **settings}


def plans() -> st.SearchStrategy[Plan]:
    """Draw plans; every template in them is constant."""
    return scopes().map(lambda steps: plan_of(*steps))


EVERY = {"attempt_timeout": "1s"}


@pytest.mark.parametrize(
    ("step", "ms", "calls"),
    [
        ({"type": "while", "while": "${iteration < 9}", "max_iterations": 5}, 5_000, 5),
        ({"type": "repeat", "until": "${iteration > 9}"}, 100_000, 100),
        (
            {"type": "while", "while": "${input}", "max_iterations": 3, "delay": "2s"},
            7_000,
            3,
        ),
        ({"type": "while", "while": "${input}", "timeout": "9s"}, 9_000, 100),
        ({"type": "while", "while": "${input}", "delay": "${input}"}, UNBOUNDED, 100),
        ({"type": "foreach", "items": [1, 2, 3], "max_concurrency": 2}, 2_000, 3),
        ({"type": "foreach", "items": [1] * 5, "batch_size": 2}, 3_000, 5),
        (
            {
                "type": "foreach",
                "items": [1] * 5,
                "batch_size": 2,
                "batch_delay": "1s",
                "item_timeout": "800ms",
            },
            3 * 800 + 2_000,
            5,
        ),
        (
            {"type": "foreach", "items": [1], "item_retry": {"max_attempts": 3}},
            3_200,
            3,
        ),
        ({"type": "foreach", "items": "${input}"}, UNBOUNDED, UNBOUNDED),
        ({"type": "foreach", "items": "${input}", "timeout": "5s"}, 5_000, UNBOUNDED),
    ],
)
def test_a_loop_takes_as_long_as_its_iterations_in_a_row(
    step: dict[str, Any], ms: float, calls: float
) -> None:
    bound = whole({"id": "l", **step, "steps": [call("a", **EVERY)]})
    assert (bound.ms, bound.calls) == (ms, calls)


def test_how_the_bound_of_a_loop_comes_about_is_said() -> None:
    step = {"id": "l", "type": "while", "while": "${input}", "steps": [call("a", **EVERY)]}
    plan = plan_of({**step, "max_iterations": 3, "delay": "2s"})
    assert worst_cases(plan)[1]["l"].why == (
        "7s (at most 3 iterations, 4s of delays, each 1s)"
    )


@given(plans())
def test_upstreams_that_never_answer_do_not_pass_the_bound(plan: Plan) -> None:
    bound, _ = worst_cases(plan)
    result = simulate(plan, lambda _: HANG)
    assert result.elapsed_ms <= bound.ms
    assert len(result.calls) <= bound.calls


@given(plans(), st.randoms(use_true_random=False))
def test_hostile_upstreams_do_not_pass_the_bound(plan: Plan, lot: Any) -> None:
    def answer(started: StartCall) -> Answer:
        """As late as can be, or at once; with the longest wait that can be asked for."""
        late_ms = started.timeout_ms - 1 if lot.random() < 0.6 else 0
        busy = error("connector.http.503", after_ms=late_ms, retry_after_ms=10**9)
        answers: list[Answer] = [busy, replace(reply(), after_ms=late_ms), HANG]
        index: int = lot.randrange(3)
        return answers[index]

    bound, bounds = worst_cases(plan)
    result = simulate(plan, answer)
    assert result.elapsed_ms <= bound.asked_ms
    assert len(result.calls) <= bound.calls
    for path, trace in result.steps.items():
        ended_s = trace.ended_s if trace.ended_s is not None else trace.started_s
        took_ms = round((ended_s - trace.started_s) * 1000)
        assert took_ms <= bounds[in_document(path)].asked_ms, path
