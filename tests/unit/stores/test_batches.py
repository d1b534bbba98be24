"""Jobs that come together go together, and news goes round."""

from __future__ import annotations

import asyncio

import pytest

from plait.ports.journal import StoreUnavailable
from plait.stores import batches
from plait.stores.batches import Batches, News


class Server:
    """Does batches when it is let; keeps what came together."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.failure: Exception | None = None

    async def run(self, jobs: list[str]) -> list[str | Exception]:
        self.batches.append(jobs)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return [KeyError(job) if job == "bad" else job.upper() for job in jobs]


async def submitted(work: Batches[str, str], *jobs: str) -> list[asyncio.Future[str]]:
    """Submit jobs, each by a task of its own, in order."""
    tasks: list[asyncio.Future[str]] = []
    for job in jobs:
        tasks.append(asyncio.ensure_future(work.submit(job)))
        await asyncio.sleep(0)
    return tasks


async def test_what_comes_during_a_batch_goes_together_in_the_next() -> None:
    server = Server()
    work: Batches[str, str] = Batches(server.run, len)
    tasks = await submitted(work, "a", "b", "c", "d")
    server.gate.set()
    assert await asyncio.gather(*tasks) == ["A", "B", "C", "D"]
    assert server.batches == [["a"], ["b", "c", "d"]]


async def test_of_a_key_there_is_one_in_a_batch_and_the_order_stays() -> None:
    server = Server()
    work: Batches[str, str] = Batches(server.run, len, lambda job: job[0])
    tasks = await submitted(work, "x", "a1", "a2", "b1", "a3", "b2")
    server.gate.set()
    await asyncio.gather(*tasks)
    assert server.batches == [["x"], ["a1", "b1"], ["a2", "b2"], ["a3"]]


async def test_a_batch_has_no_more_bytes_than_a_server_takes_in_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "BYTES_MAX", 4)
    server = Server()
    work: Batches[str, str] = Batches(server.run, len)
    tasks = await submitted(work, "x", "ab", "cd", "e", "too large", "f", "g")
    server.gate.set()
    await asyncio.gather(*tasks)
    assert server.batches == [["x"], ["ab", "cd"], ["e"], ["too large"], ["f", "g"]]


async def test_a_batch_has_no_more_jobs_than_the_server_is_asked_to_do_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "JOBS_MAX", 2)
    server = Server()
    work: Batches[str, str] = Batches(server.run, len)
    tasks = await submitted(work, "a", "b", "c", "d")
    server.gate.set()
    await asyncio.gather(*tasks)
    assert server.batches == [["a"], ["b", "c"], ["d"]]


async def test_a_refused_job_leaves_its_neighbours_alone() -> None:
    server = Server()
    server.gate.set()
    work: Batches[str, str] = Batches(server.run, len)
    tasks = await submitted(work, "a", "bad", "c")
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, KeyError) for one in outcomes] == [False, True, False]


async def test_a_batch_that_fails_is_refused_whole_and_the_next_is_tried() -> None:
    server = Server()
    server.failure = StoreUnavailable("gone")
    work: Batches[str, str] = Batches(server.run, len)
    tasks = await submitted(work, "a", "b")
    server.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in outcomes] == [StoreUnavailable, StoreUnavailable]
    server.failure = None
    assert await work.submit("c") == "C"


async def test_who_does_not_wait_any_more_hinders_nobody() -> None:
    server = Server()
    work: Batches[str, str] = Batches(server.run, len)
    tasks = await submitted(work, "a", "b", "c")
    tasks[1].cancel()
    server.gate.set()
    assert [await tasks[0], await tasks[2]] == ["A", "C"]


async def test_closing_finishes_what_was_submitted_and_takes_no_more() -> None:
    server = Server()
    work: Batches[str, str] = Batches(server.run, len)
    tasks = await submitted(work, "a", "b")
    server.gate.set()
    await work.close()
    assert all(task.done() for task in tasks)
    with pytest.raises(StoreUnavailable, match="closed"):
        await work.submit("c")


async def test_news_that_come_together_are_told_once_and_the_last_before_closing() -> None:
    told: list[int] = []
    first = asyncio.Event()

    async def publish() -> None:
        told.append(len(told))
        first.set()
        raise StoreUnavailable("nobody hears it")

    news = News(publish)
    news.tell()
    news.tell()
    await first.wait()
    news.tell()
    await news.close()
    assert told == [0, 1]
