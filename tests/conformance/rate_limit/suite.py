"""What every limiter keeps, wherever it counts: the suite of all of them.

Time is real here, so that Redis can keep up: a period is long where none may pass, and
some milliseconds where it must. What a slow machine could spoil is not asked.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

import pytest

from plait.resilience.errors import RateLimited
from plait.resilience.rate_limit import Admission, Event, RateLimiter, Refused, Standing

# Fixed windows begin at multiples of it: one in eleven days lies within a run.
LONG_S = 1_000_000.0
KINDS = (
    "fixed_window",
    "sliding_window",
    "token_bucket",
    "leaky_bucket_meter",
    "leaky_bucket",
)
IN_BULK = KINDS[:-1]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_bulk_kind = pytest.mark.parametrize("kind", IN_BULK)


class Make(Protocol):
    """Makes a limiter of a kind; each has a limit of its own."""

    def __call__(
        self, kind: str, limit: int, period_s: float, **settings: Any
    ) -> RateLimiter: ...


async def tried(limiter: Any, weight: int = 1) -> Admission:
    """Return the answer of `try_acquire`, which only some limiters let one wait for."""
    answer = limiter.try_acquire(weight)
    admission: Admission = await answer if inspect.isawaitable(answer) else answer
    return admission


async def standing(limiter: Any) -> Standing:
    """Return the snapshot, which only some limiters let one wait for."""
    answer = limiter.snapshot()
    shown: Standing = await answer if inspect.isawaitable(answer) else answer
    return shown


async def entered(limiter: RateLimiter, weight: int, number: int) -> bool:
    """Return whether a caller is admitted at once, by one of the three doors in turn."""
    if number % 3 == 0:
        return bool(await tried(limiter, weight))
    try:
        if number % 3 == 1:
            await limiter.acquire(weight)
        else:
            await limiter.acquire_or_wait(weight, timeout=0)
    except RateLimited:
        return False
    return True


async def until_waiting(limiter: RateLimiter, count: int) -> None:
    """Return when `count` callers wait."""
    while (await standing(limiter)).waiting != count:
        await asyncio.sleep(0)


async def waiters(limiter: RateLimiter, *weights: int) -> list[asyncio.Task[None]]:
    """Let a caller of each weight join the line, one after the other."""
    tasks = []
    already = (await standing(limiter)).waiting
    for number, weight in enumerate(weights, start=already + 1):
        tasks.append(asyncio.create_task(limiter.acquire_or_wait(weight)))
        await until_waiting(limiter, number)
    return tasks


async def cancelled(*tasks: asyncio.Task[None]) -> None:
    """Cancel `tasks`, and return when they have ended."""
    for task in tasks:
        task.cancel()
    assert set(map(type, await asyncio.gather(*tasks, return_exceptions=True))) <= {
        asyncio.CancelledError
    }


class RateLimiterSuite:
    """Subclass it, and give it a fixture `make`."""

    @each_bulk_kind
    async def test_a_hundred_tasks_at_once_get_no_more_than_the_limit(
        self, make: Make, kind: str
    ) -> None:
        limiter = make(kind, 60, LONG_S)
        answers = await asyncio.gather(*(entered(limiter, 1, n) for n in range(100)))
        assert sum(answers) == 60
        assert (await standing(limiter)).remaining == 0

    @each_bulk_kind
    async def test_a_hundred_tasks_of_mixed_weights_keep_to_the_limit(
        self, make: Make, kind: str
    ) -> None:
        limiter = make(kind, 120, LONG_S)
        weights = [1 + number % 5 for number in range(100)]
        entering = (entered(limiter, weight, n) for n, weight in enumerate(weights))
        answers = await asyncio.gather(*entering)
        passed = sum(w for w, answer in zip(weights, answers, strict=True) if answer)
        assert passed == 120

    async def test_the_leaky_bucket_admits_one_of_a_hundred_at_once(
        self, make: Make
    ) -> None:
        limiter = make("leaky_bucket", 60, LONG_S)
        answers = await asyncio.gather(*(tried(limiter) for _ in range(100)))
        assert sum(map(bool, answers)) == 1
        refused = next(answer for answer in answers if not answer)
        # Redis counts in whole microseconds.
        assert 0 < refused.retry_after <= LONG_S / 60 + 1e-6

    @each_kind
    async def test_no_more_than_the_limit_passes_while_a_hundred_tasks_wait_for_more(
        self, make: Make, kind: str
    ) -> None:
        period_s = 0.05
        limiter = make(kind, 20, period_s)
        begun_s = monotonic()
        await asyncio.gather(*(limiter.acquire_or_wait() for _ in range(100)))
        # 100 calls: 20 at once, or at the end of a fixed window, the other 80 in four more.
        least = {"fixed_window": 3, "leaky_bucket": 4.95}.get(kind, 4)
        assert monotonic() - begun_s >= least * period_s

    @each_kind
    async def test_what_is_refused_is_told_when_to_come_back(
        self, make: Make, kind: str
    ) -> None:
        told: list[Event] = []
        limiter = make(kind, 1, LONG_S, name="payments", on_event=told.append)
        await limiter.acquire()
        with pytest.raises(RateLimited, match="rate limit 'payments'") as caught:
            await limiter.acquire()
        assert caught.value.name == "payments"
        assert caught.value.retry_after is not None
        assert 0 < caught.value.retry_after <= LONG_S
        assert [type(event) for event in told] == [Refused]
        assert not await tried(limiter)
        assert len(told) == 2

    @each_kind
    async def test_who_comes_back_when_told_is_admitted(
        self, make: Make, kind: str
    ) -> None:
        limiter = make(kind, 3, 0.06)
        asked_s = monotonic()
        while answer := await tried(limiter):
            assert answer.retry_after == 0
            asked_s = monotonic()
        while not await tried(limiter):
            await asyncio.sleep(0)
        assert monotonic() - asked_s >= answer.retry_after - 1e-6

    @each_kind
    async def test_waiters_are_served_in_the_order_they_came(
        self, make: Make, kind: str
    ) -> None:
        limiter = make(kind, 4, 0.02)
        served: list[int] = []

        async def wait(number: int) -> None:
            await limiter.acquire_or_wait(1 + number % 3)
            served.append(number)

        await asyncio.gather(*(wait(number) for number in range(12)))
        assert served == list(range(12))

    @each_bulk_kind
    async def test_a_light_caller_does_not_overtake_a_heavy_one(
        self, make: Make, kind: str
    ) -> None:
        limiter = make(kind, 10, LONG_S)
        await limiter.acquire(8)
        heavy, light = await waiters(limiter, 5, 1)
        # Two are left, and one would do; but it is not its turn.
        assert not await tried(limiter)
        with pytest.raises(RateLimited):
            await limiter.acquire()
        assert (await standing(limiter)).remaining == 0
        assert not heavy.done()
        assert not light.done()
        await cancelled(heavy, light)

    @each_bulk_kind
    async def test_a_cancelled_waiter_gives_its_place_to_the_next(
        self, make: Make, kind: str
    ) -> None:
        limiter = make(kind, 10, LONG_S)
        await limiter.acquire(8)
        heavy, middle, light = await waiters(limiter, 5, 4, 2)
        await cancelled(middle)
        assert not light.done()
        await cancelled(heavy)
        await light
        assert (await standing(limiter)).waiting == 0
        assert (await standing(limiter)).remaining == 0

    @each_bulk_kind
    async def test_a_waiter_cancelled_at_any_moment_gives_its_place_to_the_next(
        self, make: Make, kind: str
    ) -> None:
        for turns in range(20):
            limiter = make(kind, 10, LONG_S)
            await limiter.acquire(8)
            heavy = asyncio.create_task(limiter.acquire_or_wait(5))
            light = asyncio.create_task(limiter.acquire_or_wait(2))
            for _ in range(turns):
                await asyncio.sleep(0)
            await cancelled(heavy)
            await light

    @each_bulk_kind
    async def test_a_waiter_out_of_time_gives_its_place_to_the_next(
        self, make: Make, kind: str
    ) -> None:
        limiter = make(kind, 10, LONG_S)
        await limiter.acquire(8)
        (heavy,) = await waiters(limiter, 5)
        # Of itself it could be in time; the one before it is not.
        with pytest.raises(RateLimited):
            await limiter.acquire_or_wait(2, timeout=0.02)
        await cancelled(heavy)
        await limiter.acquire_or_wait(2, timeout=10)

    @each_kind
    async def test_who_cannot_be_in_time_is_refused(self, make: Make, kind: str) -> None:
        limiter = make(kind, 1, LONG_S)
        await limiter.acquire()
        for timeout in (0, 0.01, 100):
            with pytest.raises(RateLimited) as caught:
                await limiter.acquire_or_wait(timeout=timeout)
            assert caught.value.retry_after is not None
            assert caught.value.retry_after > 1
        assert (await standing(limiter)).waiting == 0

    @each_bulk_kind
    async def test_callers_cancelled_at_every_moment_lose_nothing(
        self, make: Make, kind: str
    ) -> None:
        cancelled_count = 0
        for turns in range(12):
            limiter = make(kind, 10, LONG_S)
            tasks = [
                asyncio.create_task(limiter.acquire(3)),
                asyncio.create_task(limiter.acquire_or_wait(2)),
                asyncio.create_task(limiter.acquire_or_wait(1)),
            ]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            cancelled_count += sum(task.cancelled() for task in tasks)
            left = 10 - sum(
                weight
                for weight, task in zip((3, 2, 1), tasks, strict=True)
                if not task.cancelled()
            )
            while (await standing(limiter)).remaining != left:
                await asyncio.sleep(0)
        assert cancelled_count

    @each_bulk_kind
    async def test_what_is_admitted_to_a_caller_that_is_just_cancelled_is_given_back(
        self, make: Make, kind: str
    ) -> None:
        limiter = make(kind, 10, LONG_S)
        await limiter.acquire(9)
        heavy, light = await waiters(limiter, 2, 1)
        # The light one is admitted while it is being cancelled.
        heavy.cancel()
        asyncio.get_running_loop().call_soon(light.cancel)
        await asyncio.wait((heavy, light))
        left = 1 if light.cancelled() else 0
        while (await standing(limiter)).remaining != left:
            await asyncio.sleep(0)
        assert (await standing(limiter)).waiting == 0

    @each_kind
    async def test_a_caller_too_heavy_is_refused_at_once_and_told_so(
        self, make: Make, kind: str
    ) -> None:
        limiter = make(kind, 3, LONG_S, name="payments")
        wrong: list[Callable[[int], Any]] = [
            limiter.acquire,
            limiter.acquire_or_wait,
            lambda weight: tried(limiter, weight),
        ]
        for ask in wrong:
            with pytest.raises(
                ValueError, match=r"weight is 4: .*never admits more than 3"
            ):
                await ask(4)
            for weight in (0, -1, 1.5, "2"):
                with pytest.raises(ValueError, match=f"weight is {weight!r}; give a whole"):
                    await ask(weight)  # type: ignore[arg-type]

    @each_kind
    async def test_the_line_has_only_so_many_places(self, make: Make, kind: str) -> None:
        limiter = make(kind, 1, LONG_S, max_queue=2)
        await limiter.acquire()
        tasks = await waiters(limiter, 1, 1)
        with pytest.raises(RateLimited, match="2 callers wait already"):
            await limiter.acquire_or_wait()
        await cancelled(*tasks)

    @each_bulk_kind
    async def test_the_headers_tell_what_is_left(self, make: Make, kind: str) -> None:
        limiter = make(kind, 10, LONG_S)
        before = await standing(limiter)
        assert (before.limit, before.remaining, before.reset_after) == (10, 10, 0)
        await limiter.acquire(4)
        after = await standing(limiter)
        assert (after.limit, after.remaining, after.waiting) == (10, 6, 0)
        assert 0 < after.reset_after <= LONG_S
        assert after.headers()["RateLimit-Remaining"] == "6"

    @pytest.mark.parametrize(
        ("kind", "word"), [("token_bucket", "burst"), ("leaky_bucket_meter", "capacity")]
    )
    async def test_a_bucket_admits_its_size_at_once_and_then_by_its_rate(
        self, make: Make, kind: str, word: str
    ) -> None:
        limiter = make(kind, 1, LONG_S, **{word: 5})
        answers = [await tried(limiter) for _ in range(6)]
        assert [bool(answer) for answer in answers] == [True] * 5 + [False]
        assert LONG_S - 600 < answers[-1].retry_after <= LONG_S
        assert (await standing(limiter)).limit == 5

    @each_kind
    async def test_it_decorates_wraps_and_calls_what_it_limits(
        self, make: Make, kind: str
    ) -> None:
        limiter = make(kind, 3, 0.03, queue_timeout_s=30)

        @limiter
        async def double(number: int, *, by: int = 2) -> int:
            """Make more of it."""
            return number * by

        assert await double(4) == 8
        assert double.__doc__ == "Make more of it."
        assert await limiter.call(double, 5, by=3) == 15
        async with limiter:
            pass

    @each_kind
    async def test_a_refused_function_is_not_called(self, make: Make, kind: str) -> None:
        limiter = make(kind, 1, LONG_S)
        called: list[int] = []

        async def call() -> None:
            called.append(1)

        await limiter.call(call)
        with pytest.raises(RateLimited):
            await limiter.call(call)
        with pytest.raises(RateLimited):
            async with limiter:
                called.append(2)
        assert called == [1]

    @each_kind
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"limit": 0}, "limit is 0; give a whole number of at least 1"),
            ({"limit": -3}, "limit is -3"),
            ({"limit": 2.5}, r"limit is 2\.5"),
            ({"period_s": 0}, "period_s is 0; give seconds, more than 0"),
            ({"period_s": float("inf")}, "period_s is inf"),
            ({"period_s": float("nan")}, "period_s is nan"),
            ({"queue_timeout_s": -1}, "queue_timeout_s is -1; give seconds, 0 for no wait"),
            ({"max_queue": -1}, "max_queue is -1; give a whole number of at least 0"),
        ],
    )
    async def test_what_it_cannot_be_built_with_is_named(
        self, make: Make, kind: str, settings: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            make(kind, **{"limit": 1, "period_s": 1.0, **settings})
        limiter = make(kind, 1, LONG_S)
        with pytest.raises(ValueError, match="timeout is -1"):
            await limiter.acquire_or_wait(timeout=-1)

    @each_kind
    async def test_where_nobody_may_wait_who_comes_too_soon_is_refused(
        self, make: Make, kind: str
    ) -> None:
        limiter = make(kind, 1, LONG_S, max_queue=0, queue_timeout_s=None)
        await limiter.acquire_or_wait()
        with pytest.raises(RateLimited):
            await limiter.acquire_or_wait()
