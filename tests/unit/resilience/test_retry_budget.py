"""The retry budget: whatever happens, an outage is not multiplied."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.resilience import RetryBudget
from tests.unit.resilience.clocks import HandClock

# What happens to an upstream that is up: requests, retries, successes, time that passes.
HAPPENINGS = st.lists(
    st.sampled_from(["request", "retry", "success", 0.3, 1.0, 4.0, 30.0]), max_size=300
)
DOWN = st.lists(st.sampled_from(["request", "retry", "retry", 0.3, 4.0]), max_size=300)


def happen(budget: RetryBudget, clock: HandClock, what: list[Any]) -> list[str]:
    """Do all of `what`; return what was let through: `request` and `retry`."""
    through = []
    for one in what:
        if isinstance(one, float):
            clock.advance(one)
        elif one == "request":
            budget.requested()
            through.append(one)
        elif one == "success":
            budget.succeeded()
        elif budget.try_retry():
            through.append(one)
    return through


@given(before=HAPPENINGS, down=DOWN)
def test_attempts_stay_below_the_share_of_requests_while_it_is_down(
    before: list[Any], down: list[Any]
) -> None:
    clock = HandClock()
    budget = RetryBudget(ratio=0.2, min_retries=0, clock=clock)
    happen(budget, clock, before)
    budget.succeeded()
    through = happen(budget, clock, down)
    for end in range(len(through) + 1):
        requests = through[:end].count("request")
        assert end <= 1.2 * requests + 1e-9


@given(happenings=HAPPENINGS)
def test_attempts_stay_below_the_share_of_requests_at_any_time(
    happenings: list[Any],
) -> None:
    clock = HandClock()
    budget = RetryBudget(ratio=0.2, min_retries=0, clock=clock)
    through = happen(budget, clock, happenings)
    for end in range(len(through) + 1):
        assert end <= 1.2 * through[:end].count("request") + 1e-9


def test_with_the_usual_settings_a_thousand_requests_make_1200_attempts() -> None:
    clock = HandClock()
    budget = RetryBudget(clock=clock)
    retries = 0
    for _ in range(1_000):
        budget.requested()
        clock.advance(0.01)
        retries += sum(budget.try_retry() for _ in range(3))
    assert 190 <= retries <= 200


def test_little_traffic_may_retry_a_few_times_in_each_window() -> None:
    clock = HandClock()
    budget = RetryBudget(min_retries=2, window_s=10, clock=clock)
    budget.requested()
    assert [budget.try_retry() for _ in range(3)] == [True, True, False]
    budget.succeeded()
    assert not budget.try_retry()
    clock.advance(10)
    assert budget.try_retry()
    assert budget.snapshot().refused == 2


def test_requests_of_long_ago_pay_for_nothing() -> None:
    clock = HandClock()
    budget = RetryBudget(min_retries=0, window_s=10, clock=clock)
    for _ in range(100):
        budget.requested()
    clock.advance(9)
    assert budget.try_retry()
    clock.advance(1)
    assert not budget.try_retry()
    assert budget.snapshot().requests == 0


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"ratio": 0}, "ratio is 0"),
        ({"ratio": 2}, "ratio is 2"),
        ({"min_retries": -1}, "min_retries is -1"),
        ({"window_s": 0}, "window_s is 0"),
    ],
)
def test_an_argument_out_of_its_range_is_named(
    wrong: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        RetryBudget(**wrong)
