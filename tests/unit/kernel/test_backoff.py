"""Back-off: how long to wait, and after which failures at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.kernel.backoff import draw, is_retryable, next_delay_ms, word_matches
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.plan import RetryPolicy
from plait.plan.nodes import Backoff

POLICY = RetryPolicy(9, 100, "fixed", 2.0, 30_000, 0.0, None, None)
REFUSED = Failure(
    "connector.connect", "…", advice=Advice.RETRY, classes=("connect",), sent=False
)
SLOW = Failure("connector.timeout", "…", advice=Advice.RETRY, classes=("timeout",))
BUSY = Failure("connector.http.503", "…", advice=Advice.RETRY)
MISSING = Failure("connector.http.404", "…", advice=Advice.FIX_REQUEST)
GARBLED = Failure("connector.protocol", "…", advice=Advice.REPORT)
WRONG = Failure("expression.no_such_key", "…", advice=Advice.FIX_REQUEST)
INVALID = Failure("connector.invalid_request", "…", advice=Advice.FIX_REQUEST)


def delays(policy: RetryPolicy, count: int, asked_ms: int | None = None) -> list[int]:
    return [
        next_delay_ms(policy, n, seed="e/step", asked_ms=asked_ms)
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        ("fixed", [100, 100, 100, 100]),
        ("linear", [100, 200, 300, 400]),
        ("exponential", [100, 300, 900, 2_700]),
    ],
)
def test_each_backoff_grows_in_its_own_way(backoff: Backoff, expected: list[int]) -> None:
    assert delays(replace(POLICY, backoff=backoff, factor=3.0), 4) == expected


@pytest.mark.parametrize("backoff", ["fixed", "linear", "exponential", "random"])
def test_no_backoff_exceeds_the_ceiling(backoff: Backoff) -> None:
    policy = replace(POLICY, backoff=backoff, delay_ms_max=250, delay_ms=240, jitter=1.0)
    assert max(delays(policy, 50)) <= 250


def test_the_thousandth_exponential_delay_is_the_ceiling_and_no_overflow() -> None:
    policy = replace(POLICY, backoff="exponential", factor=100.0)
    assert next_delay_ms(policy, 1_000, seed="x", asked_ms=None) == 30_000


def test_random_backoff_lies_between_delay_and_ceiling_and_varies() -> None:
    drawn = delays(replace(POLICY, backoff="random", delay_ms_max=1_000), 40)
    assert all(100 <= delay <= 1_000 for delay in drawn)
    assert len(set(drawn)) > 30


def test_jitter_spreads_evenly_around_the_delay() -> None:
    policy = replace(POLICY, delay_ms=1_000, jitter=0.5)
    drawn = [next_delay_ms(policy, 1, seed=f"e{n}", asked_ms=None) for n in range(400)]
    assert all(500 <= delay <= 1_500 for delay in drawn)
    assert min(drawn) < 550
    assert max(drawn) > 1_450
    assert 950 < sum(drawn) / len(drawn) < 1_050


def test_jitter_depends_on_execution_step_and_attempt_alone() -> None:
    policy = replace(POLICY, jitter=1.0, delay_ms=10_000)
    first = next_delay_ms(policy, 1, seed="e1/user", asked_ms=None)
    assert first == next_delay_ms(policy, 1, seed="e1/user", asked_ms=None)
    assert first != next_delay_ms(policy, 2, seed="e1/user", asked_ms=None)
    assert first != next_delay_ms(policy, 1, seed="e2/user", asked_ms=None)


def test_the_drawn_numbers_are_pinned_since_recorded_executions_rely_on_them() -> None:
    assert [round(draw(seed), 6) for seed in ("", "e1/user/1", "e1/user/2")] == [
        0.893168,
        0.921496,
        0.471513,
    ]


@given(st.text())
def test_a_drawn_number_is_at_least_0_and_below_1(seed: str) -> None:
    assert 0 <= draw(seed) < 1


def test_the_other_sides_wish_is_waited_for_up_to_the_ceiling() -> None:
    assert delays(POLICY, 1, asked_ms=5_000) == [5_000]
    assert delays(POLICY, 1, asked_ms=30_000) == [30_000]
    assert delays(POLICY, 1, asked_ms=30_001) == [30_000]


def test_the_other_sides_wish_never_shortens_the_delay() -> None:
    assert delays(POLICY, 1, asked_ms=1) == [100]


@pytest.mark.parametrize(
    ("word", "failure", "expected"),
    [
        ("any", GARBLED, True),
        ("connect", REFUSED, True),
        ("connect", SLOW, False),
        ("timeout", SLOW, True),
        ("timeout", BUSY, False),
        ("503", BUSY, True),
        ("502", BUSY, False),
        ("5xx", BUSY, True),
        ("4xx", BUSY, False),
        ("5xx", SLOW, False),
        ("connector.http.503", BUSY, True),
        ("connector.http.*", BUSY, True),
        ("connector.*", SLOW, True),
        ("step.*", SLOW, False),
        ("connector.time", SLOW, False),
    ],
)
def test_a_word_means_a_class_a_status_a_code_or_all_codes_below_one(
    word: str, failure: Failure, expected: bool
) -> None:
    assert word_matches(word, failure) is expected


@pytest.mark.parametrize(
    ("failure", "expected"),
    [(REFUSED, True), (SLOW, True), (BUSY, True), (MISSING, False), (GARBLED, False)],
)
def test_without_on_the_failures_own_advice_decides(
    failure: Failure, expected: bool
) -> None:
    assert is_retryable(failure, POLICY, "read") is expected


@pytest.mark.parametrize(
    ("on", "failure", "expected"),
    [
        (("404",), MISSING, True),
        (("any",), MISSING, True),
        (("4xx",), MISSING, True),
        (("any",), GARBLED, True),
        (("any",), INVALID, False),
        (("connector.protocol",), GARBLED, True),
        (("502", "503"), BUSY, True),
        (("502",), BUSY, False),
        (("connect",), SLOW, False),
    ],
)
def test_with_on_the_document_decides(
    on: tuple[str, ...], failure: Failure, expected: bool
) -> None:
    assert is_retryable(failure, replace(POLICY, on=on), "read") is expected


@pytest.mark.parametrize("on", [None, ("any",), ("expression.*",)])
def test_a_wrong_expression_is_never_retried(on: tuple[str, ...] | None) -> None:
    assert not is_retryable(WRONG, replace(POLICY, on=on), "read")


@pytest.mark.parametrize(
    "code",
    [
        "connector.invalid_request",
        "connector.forbidden_address",
        "step.idempotency_key",
        "wait.duration",
    ],
)
@pytest.mark.parametrize("on", [("any",), ("connector.*", "step.*", "wait.*"), None])
def test_what_cannot_be_sent_or_waited_for_is_never_retried(
    code: str, on: tuple[str, ...] | None
) -> None:
    failure = Failure(code, "…", advice=Advice.RETRY)
    assert not is_retryable(failure, replace(POLICY, on=on), "read")


def test_a_used_up_limit_is_never_retried() -> None:
    crowded = Failure("limit.pending_steps", "…", advice=Advice.RETRY)
    assert not is_retryable(crowded, replace(POLICY, on=("any",)), "read")


def test_an_unsafe_call_is_retried_only_if_nothing_was_sent() -> None:
    policy = replace(POLICY, on=("any",))
    assert is_retryable(REFUSED, policy, "unsafe")
    assert not is_retryable(BUSY, policy, "unsafe")
    assert not is_retryable(SLOW, POLICY, "unsafe")
    assert is_retryable(BUSY, policy, "keyed")
