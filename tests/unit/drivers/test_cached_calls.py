"""Cached calls, in express mode: real upstreams, the real client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.drivers.inline import Result
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import after, in_turn, reply
from tests.unit.drivers.policies import bench, grown_old, plan_of, said_by, step, turns

WAIT_S = 10
CACHE = "cache: {ttl: 1h}"
DOWN = reply(503)


class Counting:
    """Answers with how many requests have come."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, peer: Peer, request: Request) -> None:
        self.count += 1
        await reply(json={"n": self.count})(peer, request)


def number(result: Result) -> Any:
    output: Any = result.output
    return output["get"]["n"]


async def test_an_answer_is_given_again_without_a_call() -> None:
    async with Upstream(Counting()) as service, bench(service) as process:
        results = [await process.run(step(CACHE)) for _ in range(3)]
        assert [number(one) for one in results] == [1, 1, 1]
        assert len(service.requests) == 1
        assert said_by(results[0]) == []
        (note,) = said_by(results[2])
        assert (note["policy"], note["did"]) == ("cache", "hit")
        assert note["age_ms"] >= 0
        told = process.told("cache", "answers")
        assert (told["hits"], told["misses"]) == (2, 1)
        assert told["bytes"] > 0


async def test_a_hit_needs_nothing_that_is_further_in() -> None:
    policies = f"{CACHE}\nrate_limit: {{limit: 1, per: 1h, queue_timeout: 0s}}"
    async with Upstream(Counting()) as service, bench(service) as process:
        results = [await process.run(step(policies)) for _ in range(3)]
        assert [number(one) for one in results] == [1, 1, 1]


async def test_other_requests_have_other_answers() -> None:
    text = step(CACHE).replace("/x}", '/x, headers: {authorization: "${input.who}"}}')
    async with Upstream(Counting()) as service, bench(service) as process:
        numbers = [number(await process.run(text, who=who)) for who in ("a", "b", "a")]
        assert numbers == [1, 2, 1]


async def test_a_key_stands_for_the_request_and_for_its_step_alone() -> None:
    keyed = 'cache: {ttl: 1h, key: "${input.sku}"}'
    text = step(keyed).replace("/x}", '/x, params: {trace: "${input.n}"}}')
    async with Upstream(Counting()) as service, bench(service) as process:
        numbers = [number(await process.run(text, sku="a", n=n)) for n in range(2)]
        assert numbers == [1, 1]
        elsewhere = text.replace("name: w", "name: another")
        assert number(await process.run(elsewhere, sku="a", n=0)) == 2
        shared = [
            step('cache: {ttl: 1h, name: skus, key: "${input.sku}"}').replace("/x", path)
            for path in ("/x", "/y")
        ]
        assert [number(await process.run(one, sku="a")) for one in shared] == [3, 3]


@pytest.mark.parametrize("key", ["key", "user"])
async def test_what_has_no_key_or_is_of_nobody_is_not_cached(key: str) -> None:
    text = step(f'cache: {{ttl: 1h, {key}: "${{input.k}}"}}')
    async with Upstream(Counting()) as service, bench(service) as process:
        numbers = [number(await process.run(text, k=k)) for k in (None, "", "a", "a", "b")]
        assert numbers == [1, 2, 3, 3, 4]


async def test_failures_are_not_kept() -> None:
    script = in_turn(DOWN, reply(json={"n": 1}))
    async with Upstream(script) as service, bench(service) as process:
        assert (await process.run(step(CACHE))).status == "failed"
        assert number(await process.run(step(CACHE))) == 1


async def test_calls_for_the_same_wait_for_one() -> None:
    answered = asyncio.Event()
    async with Upstream(after(answered, Counting())) as service, bench(service) as process:
        plan_of(step(CACHE))
        running = [asyncio.create_task(process.run(step(CACHE))) for _ in range(5)]
        await service.until_requests(1)
        await turns()
        answered.set()
        results = await asyncio.gather(*running)
        assert [number(one) for one in results] == [1] * 5
        assert len(service.requests) == 1
        assert [len(said_by(one)) for one in results] == [0, 1, 1, 1, 1]


async def test_who_makes_the_call_for_others_may_leave() -> None:
    never, answered = asyncio.Event(), asyncio.Event()
    script = in_turn(after(never, DOWN), after(answered, Counting()))
    async with Upstream(script) as service, bench(service) as process:
        first = asyncio.create_task(process.run(step(CACHE)))
        await service.until_requests(1)
        second = asyncio.create_task(process.run(step(CACHE)))
        await turns()
        first.cancel()
        async with asyncio.timeout(WAIT_S):
            await service.until_requests(2)
            answered.set()
            assert number(await second) == 1


async def test_nobody_waits_for_another_longer_than_its_own_time() -> None:
    never = asyncio.Event()
    async with Upstream(after(never, DOWN)) as service, bench(service) as process:
        slow = asyncio.create_task(process.run(step(f"{CACHE}\ntimeout: 1h")))
        await service.until_requests(1)
        async with asyncio.timeout(WAIT_S):
            quick = await process.run(step(f"{CACHE}\ntimeout: 50ms"))
        assert quick.failure is not None
        assert quick.failure.code == "step.timeout"
        slow.cancel()


async def test_a_stale_answer_is_given_while_another_is_fetched() -> None:
    stale = "cache: {ttl: 1ms, stale_while_revalidate: 1h}"
    async with Upstream(Counting()) as service, bench(service) as process:
        await process.run(step(stale))
        await grown_old()
        result = await process.run(step(stale))
        assert number(result) == 1
        assert said_by(result)[0]["did"] == "stale"
        async with asyncio.timeout(WAIT_S):
            await service.until_requests(2)


async def test_a_stale_answer_is_given_where_the_upstream_fails() -> None:
    stale = "cache: {ttl: 1ms, stale_if_error: 1h}"
    script = in_turn(Counting(), DOWN, reply(404))
    async with Upstream(script) as service, bench(service) as process:
        await process.run(step(stale))
        await grown_old()
        result = await process.run(step(stale))
        assert number(result) == 1
        assert said_by(result)[0]["did"] == "failed_over"
        # What blames the caller is no outage: it is the answer.
        await grown_old()
        assert (await process.run(step(stale))).status == "failed"


async def test_a_stale_answer_is_given_while_the_circuit_is_open() -> None:
    policies = (
        "cache: {ttl: 1ms, stale_if_error: 1h}\n"
        "circuit_breaker: {failure_threshold: 1, open_time: 1h}"
    )
    async with Upstream(in_turn(Counting(), DOWN)) as service, bench(service) as process:
        results = []
        for _ in range(3):
            results.append(await process.run(step(policies)))
            await grown_old()
        assert [number(one) for one in results] == [1, 1, 1]
        assert len(service.requests) == 2
