"""FanOutFanIn: at the same time, at most so many, together again, and what failed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from plait.patterns import FanOutFanIn, Retry, Task


@dataclass
class Hit:
    text: str
    rank: int


def hits(source: str) -> Callable[[str], list[Hit]]:
    def search(query: str) -> list[Hit]:
        return [Hit(f"{query} in {source}", len(source))]

    return search


def merged(found: dict[str, list[Hit]]) -> list[Hit]:
    return sorted((hit for one in found.values() for hit in one), key=lambda hit: hit.rank)


def down(query: str) -> list[Hit]:
    raise ConnectionError("is down")


def search(**settings: Any) -> FanOutFanIn[str, list[Hit]]:
    tasks = {"archive": hits("archive"), "web": hits("web"), "news": hits("news")}
    return FanOutFanIn("search", tasks, aggregate=merged, **settings)


@pytest.mark.parametrize("most", [None, 2, 1, 9])
async def test_results_come_together_in_the_aggregator(most: int | None) -> None:
    outcome = await search(max_concurrency=most).run("tea")
    assert outcome.output == [
        Hit("tea in web", 3),
        Hit("tea in news", 4),
        Hit("tea in archive", 7),
    ]
    assert outcome.succeeded == ["archive", "web", "news"]
    web = outcome.tasks["web"]
    assert (web.result, web.attempts) == ([{"text": "tea in web", "rank": 3}], 1)


async def test_without_an_aggregator_the_output_maps_tasks_to_results() -> None:
    fan = FanOutFanIn[str, dict[str, list[Hit]]]("search", {"web": hits("web")})
    assert (await fan.run("tea")).output == {"web": [Hit("tea in web", 3)]}


async def test_tasks_run_at_the_same_time() -> None:
    all_there = asyncio.Barrier(3)

    async def meet(value: int) -> int:
        await all_there.wait()
        return value

    fan = FanOutFanIn[int, Any]("meet", {"a": meet, "b": meet, "c": meet})
    assert (await fan.run(1)).output == {"a": 1, "b": 1, "c": 1}


async def test_no_more_tasks_run_at_a_time_than_are_allowed() -> None:
    running: list[int] = []
    now = 0

    async def work(value: int) -> None:
        nonlocal now
        now += 1
        running.append(now)
        await asyncio.sleep(0)
        now -= 1

    tasks = {f"t{n}": work for n in range(9)}
    await FanOutFanIn[int, Any]("work", tasks, max_concurrency=2).run(1)
    assert (len(running), max(running)) == (9, 2)


@pytest.mark.parametrize("most", [None, 1])
async def test_where_it_continues_the_others_go_on_and_the_report_says_what_failed(
    most: int | None,
) -> None:
    fan = FanOutFanIn[str, list[Hit]](
        "search",
        {"web": hits("web"), "news": down, "archive": hits("archive")},
        aggregate=merged,
        on_error="continue",
        max_concurrency=most,
    )
    outcome = await fan.run("tea")
    assert [hit.rank for hit in outcome.output] == [3, 7]
    assert (outcome.succeeded, outcome.failed) == (["web", "archive"], ["news"])
    error = outcome.tasks["news"].error
    assert error is not None
    assert (error["code"], error["message"]) == (
        "python.ConnectionError",
        "ConnectionError: is down",
    )


@pytest.mark.parametrize("most", [None, 2])
async def test_where_it_does_not_the_first_failure_ends_the_others(
    most: int | None,
) -> None:
    cancelled = asyncio.Event()
    begun = asyncio.Event()

    async def hang(query: str) -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    async def fail(query: str) -> None:
        await begun.wait()
        raise ConnectionError("is down")

    fan = FanOutFanIn[str, Any](
        "search", {"slow": hang, "news": fail, "last": hang}, max_concurrency=most
    )
    outcome = await fan.run("tea")
    await cancelled.wait()
    assert outcome.status == "failed"
    assert outcome.failure is not None
    assert outcome.failure.code == "python.ConnectionError"
    assert outcome.tasks["slow"].status == "cancelled"
    assert outcome.tasks["news"].status == "failed"
    assert outcome.tasks["last"].status == ("cancelled" if most is None else "pending")


async def test_a_task_that_takes_too_long_fails_alone() -> None:
    async def hang(query: str) -> None:
        await asyncio.get_running_loop().create_future()

    fan = FanOutFanIn[str, Any](
        "search",
        [Task("slow", hang), Task("web", hits("web"))],
        task_timeout_s=0.05,
        on_error="continue",
    )
    outcome = await fan.run("tea")
    assert outcome.succeeded == ["web"]
    error = outcome.tasks["slow"].error
    assert error is not None
    assert error["code"] in ("step.timeout", "connector.timeout")


async def test_when_the_time_of_all_is_over_the_run_fails() -> None:
    async def hang(query: str) -> None:
        await asyncio.get_running_loop().create_future()

    fan = FanOutFanIn[str, Any]("search", {"slow": hang}, timeout_s=0.02)
    outcome = await fan.run("tea")
    assert outcome.failure is not None
    assert outcome.failure.code == "step.timeout"


async def test_a_fan_is_durable_in_a_journal(tmp_path: Any) -> None:
    fan = search()
    first = await fan.run("tea", journal=tmp_path / "j.db", key="a")
    again = await fan.run("tea", journal=tmp_path / "j.db", key="a")
    assert again.output == first.output
    assert again.execution_id == first.execution_id
    assert {name: one.status for name, one in again.tasks.items()} == {
        "archive": "completed",
        "web": "completed",
        "news": "completed",
    }


def made(tasks: Any, **settings: Any) -> Any:
    return FanOutFanIn("f", tasks, **settings)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: made({}), "fan-out 'f': it has no tasks"),
        (lambda: made({"a-b": down}), "'a-b' cannot be its name"),
        (lambda: made({"results": down}), "'results' is what a step of its own"),
        (lambda: made({"a": down}, max_concurrency=0), "max_concurrency: a whole"),
        (lambda: made({"a": down}, on_error="stop"), "on_error: 'stop' is none"),
        (lambda: made({"a": down}, timeout_s=0), "timeout_s: seconds"),
        (lambda: made([Task("a", down, timeout_s=0)]), "a: timeout_s: seconds"),
        (
            lambda: made([Task("a", down, timeout_s=1)], task_timeout_s=-1),
            "task_timeout_s: seconds",
        ),
        (lambda: made({"a": 3}), "a: a function is needed, this is a int"),
    ],
)
def test_misuse_fails_when_the_fan_is_made(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make()


@pytest.mark.parametrize("tasks", [[len], None, len, "ab"])
def test_tasks_that_are_none_are_refused_when_the_fan_is_made(tasks: Any) -> None:
    with pytest.raises(ValueError, match="a mapping from name to function, or Tasks"):
        FanOutFanIn[str, Any]("f", tasks)


@pytest.mark.parametrize("on", ["timeout", ConnectionError, 503])
def test_a_retry_on_a_single_error_asks_for_a_tuple(on: Any) -> None:
    with pytest.raises(ValueError, match="on: a tuple of errors is needed"):
        Retry(3, on=on)


def test_the_jitter_of_a_retry_is_a_number() -> None:
    with pytest.raises(ValueError, match="jitter: a number from 0 to 1"):
        Retry(3, jitter=True)


@pytest.mark.parametrize("max_concurrency", [None, 1])
async def test_a_task_may_be_called_default(max_concurrency: int | None) -> None:
    tasks = {"default": lambda n: n + 1, "default_": lambda n: n + 2, "b": lambda n: n}
    fan = FanOutFanIn[int, dict[str, int]]("f", tasks, max_concurrency=max_concurrency)
    outcome = await fan.run(1)
    assert outcome.output == {"default": 2, "default_": 3, "b": 1}
    assert [one.result for one in outcome.tasks.values()] == [2, 3, 1]
    assert all(one.duration_s > 0 for one in outcome.tasks.values())
