"""WhileLoop, DoWhileLoop, AsyncIteratorLoop, StatefulFanOutFanIn: rounds of all kinds."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plait.connectors.python import FunctionCall
from plait.connectors.python.call import CURRENT
from plait.patterns import (
    AsyncIteratorLoop,
    DoWhileLoop,
    StatefulFanOutFanIn,
    WhileLoop,
)


@dataclass
class Job:
    tries: int
    status: str = "running"


def is_running(job: Job) -> bool:
    return job.status == "running"


def poll(job: Job) -> Job:
    return Job(job.tries + 1, "done" if job.tries >= 2 else "running")


async def test_a_while_loop_tests_first() -> None:
    loop = WhileLoop("poll", is_running, poll)
    done = await loop.run(Job(0))
    assert (done.output, done.iterations) == (Job(3, "done"), 3)
    never = await loop.run(Job(5, "done"))
    assert (never.output, never.iterations) == (Job(5, "done"), 0)


async def test_a_do_while_loop_tests_last() -> None:
    loop = DoWhileLoop[Job]("poll", is_running, poll)
    assert (await loop.run(Job(7, "done"))).output == Job(8, "done")
    assert (await loop.run(Job(0))).iterations == 3


@pytest.mark.parametrize("kind", [WhileLoop, DoWhileLoop])
async def test_a_loop_that_does_not_end_fails_at_its_limit(kind: Any) -> None:
    outcome = await kind("ever", lambda n: True, lambda n: n + 1, max_iterations=7).run(0)
    assert outcome.failure.code == "limit.iterations"


@pytest.mark.parametrize("kind", [WhileLoop, DoWhileLoop])
async def test_a_condition_that_is_neither_true_nor_false_fails_the_run(kind: Any) -> None:
    outcome = await kind("odd", lambda n: "yes", lambda n: n + 1).run(0)
    told = "condition 'odd.condition' returned 'yes', not true or false"
    assert (outcome.failure.code, outcome.failure.message) == ("connector.decode", told)


async def test_rounds_whose_end_is_neither_true_nor_false_fail_the_run() -> None:
    async def until(state: int) -> Any:
        return None

    def state_of(state: int, found: dict[str, Any]) -> int:
        return state

    tasks = {"a": lambda state: state}
    fan = StatefulFanOutFanIn[int]("odd", tasks, state_of, until=until)
    failure = (await fan.run(0)).failure
    assert failure is not None
    assert failure.message == "condition 'odd.until' returned None, not true or false"


async def test_a_body_is_told_the_number_of_the_iteration() -> None:
    loop = WhileLoop[list[int]](
        "count", lambda seen: len(seen) < 3, lambda seen, n: [*seen, n]
    )
    assert (await loop.run([])).output == [0, 1, 2]


async def test_a_state_of_null_is_a_state() -> None:
    outcome = await DoWhileLoop[Any]("null", lambda state: False, lambda state: None).run(1)
    assert (outcome.raw, outcome.iterations) == (None, 1)


async def test_a_loop_in_a_journal_goes_on_with_the_iteration_under_way(
    tmp_path: Path,
) -> None:
    calls: list[int] = []
    begun = asyncio.Event()

    async def hang_at_two(n: int) -> int:
        calls.append(n)
        if n == 2:
            begun.set()
            await asyncio.get_running_loop().create_future()
        return n + 1

    def go_on(n: int) -> int:
        calls.append(n)
        return n + 1

    def loop(body: Callable[[int], Any]) -> WhileLoop[int]:
        return WhileLoop("count", lambda n: n < 5, body)

    path = tmp_path / "j.db"
    run = asyncio.create_task(loop(hang_at_two).run(0, journal=path, key="a"))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    outcome = await loop(go_on).run(0, journal=path, key="a")
    assert (outcome.output, calls) == (5, [0, 1, 2, 2, 3, 4])


class Numbers:
    """A stream that knows how far it was read, and whether it was closed."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.open_count = self.closed_count = 0

    async def __call__(self, last: int) -> AsyncIterator[int]:
        self.open_count += 1
        try:
            for n in range(last):
                self.given.append(n)
                yield n
        finally:
            self.closed_count += 1


def total(before: int | None, page: list[int]) -> int:
    return (before or 0) + sum(page)


async def test_a_stream_is_read_page_by_page_and_no_further() -> None:
    numbers, ahead = Numbers(), list[int]()

    def body(n: int) -> int:
        ahead.append(len(numbers.given) - n)
        return n

    loop = AsyncIteratorLoop[int, int]("sum", numbers, body, reduce=total, page_size=10)
    outcome = await loop.run(95)
    assert (outcome.output, outcome.count) == (sum(range(95)), 95)
    assert max(ahead) <= 10
    assert (numbers.open_count, numbers.closed_count) == (1, 1)


@pytest.mark.parametrize("count", [0, 1, 10, 11])
async def test_every_item_is_taken_once_wherever_pages_end(count: int) -> None:
    seen: list[int] = []
    loop = AsyncIteratorLoop[int, None]("see", Numbers(), seen.append, page_size=10)
    outcome = await loop.run(count)
    assert (outcome.count, sorted(seen)) == (count, list(range(count)))


async def test_items_that_fail_are_counted_and_left_out() -> None:
    def odd(n: int) -> int:
        if n % 2 == 0:
            raise ValueError(n)
        return n

    loop = AsyncIteratorLoop[int, int](
        "odd", Numbers(), odd, reduce=total, page_size=4, on_item_error="continue"
    )
    outcome = await loop.run(10)
    assert (outcome.output, outcome.count, outcome.failure_count) == (25, 10, 5)


