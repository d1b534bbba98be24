"""Timeouts: whose time ran out, and what is a cancellation by somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from plait.resilience import TimedOut, Timeout
from plait.testing.virtual_time import run_virtually


async def long() -> None:
    await asyncio.Event().wait()


def seconds_of(main: Coroutine[Any, Any, None]) -> float:
    """Return how long `main` takes, in virtual seconds."""

    async def timed() -> float:
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        await main
        return loop.time() - begun_at

    return run_virtually(timed())


def test_what_takes_too_long_is_cancelled() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await long()
        finally:
            ended.append("cleaned up")

    async def main() -> None:
        limit = Timeout(3, name="prices")
        with pytest.raises(TimedOut, match="prices took longer than 3 s") as caught:
            await limit.call(work)
        assert isinstance(caught.value, TimeoutError)
        assert limit.timeouts == 1

    assert seconds_of(main()) == pytest.approx(3)
    assert ended == ["cleaned up"]


async def test_what_ends_in_time_returns_its_value() -> None:
    async def add(one: int, *, two: int) -> int:
        await asyncio.sleep(0)
        return one + two

    assert await Timeout(60).call(add, 1, two=2) == 3


async def test_a_time_out_of_the_function_itself_is_not_ours() -> None:
    async def work() -> None:
        raise TimeoutError("from below")

    limit = Timeout(60)
    with pytest.raises(TimeoutError, match="from below") as caught:
        await limit.call(work)
    assert not isinstance(caught.value, TimedOut)
    with pytest.raises(TimeoutError, match="from below"):
        async with limit:
            await work()
    assert limit.timeouts == 0


def test_what_a_cancelled_function_raises_itself_is_not_ours() -> None:
    async def raise_own() -> None:
        try:
            await long()
        except asyncio.CancelledError:
            raise TimeoutError("own") from None

    async def clean_up_too_long() -> None:
        try:
            await long()
        finally:
            await Timeout(1, name="clean-up").call(long)

    async def main() -> None:
        limit = Timeout(1, name="whole")
        with pytest.raises(TimeoutError, match="own"):
            await limit.call(raise_own)
        with pytest.raises(TimedOut, match="clean-up"):
            await limit.call(clean_up_too_long)
        assert limit.timeouts == 0

    assert seconds_of(main()) == pytest.approx(3)


def test_of_two_nested_limits_the_one_that_ran_out_is_named() -> None:
    async def main() -> None:
        with pytest.raises(TimedOut, match="inner"):
            await Timeout(9, name="outer").call(Timeout(1, name="inner").call, long)
        with pytest.raises(TimedOut, match="outer"):
            await Timeout(1, name="outer").call(Timeout(9, name="inner").call, long)
        with pytest.raises(TimedOut, match="same"):
            await Timeout(1, name="same").call(Timeout(1, name="same").call, long)

    assert seconds_of(main()) == pytest.approx(3)


def test_it_nests_in_asyncios_own_time_outs() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(1):
                await Timeout(9).call(long)
        assert not isinstance(caught.value, TimedOut)
        with pytest.raises(TimedOut):
            async with asyncio.timeout(9):
                await Timeout(1).call(long)
        with pytest.raises(TimedOut):
            async with Timeout(1), asyncio.timeout(9):
                await long()

    assert seconds_of(main()) == pytest.approx(3)


def test_a_cancellation_from_outside_stays_one() -> None:
    async def main() -> None:
        task = asyncio.create_task(Timeout(9).call(long))
        asyncio.get_running_loop().call_later(1, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        # In the turn of the loop in which the time runs out as well.
        task = asyncio.create_task(Timeout(1).call(long))
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(1, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    assert seconds_of(main()) == pytest.approx(2)


def test_many_tasks_share_one_scope() -> None:
    async def main() -> None:
        limit = Timeout(2)

        async def work(seconds: float) -> bool:
            try:
                async with limit:
                    await asyncio.sleep(seconds)
            except TimedOut:
                return False
            return True

        assert await asyncio.gather(*map(work, (1, 3, 1.5, 9))) == [
            True,
            False,
            True,
            False,
        ]

    assert seconds_of(main()) == pytest.approx(2)


def test_a_limit_is_a_decorator_of_coroutine_functions_only() -> None:
    @Timeout(1)
    async def work() -> None:
        await long()

    async def main() -> None:
        with pytest.raises(TimedOut):
            await work()

    assert seconds_of(main()) == pytest.approx(1)
    with pytest.raises(TypeError, match="Timeout protects coroutine functions; len is"):
        Timeout(1)(len)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), "3", None, True])
def test_what_is_no_time_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="timeout_s is"):
        Timeout(wrong)
