"""The bulkhead: places, the queue before them, and callers who leave it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.resilience import Bulkhead, BulkheadFull
from plait.resilience.bulkhead import BulkheadRefused
from plait.testing.virtual_time import run_virtually


async def turns(count: int = 3) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_hundred_tasks_never_have_more_than_the_places() -> None:
    places = Bulkhead(7, max_queue=100)
    running = most = done = 0

    async def work() -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await turns()
        running -= 1
        done += 1

    await asyncio.gather(*(places.call(work) for _ in range(100)))
    assert (most, done) == (7, 100)
    assert (places.snapshot().running, places.snapshot().waiting) == (0, 0)


async def test_who_comes_first_is_served_first() -> None:
    places = Bulkhead(1, max_queue=50)
    order: list[int] = []

    async def come(number: int) -> None:
        async with places:
            order.append(number)
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(come(number)) for number in range(25)]
    await turns(5)
    # They come while a place changes hands, and may not take it away.
    tasks += [asyncio.create_task(come(number)) for number in range(25, 50)]
    await asyncio.gather(*tasks)
    assert order == list(range(50))


async def test_a_full_queue_refuses_without_calling() -> None:
    told: list[BulkheadRefused] = []
    places = Bulkhead(1, max_queue=1, name="reports", on_event=told.append)
    gate = asyncio.Event()
    tasks = [asyncio.create_task(places.call(gate.wait)) for _ in range(2)]
    await turns()
    with pytest.raises(BulkheadFull, match="reports has no place: 1 running, 1 waiting"):
        await places.call(gate.wait)
    assert told == [BulkheadRefused("reports", 0.0)]
    gate.set()
    assert await asyncio.gather(*tasks) == [True, True]
    assert places.snapshot().refused == 1


def test_who_waits_too_long_is_refused() -> None:
    async def main() -> tuple[float, Any]:
        loop = asyncio.get_running_loop()
        places = Bulkhead(1, max_queue=2, queue_timeout_s=5)
        await places.acquire()
        begun_at = loop.time()
        with pytest.raises(BulkheadFull, match="after 5 s"):
            await places.acquire()
        waited_s = loop.time() - begun_at
        assert places.snapshot().waiting == 0
        places.release()
        async with places:
            pass
        return waited_s, places.snapshot()

    waited_s, snapshot = run_virtually(main())
    assert waited_s == pytest.approx(5)
    assert (snapshot.timed_out, snapshot.running, snapshot.waiting) == (1, 0, 0)


async def test_a_place_handed_to_a_cancelled_caller_goes_to_the_next() -> None:
    places = Bulkhead(1, max_queue=2)
    await places.acquire()
    first = asyncio.create_task(places.acquire())
    second = asyncio.create_task(places.acquire())
    await turns()
    places.release()
    first.cancel()  # it has the place, and does not know yet
    await second
    assert first.cancelled()
    assert places.snapshot().running == 1


async def test_a_caller_cancelled_in_the_queue_is_passed_over() -> None:
    places = Bulkhead(1, max_queue=2)
    await places.acquire()
    first = asyncio.create_task(places.acquire())
    second = asyncio.create_task(places.acquire())
    await turns()
    first.cancel()
    places.release()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (places.snapshot().running, places.snapshot().waiting) == (1, 0)


async def test_a_driver_stands_in_the_queue_without_a_task() -> None:
    places = Bulkhead(1, max_queue=2)
    assert places.enter() is None
    first, second = places.enter(), places.enter()
    assert first is not None
    assert second is not None
    with pytest.raises(BulkheadFull):
        places.enter()
    places.leave(first)
    assert places.snapshot().waiting == 1
    places.release()
    assert second.done()
    third = places.enter()
    assert third is not None
    places.leave(second)  # it had the place, and gives it up
    assert third.done()
    assert (places.snapshot().running, places.snapshot().admitted) == (1, 2)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["come", "leave", "cancel", "turn"]), st.integers(0, 9)),
        max_size=60,
    ),
    concurrency=st.integers(1, 3),
    queue=st.integers(0, 4),
)
def test_no_order_of_coming_leaving_and_cancelling_loses_a_place(
    steps: list[tuple[str, int]], concurrency: int, queue: int
) -> None:
    async def main() -> None:
        places = Bulkhead(concurrency, max_queue=queue)
        tasks: list[asyncio.Task[None]] = []
        gates: list[asyncio.Event] = []
        running = 0

        async def work(gate: asyncio.Event) -> None:
            nonlocal running
            running += 1
            assert running <= concurrency
            try:
                await gate.wait()
            finally:
                running -= 1

        for verb, number in steps:
            if verb == "come":
                gates.append(asyncio.Event())
                tasks.append(asyncio.create_task(places.call(work, gates[-1])))
            elif verb == "turn":
                await asyncio.sleep(0)
            elif tasks and verb == "leave":
                gates[number % len(tasks)].set()
            elif tasks:
                tasks[number % len(tasks)].cancel()
        for gate in gates:
            gate.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(
            end is None or isinstance(end, BulkheadFull | asyncio.CancelledError)
            for end in ends
        )
        assert (places.snapshot().running, places.snapshot().waiting) == (0, 0)
        assert all(places.try_acquire() for _ in range(concurrency))

    run_virtually(main())


def test_a_place_that_nobody_took_cannot_be_given_back() -> None:
    with pytest.raises(RuntimeError, match="nobody took"):
        Bulkhead(1).release()


def test_only_what_waits_can_be_kept_in_a_place() -> None:
    with pytest.raises(TypeError, match="Bulkhead protects coroutine functions"):
        Bulkhead(1)(len)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"max_concurrency": 0}, "max_concurrency is 0"),
        ({"max_concurrency": "4"}, "max_concurrency is '4'"),
        ({"max_concurrency": 1, "max_queue": -1}, "max_queue is -1"),
        ({"max_concurrency": 1, "queue_timeout_s": 0}, "queue_timeout_s is 0"),
    ],
)
def test_an_argument_out_of_its_range_is_named(
    wrong: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Bulkhead(**wrong)