async def test_a_stream_is_closed_when_the_run_fails_in_the_middle() -> None:
    numbers = Numbers()

    def fail(n: int) -> None:
        raise ConnectionError

    outcome = await AsyncIteratorLoop[int, None]("f", numbers, fail, page_size=3).run(10)
    assert outcome.status == "failed"
    assert (len(numbers.given), numbers.closed_count) == (3, 1)


async def test_a_failed_runs_stream_is_closed_while_another_run_goes_on() -> None:
    numbers, begun, goes_on = Numbers(), asyncio.Event(), asyncio.Event()

    async def body(n: int) -> None:
        if n == 0 and begun.is_set():
            raise ConnectionError
        begun.set()
        await goes_on.wait()

    loop = AsyncIteratorLoop[int, None]("f", numbers, body, page_size=3)
    other = asyncio.create_task(loop.run(10))
    await begun.wait()
    assert (await loop.run(10)).status == "failed"
    assert (numbers.open_count, numbers.closed_count) == (2, 1)
    goes_on.set()
    assert (await other).status == "completed"
    assert numbers.closed_count == 2


@pytest.mark.parametrize("seeks", [True, False])
async def test_a_stream_in_a_journal_goes_on_after_the_page_that_was_done(
    seeks: bool, tmp_path: Path
) -> None:
    seen: list[int] = []
    begun = asyncio.Event()

    async def numbers(last: int) -> AsyncIterator[int]:
        for n in range(last):
            yield n

    async def numbers_from(last: int, taken: int) -> AsyncIterator[int]:
        for n in range(taken, last):
            yield n

    async def hang_at_five(n: int) -> None:
        if n == 5:
            begun.set()
            await asyncio.get_running_loop().create_future()
        seen.append(n)

    def loop(body: Callable[[int], Any]) -> AsyncIteratorLoop[int, None]:
        source = numbers_from if seeks else numbers
        return AsyncIteratorLoop("see", source, body, page_size=2, max_concurrency=1)

    path = tmp_path / "j.db"
    run = asyncio.create_task(loop(hang_at_five).run(9, journal=path, key="a"))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    outcome = await loop(seen.append).run(9, journal=path, key="a")
    assert (outcome.count, seen) == (9, list(range(9)))


async def test_a_page_that_was_read_and_lost_is_read_again() -> None:
    numbers = Numbers()
    loop = AsyncIteratorLoop[int, None]("see", numbers, abs, page_size=2)
    pull = loop.functions.named("see.pull").call
    CURRENT.set(FunctionCall("run-1", "pages[0]/pull", 1, None))
    pages = [await pull(5, 0), await pull(5, 0), await pull(5, 2)]
    assert [page["items"] for page in pages] == [[0, 1], [0, 1], [2, 3]]
    assert numbers.open_count == 2


async def test_rounds_of_a_fan_share_a_state() -> None:
    def count(seen: list[int]) -> int:
        return len(seen)

    def top(seen: list[int]) -> int:
        return max(seen)

    def merged(seen: list[int], found: dict[str, int]) -> list[int]:
        return [*seen, *found.values()]

    fan = StatefulFanOutFanIn[list[int]](
        "grow", {"count": count, "top": top}, merged, until=lambda seen: len(seen) >= 6
    )
    outcome = await fan.run([4, 1])
    assert (outcome.output, outcome.rounds) == ([4, 1, 2, 4, 4, 4], 2)
    once = StatefulFanOutFanIn[list[int]]("once", {"count": count}, merged)
    assert (await once.run([7])).output == [7, 1]


async def test_a_round_goes_on_without_a_task_that_failed_where_it_may() -> None:
    def fail(state: int) -> int:
        raise ConnectionError

    def merged(state: int, found: dict[str, int]) -> int:
        assert "bad" not in found
        return state + found["good"]

    def made(**settings: Any) -> StatefulFanOutFanIn[int]:
        tasks = {"good": lambda state: 1, "bad": fail}
        return StatefulFanOutFanIn(
            "add", tasks, merged, until=lambda state: state == 3, **settings
        )

    assert (await made(on_error="continue").run(0)).output == 3
    assert (await made().run(0)).status == "failed"


def same(state: Any, *_: Any) -> Any:
    return state


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: WhileLoop("w", same, same, max_iterations=0), "max_iterations: a whole"),
        (lambda: WhileLoop("w", same, same, delay_s=-1), "delay_s: seconds, 0 or more"),
        (lambda: WhileLoop("w", "true", same), "condition: a function is needed"),  # type: ignore[arg-type]
        (lambda: DoWhileLoop("w", same, same, retry=0), "retry: max_attempts"),
        (lambda: AsyncIteratorLoop("s", same, same, page_size=0), "page_size: a whole"),
        (lambda: AsyncIteratorLoop("s", [1], same), "source: a function is needed"),  # type: ignore[arg-type]
        (lambda: StatefulFanOutFanIn("f", {}, same), "it has no tasks"),
        (lambda: StatefulFanOutFanIn("f", {"tasks": same}, same), "a step of its own"),
        (lambda: StatefulFanOutFanIn("f", {"a": same}, same, max_rounds=0), "max_rounds"),
    ],
)
def test_misuse_fails_when_the_loop_is_made(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make()
