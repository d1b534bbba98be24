"""BatchProcessor: many items, so many at a time; what failed is told apart."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plait.patterns import BatchProcessor


@dataclass
class Row:
    id: int


def price(row: Row) -> float:
    if row.id == 3:
        raise LookupError("no price")
    return 1.5 * row.id


async def test_results_stand_in_the_order_of_the_items_beside_what_failed() -> None:
    batch = BatchProcessor[Row, list[float]]("prices", price)
    outcome = await batch.run(Row(n) for n in range(5))
    assert outcome.output == [0.0, 1.5, 3.0, 6.0]
    assert outcome.results == [0.0, 1.5, 3.0, None, 6.0]
    assert (outcome.total, outcome.success_count, outcome.success_rate) == (5, 4, 0.8)
    failure = outcome.failures[0]
    assert (failure.index, failure.item) == (3, {"id": 3})
    assert failure.error["code"] == "python.LookupError"


async def test_an_aggregator_gets_what_did_not_fail() -> None:
    def total(prices: list[float]) -> float:
        return sum(prices)

    batch = BatchProcessor[Row, float]("prices", price, aggregate=total)
    assert (await batch.run([Row(1), Row(3), Row(2)])).output == 4.5
    assert (await batch.run([])).output == 0


async def test_the_first_failure_can_be_the_whole_batchs() -> None:
    batch = BatchProcessor[Row, Any]("prices", price, on_item_error="fail")
    outcome = await batch.run([Row(3)])
    assert outcome.failure is not None
    assert outcome.failure.code == "python.LookupError"


async def test_no_more_items_are_under_way_than_may_be() -> None:
    now, most = 0, 0

    async def work(n: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    await BatchProcessor[int, Any]("work", work, max_concurrency=3).run(range(30))
    assert most == 3


async def test_a_batch_is_over_before_the_next_begins() -> None:
    log: list[tuple[str, int]] = []

    async def work(n: int) -> None:
        log.append(("begin", n))
        await asyncio.sleep(0)
        log.append(("end", n))

    await BatchProcessor[int, Any]("work", work, batch_size=2).run(range(4))
    assert {n for _, n in log[:4]} == {0, 1}
    assert {n for _, n in log[4:]} == {2, 3}


async def test_a_batch_in_a_journal_processes_only_what_was_not_done(
    tmp_path: Path,
) -> None:
    done: list[int] = []
    begun = asyncio.Event()

    async def hang_at_two(n: int) -> int:
        if n == 2:
            begun.set()
            await asyncio.get_running_loop().create_future()
        done.append(n)
        return n

    def go_on(n: int) -> int:
        done.append(n)
        return n

    def batch(process: Callable[[int], Any]) -> BatchProcessor[int, list[int]]:
        return BatchProcessor("work", process, max_concurrency=1)

    path = tmp_path / "j.db"
    run = asyncio.create_task(batch(hang_at_two).run(range(4), journal=path, key="a"))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    outcome = await batch(go_on).run(range(4), journal=path, key="a")
    assert outcome.output == done == [0, 1, 2, 3]


def made(**settings: Any) -> Any:
    return BatchProcessor("b", price, **settings)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: made(max_concurrency=0), "max_concurrency: a whole number"),
        (lambda: made(batch_size=0), "batch_size: a whole number"),
        (lambda: made(batch_delay_s=1), "batch_delay_s: there are no batches"),
        (lambda: made(batch_size=1, batch_delay_s=-1), "batch_delay_s: seconds"),
        (lambda: made(on_item_error="skip"), "on_item_error: 'skip' is none"),
    ],
)
def test_misuse_fails_when_the_batch_is_made(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make()


async def test_what_is_no_list_of_items_is_refused() -> None:
    with pytest.raises(ValueError, match="items are needed, this is a str"):
        await made().run("abc")
