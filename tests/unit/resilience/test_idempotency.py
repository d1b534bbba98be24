"""The idempotency guard among other policies, and what it cannot keep."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.resilience import (
    EarlierCallFailed,
    IdempotencyGuard,
    PipelineBuilder,
    RetryPolicy,
    Timeout,
)
from plait.resilience.idempotency import EndNotKept
from plait.testing.virtual_time import run_virtually


def by_order(**settings: Any) -> IdempotencyGuard:
    return IdempotencyGuard(lambda order, *rest: order, **settings)


async def test_a_retry_makes_a_call_again_that_failed_for_the_moment() -> None:
    calls = 0
    pipeline = PipelineBuilder().retry(RetryPolicy(max_attempts=3, delay_s=0))

    @pipeline.idempotency(by_order()).attempt_timeout(Timeout(5)).build()
    async def pay(order: str) -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError
        return f"paid {order}"

    assert [await pay("A-1"), await pay("A-1")] == ["paid A-1"] * 2
    assert calls == 2


def test_who_asks_again_after_running_out_of_time_gets_the_first_calls_end() -> None:
    async def main() -> tuple[str, int]:
        gate, calls, guard = asyncio.Event(), 0, by_order()

        async def pay(order: str) -> str:
            nonlocal calls
            calls += 1
            await gate.wait()
            return f"paid {order}"

        with pytest.raises(TimeoutError):
            await Timeout(5).call(guard.call, pay, "A-1")
        again = asyncio.create_task(guard.call(pay, "A-1"))
        gate.set()
        return await again, calls

    assert run_virtually(main()) == ("paid A-1", 1)


async def test_a_result_that_cannot_be_kept_is_told_once_and_not_made_again() -> None:
    told: list[EndNotKept] = []
    guard, calls = by_order(on_event=told.append), 0

    async def pay(order: str) -> tuple[str, int]:
        nonlocal calls
        calls += 1
        return order, 5

    assert await guard.call(pay, "A-1") == ("A-1", 5)
    with pytest.raises(EarlierCallFailed, match="a tuple does not survive JSON"):
        await guard.call(pay, "A-1")
    assert calls == 1
    assert [type(event.error) for event in told] == [TypeError]
    assert guard.snapshot().unkept == 1


async def test_a_call_without_a_key_is_not_guarded() -> None:
    guard, calls = IdempotencyGuard(lambda order: None), 0

    async def pay(order: str) -> None:
        nonlocal calls
        calls += 1

    await asyncio.gather(guard.call(pay, "A-1"), guard.call(pay, "A-1"))
    assert calls == 2


async def test_an_earlier_failure_is_not_retried() -> None:
    calls = 0
    pipeline = PipelineBuilder().retry(RetryPolicy(max_attempts=5, delay_s=0))

    @pipeline.idempotency(by_order()).build()
    async def pay(order: str) -> None:
        nonlocal calls
        calls += 1
        raise ValueError("no such account")

    with pytest.raises(ValueError, match="no such account"):
        await pay("A-1")
    with pytest.raises(EarlierCallFailed):
        await pay("A-1")
    assert calls == 1


async def test_arguments_that_make_no_fingerprint_are_refused_with_the_remedy() -> None:
    async def pay(order: str, body: Any) -> None: ...

    with pytest.raises(TypeError, match="give `request`"):
        await by_order().call(pay, "A-1", object())
    await by_order(request=lambda order, body: order).call(pay, "A-1", object())


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"ttl_s": 0}, "ttl_s is 0"),
        ({"pending_s": -1}, "pending_s is -1"),
        ({"wait_s": -1}, "wait_s is -1"),
        ({"retry_on": ()}, "retry_on is empty"),
    ],
)
def test_an_argument_out_of_its_range_is_named(
    wrong: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        by_order(**wrong)
