"""Hedge: when a further call is made, which answer counts, what becomes of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from plait.resilience import Bulkhead, Hedge
from plait.testing.virtual_time import run_virtually


class Upstream:
    """Answers each call after its own time, in seconds; a negative one fails then."""

    def __init__(self, *times_s: float) -> None:
        self.times_s = times_s
        self.begun: list[float] = []
        self.cancelled: list[int] = []

    async def __call__(self) -> int:
        number = len(self.begun)
        self.begun.append(asyncio.get_running_loop().time())
        took_s = self.times_s[min(number, len(self.times_s) - 1)]
        try:
            await asyncio.sleep(abs(took_s))
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        if took_s < 0:
            raise ConnectionError(f"call {number}")
        return number


class LoopClock:
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def hedge(*given: Any, **settings: Any) -> Hedge:
    return Hedge(*given, **{"clock": LoopClock(), **settings})


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return run_virtually(main)


def test_a_call_that_answers_in_time_is_the_only_one() -> None:
    async def main() -> None:
        upstream, policy = Upstream(0.1), hedge(0.2)
        assert await policy.call(upstream) == 0
        assert len(upstream.begun) == 1
        assert policy.snapshot().hedges == 0

    run(main())


def test_the_first_that_succeeds_is_the_answer_and_the_other_is_cancelled() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        upstream, policy = Upstream(5, 0.1), hedge(0.2)
        begun_at = loop.time()
        assert await policy.call(upstream) == 1
        assert loop.time() - begun_at == pytest.approx(0.3)
        await asyncio.sleep(0)
        assert upstream.cancelled == [0]
        slow = Upstream(0.3, 5)
        assert await hedge(0.2).call(slow) == 0
        await asyncio.sleep(0)
        assert slow.cancelled == [1]
        assert (policy.snapshot().won, policy.snapshot().hedges) == (1, 1)

    run(main())


@pytest.mark.parametrize("times_s", [(-0.3, 0.5), (0.9, -0.1)])
def test_a_failed_one_leaves_the_answer_to_the_other(times_s: tuple[float, ...]) -> None:
    async def main() -> None:
        upstream = Upstream(*times_s)
        assert await hedge(0.2).call(upstream) == (1 if times_s[0] < 0 else 0)

    run(main())


def test_when_all_have_failed_the_error_is_that_of_the_first_to_fail() -> None:
    async def main() -> None:
        upstream = Upstream(-0.5, -0.1)
        with pytest.raises(ConnectionError, match="call 1"):
            await hedge(0.2).call(upstream)
        assert asyncio.get_running_loop().time() - upstream.begun[0] == pytest.approx(0.5)

    run(main())


def test_a_hedge_that_is_refused_does_not_hide_why_the_first_failed() -> None:
    async def main() -> None:
        upstream, places = Upstream(-0.5), Bulkhead(1)
        with pytest.raises(ConnectionError, match="call 0"):
            await hedge(0.2).call(places.call, upstream)
        assert len(upstream.begun) == 1

    run(main())


def test_a_first_call_that_fails_early_is_not_hedged() -> None:
    async def main() -> None:
        upstream = Upstream(-0.1)
        with pytest.raises(ConnectionError):
            await hedge(0.2).call(upstream)
        assert len(upstream.begun) == 1

    run(main())


def test_each_further_call_is_made_after_the_same_time_up_to_the_most() -> None:
    async def main() -> None:
        upstream, policy = Upstream(9), hedge(0.2, max_hedges=3, max_share=1)
        for _ in range(10):
            policy.requested()
        await policy.call(upstream)
        begun = [at - upstream.begun[0] for at in upstream.begun]
        assert begun == pytest.approx([0, 0.2, 0.4, 0.6])

    run(main())


def test_hedges_are_never_more_than_their_share_of_the_requests_and_one() -> None:
    async def main() -> None:
        policy = hedge(0.1, max_share=0.1)
        upstreams = [Upstream(0.5) for _ in range(100)]
        await asyncio.gather(*(policy.call(upstream) for upstream in upstreams))
        told = policy.snapshot()
        assert told.requests == 100
        assert 0 < told.hedges <= 11
        assert told.hedges == sum(len(one.begun) - 1 for one in upstreams)
        assert told.refused == 100 - told.hedges

    run(main())


def test_a_quantile_hedges_nothing_until_enough_calls_are_known() -> None:
    async def main() -> None:
        policy = hedge(quantile=0.95, min_calls=20, max_share=1)
        for number in range(20):
            assert policy.delay_s is None
            await policy.call(Upstream(0.01 * (number + 1)))
        assert policy.delay_s == pytest.approx(0.19)
        slow = Upstream(5, 0.01)
        assert await policy.call(slow) == 1
        assert slow.begun[1] - slow.begun[0] == pytest.approx(0.19)

    run(main())


def test_the_time_of_a_cancelled_call_counts_as_what_it_had_taken() -> None:
    async def main() -> None:
        policy = hedge(quantile=0.5, min_calls=1, max_share=1)
        await policy.call(Upstream(0.1))
        for _ in range(60):
            await policy.call(Upstream(5, 0.3))
        # Half of the calls take that long: were they left out, all would be hedged at 0.1.
        assert policy.delay_s is not None
        assert policy.delay_s > 0.3

    run(main())


@pytest.mark.parametrize("at_s", [0.1, 0.25])
def test_giving_up_cancels_all_calls(at_s: float) -> None:
    async def main() -> None:
        upstream = Upstream(5)
        task = asyncio.create_task(hedge(0.2).call(upstream))
        await asyncio.sleep(at_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert sorted(upstream.cancelled) == [*range(len(upstream.begun))]

    run(main())


def test_a_hundred_calls_at_once_do_not_mix_their_answers() -> None:
    async def main() -> None:
        policy = hedge(0.1, max_share=1)

        @policy
        async def echo(number: int) -> int:
            await asyncio.sleep(0.01 * (number % 30))
            return number

        assert await asyncio.gather(*map(echo, range(100))) == [*range(100)]

    run(main())


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "give either after_s"),
        ({"after_s": 1, "quantile": 0.9}, "give either after_s"),
        ({"after_s": 0}, "after_s is 0"),
        ({"quantile": 1.5}, "quantile is 1.5"),
        ({"after_s": 1, "max_hedges": 0}, "max_hedges is 0"),
        ({"after_s": 1, "max_share": 2}, "max_share is 2"),
        ({"quantile": 0.9, "min_calls": 0}, "min_calls is 0"),
        ({"quantile": 0.9, "min_calls": 50, "window_calls": 20}, "window_calls is 20"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(given: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Hedge(**given)
