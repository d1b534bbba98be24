"""Token buckets of many keys in one Redis: as a bucket in process, in few questions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.resilience.rate_limit import Event, StoreReachable, StoreUnreachable, TokenBucket
from plait.resilience.rate_limit.redis_buckets import RedisBuckets
from tests.conformance.journal.servers import PrivateServer
from tests.unit.resilience.clocks import HandClock

HELD = "local now = tonumber(redis.call('GET', 'now'))\n"
BEGUN_S = 1_700_000_000
LONG_S = 1e6
WAIT_S = 30


async def commands_of(client: Any) -> int:
    """Return how many questions with scripts Redis has had."""
    stats = await client.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


async def test_it_answers_as_a_bucket_of_the_process_does(own_client: Any) -> None:
    clock = HandClock()
    own = TokenBucket(limit=3, period_s=60, clock=clock)
    shared = RedisBuckets(own_client, answer_s_max=WAIT_S, clock=HELD)
    for pause_s in (0, 0, 0, 0, 5, 15.5, 0, 0.25, 40, 0, 0, 0, 300, 0, 19):
        clock.advance(pause_s)
        await own_client.set("now", BEGUN_S * 1_000_000 + round(clock.now() * 1e6))
        taken = await shared.take("k", 3, 60)
        admission, standing = own.try_acquire(), own.snapshot()
        assert taken is not None
        assert taken.wait_s == pytest.approx(admission.retry_after, abs=1e-3)
        assert taken.standing[:2] == standing[:2]
        assert taken.standing.reset_after == pytest.approx(standing.reset_after, abs=1e-3)


async def test_a_thousand_at_once_are_counted_one_by_one_over_one_connection(
    own_client: Any,
) -> None:
    shared = RedisBuckets(own_client, answer_s_max=WAIT_S)
    takes = [shared.take(f"k{number % 10}", 7, LONG_S) for number in range(1_000)]
    taken = await asyncio.gather(*takes)
    assert sum(one is not None and not one.wait_s for one in taken) == 70
    assert len(await own_client.client_list()) == 1


async def test_who_leaves_while_it_is_asked_stops_nobody_else(own_client: Any) -> None:
    shared = RedisBuckets(own_client, answer_s_max=WAIT_S)
    tasks = [asyncio.create_task(shared.take("k", 100, LONG_S)) for _ in range(10)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    taken = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(taken[0], asyncio.CancelledError)
    assert None not in taken
    await shared.aclose()


async def test_a_redis_that_has_forgotten_the_script_is_told_it_again(
    own_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.resilience.rate_limit.redis_buckets._REST_S", 0.0)
    shared = RedisBuckets(own_client, answer_s_max=WAIT_S)
    assert await shared.take("k", 1, LONG_S)
    await own_client.script_flush()
    assert await shared.take("k", 1, LONG_S) is None
    async with asyncio.timeout(WAIT_S):
        while await shared.take("k", 1, LONG_S) is None:
            await asyncio.sleep(0)


async def test_nobody_waits_for_a_redis_that_is_away_and_it_is_told_once(
    own_client: Any, own_server: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    shared = RedisBuckets(own_client, name="l", answer_s_max=WAIT_S, on_event=told.append)
    assert await shared.take("k", 1, LONG_S)
    own_server.kill()
    takes = [shared.take(f"k{number}", 1, LONG_S) for number in range(1_000)]
    assert await asyncio.gather(*takes) == [None] * 1_000
    assert [type(event) for event in told] == [StoreUnreachable]
    assert shared.is_silent
    own_server.start()
    # Within its rest it is not asked at all.
    assert await shared.take("k", 1, LONG_S) is None
    assert await commands_of(own_client) == 0
    monkeypatch.setattr("plait.resilience.rate_limit.redis_buckets._REST_S", 0.0)
    shared._silent_until = 0.0
    async with asyncio.timeout(WAIT_S):
        while await shared.take("k", 1, LONG_S) is None:
            await asyncio.sleep(0)
    assert told[1:] == [StoreReachable("l")]


async def test_a_redis_that_hangs_is_waited_for_once_and_its_late_answer_is_nobodys(
    own_client: Any, own_server: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = RedisBuckets(own_client, answer_s_max=0.05)
    while await shared.take("other", 9, LONG_S) is None:  # a busy machine
        shared._silent_until = None
    own_server.freeze()
    takes = [shared.take(f"k{number}", 1, LONG_S) for number in range(1_000)]
    assert await asyncio.gather(*takes) == [None] * 1_000
    monkeypatch.setattr("plait.resilience.rate_limit.redis_buckets._REST_S", 0.0)
    shared._silent_until = 0.0
    # It is asked again behind the back of who comes.
    assert await shared.take("k", 1, LONG_S) is None
    assert shared._task is not None
    own_server.thaw()
    shared._answer_s_max = WAIT_S
    async with asyncio.timeout(WAIT_S):
        while (taken := await shared.take("new", 5, LONG_S)) is None:
            await asyncio.sleep(0)
    assert taken.standing.limit == 5


async def test_closing_waits_for_what_is_asked(own_client: Any) -> None:
    shared = RedisBuckets(own_client, answer_s_max=WAIT_S)
    task = asyncio.create_task(shared.take("k", 1, LONG_S))
    await asyncio.sleep(0)
    await shared.aclose()
    assert shared._task is None
    assert await task is not None
