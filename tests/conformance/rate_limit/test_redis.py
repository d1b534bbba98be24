"""The limiters through Redis keep the contract, and what only they promise."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from plait.resilience.errors import RateLimited
from plait.resilience.rate_limit import Event, StoreReachable, StoreUnreachable
from plait.resilience.rate_limit.redis import (
    RedisFixedWindow,
    RedisLeakyBucket,
    RedisLeakyBucketMeter,
    RedisRateLimiter,
    RedisSlidingWindow,
    RedisTokenBucket,
    script_text,
)
from plait.resilience.rate_limit.redis_keyed import KeyedRedisRateLimiter
from tests.conformance.journal.servers import PrivateServer, redis
from tests.conformance.rate_limit.suite import (
    IN_BULK,
    LONG_S,
    Make,
    RateLimiterSuite,
    cancelled,
    each_kind,
    waiters,
)
from tests.unit.resilience.rate_limit.models import KINDS as MODEL_KINDS
from tests.unit.resilience.rate_limit.models import TICK_S, Shape, model_of

OF_KIND: dict[str, type[Any]] = {
    "fixed_window": RedisFixedWindow,
    "sliding_window": RedisSlidingWindow,
    "token_bucket": RedisTokenBucket,
    "leaky_bucket": RedisLeakyBucket,
    "leaky_bucket_meter": RedisLeakyBucketMeter,
}


@pytest.fixture(scope="session")
def server() -> Iterator[PrivateServer]:
    """One that keeps nothing: limits need not outlive it."""
    with redis(appendonly="no") as server:
        yield server


@pytest.fixture
async def client(server: PrivateServer) -> AsyncIterator[Any]:
    """A client of an empty server."""
    client: Any = Redis(port=server.port)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def make(client: Any) -> AsyncIterator[Make]:
    made: list[RedisRateLimiter] = []

    def of(kind: str, limit: int, period_s: float, **settings: Any) -> RedisRateLimiter:
        # A busy machine may take its time; an answer missed would admit.
        settings = {"answer_s_max": 30, "unreachable": "refuse", **settings}
        key = f"limit-{len(made)}"
        made.append(OF_KIND[kind](client, key, limit=limit, period_s=period_s, **settings))
        return made[-1]

    yield of
    for one in made:
        await one.aclose()


class TestLimitersThroughRedis(RateLimiterSuite):
    pass


# -- many processes, one limit ---------------------------------------------------------

SHARERS = """
import asyncio, sys
from redis.asyncio import Redis
from plait.resilience.rate_limit import redis as limiters

async def main():
    client = Redis(port=int(sys.argv[1]))
    kind = getattr(limiters, sys.argv[2])
    limiter = kind(client, "shared", limit=50, period_s=1_000_000, answer_s_max=30)
    print("ready", flush=True)
    sys.stdin.readline()
    answers = await asyncio.gather(*(limiter.try_acquire() for _ in range(100)))
    print(sum(map(bool, answers)), flush=True)
    await client.aclose()

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", IN_BULK)
def test_processes_that_share_a_limit_get_no_more_than_it_together(
    server: PrivateServer, client: Any, kind: str
) -> None:
    command = [sys.executable, "-c", SHARERS, str(server.port), OF_KIND[kind].__name__]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes: list[Any] = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    passed = [int(process.communicate()[0]) for process in processes]
    assert sum(passed) == 50


@each_kind
async def test_a_key_ends_with_what_it_counts(make: Make, client: Any, kind: str) -> None:
    limiter = make(kind, 10, 60.0)
    await limiter.acquire()
    (key,) = await client.keys()
    assert key == f"plait:rate_limit:{kind}:limit-0".encode()
    left_ms = await client.pttl(key)
    assert 0 < left_ms <= 61_000


async def test_a_sliding_window_keeps_as_many_entries_as_the_limit_at_most(
    make: Make, client: Any
) -> None:
    limiter = make("sliding_window", 5, 0.01)
    await asyncio.gather(*(limiter.acquire_or_wait() for _ in range(60)))
    (key,) = await client.keys()
    assert await client.hlen(key) <= 5 + len(("first", "next", "used"))


async def test_many_callers_share_one_connection(make: Make, client: Any) -> None:
    before = (await client.info("stats"))["total_connections_received"]
    limiter = make("token_bucket", 1_000, LONG_S)
    await asyncio.gather(*(limiter.acquire() for _ in range(500)))
    after = (await client.info("stats"))["total_connections_received"]
    assert after - before <= 1


# -- a clock held by hand --------------------------------------------------------------

HELD = "local now = tonumber(redis.call('GET', 'now'))\n"
SCRIPT_OF = {"leaky_meter": "bucket", "token_bucket": "bucket", "leaky_bucket": "bucket"}
shapes = st.builds(
    Shape,
    kind=st.sampled_from(MODEL_KINDS),
    limit=st.integers(1, 7),
    period=st.sampled_from((8, 10, 24)),
    size=st.integers(1, 9),
)
# Ticks to pass, weights that are given back (of what was just taken), weights asked for.
steps = st.lists(
    st.tuples(st.integers(0, 9), st.booleans(), st.lists(st.floats(0, 1), max_size=4)),
    min_size=1,
    max_size=25,
)


@pytest.mark.slow
@given(shape=shapes, steps=steps)
def test_the_scripts_decide_as_the_models_do(
    server: PrivateServer, shape: Shape, steps: list[tuple[int, bool, list[float]]]
) -> None:
    client = BlockingRedis(port=server.port)
    client.flushall()
    tick_us = round(TICK_S * 1e6)
    script = client.register_script(
        script_text(SCRIPT_OF.get(shape.kind, shape.kind), HELD)
    )
    size = 0 if shape.kind == "leaky_bucket" else shape.size
    model, tick = model_of(shape), 8 * 3 * 5 * 1_000_000
    # The model counts its windows from the first tick, a multiple of every period.
    for ticks, gives_back, parts in steps:
        tick += ticks
        client.set("now", tick * tick_us)
        weights = [1 + round(part * (shape.weight_max - 1)) for part in parts]
        arguments = [shape.limit, shape.period * tick_us, size, 0]
        said = script(keys=["k"], args=[*arguments, *(-w for w in weights)])
        assert said[0] == tick * tick_us
        for weight, wait in zip(weights, said[4:], strict=True):
            assert (wait == 0) == model.take(tick, weight)
            if wait:
                ticks_left = model.wait(tick, weight)
                assert (ticks_left - 1) * tick_us < wait <= ticks_left * tick_us + 1
        assert said[2] == model.remaining(tick)
        if gives_back and model.taken and model.taken[-1][0] == tick:
            taken_at, weight = model.taken.pop()
            returned = [*arguments[:3], 1, weight, taken_at * tick_us]
            assert script(keys=["k"], args=returned)[2] == model.remaining(tick)
    client.close()


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_a_server_clock_that_is_set_back_gives_nothing_away(
    server: PrivateServer, kind: str
) -> None:
    client = BlockingRedis(port=server.port)
    client.flushall()
    script = client.register_script(script_text(SCRIPT_OF.get(kind, kind), HELD))
    second_us = 1_000_000
    asked = [3, 10 * second_us, 0 if kind == "leaky_bucket" else 3, 0, -1, -1, -1, -1]
    begun_us = 1_700_000_000 * second_us
    admitted = 1 if kind == "leaky_bucket" else 3

    def passed(now_us: int) -> int:
        client.set("now", now_us)
        return sum(wait == 0 for wait in script(keys=["k"], args=asked)[4:])

    assert passed(begun_us) == admitted
    assert passed(begun_us - 3 * second_us) == 0
    # By more than a period: what was stored then says nothing.
    assert passed(begun_us - 3_600 * second_us) == admitted
    client.close()


# -- Redis that does not answer --------------------------------------------------------


async def test_without_redis_calls_are_admitted_and_it_is_told_once(
    own_server: PrivateServer, own_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.resilience.rate_limit.redis._REST_S", 0.01)
    told: list[Event] = []
    limiter = RedisTokenBucket(
        own_client, "k", limit=1, period_s=LONG_S, on_event=told.append, answer_s_max=10
    )
    await limiter.acquire()
    own_server.kill()
    await asyncio.gather(*(limiter.acquire() for _ in range(10)))
    await limiter.acquire_or_wait()
    assert (await limiter.snapshot()).remaining == 1
    assert [type(event) for event in told] == [StoreUnreachable]
    own_server.start()
    while len(told) == 1:
        await limiter.try_acquire()
    assert told[1] == StoreReachable("k")


async def test_without_redis_calls_are_refused_where_that_was_set(
    own_server: PrivateServer, own_client: Any
) -> None:
    limiter = RedisTokenBucket(
        own_client, "k", limit=5, period_s=LONG_S, unreachable="refuse", answer_s_max=10
    )
    await limiter.acquire()
    own_server.kill()
    with pytest.raises(RateLimited) as caught:
        await limiter.acquire()
    assert caught.value.retry_after == 1.0
    with pytest.raises(RateLimited):
        await limiter.acquire_or_wait(timeout=0.01)
    assert (await limiter.snapshot()).remaining == 0


async def test_who_waits_while_redis_is_away_is_admitted_when_it_is_back(
    own_server: PrivateServer, own_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.resilience.rate_limit.redis._REST_S", 0.01)
    told: list[Event] = []
    limiter = RedisTokenBucket(
        own_client,
        "k",
        limit=5,
        period_s=LONG_S,
        unreachable="refuse",
        answer_s_max=10,
        on_event=told.append,
    )
    own_server.kill()
    tasks = await waiters(limiter, 1, 1)
    while not told:
        await asyncio.sleep(0)
    own_server.start()
    await asyncio.gather(*tasks)
    assert [type(event) for event in told] == [StoreUnreachable, StoreReachable]


async def test_a_redis_that_hangs_holds_nobody_up_for_longer_than_was_set(
    own_server: PrivateServer, own_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    limiter = RedisTokenBucket(
        own_client, "k", limit=1, period_s=LONG_S, answer_s_max=0.05, on_event=told.append
    )
    await own_client.ping()
    own_server.freeze()
    begun_s = monotonic()
    await limiter.acquire()
    # The next ones do not even ask.
    await asyncio.gather(*(limiter.acquire() for _ in range(100)))
    assert monotonic() - begun_s < 10
    own_server.thaw()
    monkeypatch.setattr("plait.resilience.rate_limit.redis._REST_S", 0.01)
    # The answer that came too late is nobody's: the next question gets its own.
    while not isinstance(told[-1], StoreReachable):
        await limiter.try_acquire()
    while await limiter.try_acquire():
        await asyncio.sleep(0)
    assert (await limiter.snapshot()).remaining == 0


async def test_who_runs_out_of_time_before_the_answer_does_not_stop_the_next(
    own_server: PrivateServer, own_client: Any
) -> None:
    limiter = RedisTokenBucket(own_client, "k", limit=10, period_s=LONG_S, answer_s_max=30)
    await limiter.acquire(8)
    own_server.freeze()
    heavy = asyncio.create_task(limiter.acquire_or_wait(5, timeout=0.01))
    light = asyncio.create_task(limiter.acquire_or_wait(2))
    await asyncio.wait((heavy, light), timeout=0.05)
    own_server.thaw()
    with pytest.raises(RateLimited):
        await heavy
    await light


@pytest.mark.parametrize("turns", range(1, 12))
async def test_the_question_of_a_caller_who_has_gone_leaves_no_connection(
    server: PrivateServer, turns: int
) -> None:
    client = Redis(port=server.port)
    settings: dict[str, Any] = {"limit": 10, "period_s": LONG_S, "answer_s_max": 30}
    limiters = KeyedRedisRateLimiter[str](
        lambda user: RedisTokenBucket(client, f"gone:{user}", **settings)
    )
    caller = asyncio.create_task(limiters.acquire("ann"))
    for _ in range(turns):
        await asyncio.sleep(0)
    await cancelled(caller)
    await limiters.aclose()
    await client.aclose()
    # Nothing is left that could connect once more, now or later.
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_an_unknown_choice_is_named(client: Any) -> None:
    with pytest.raises(
        ValueError, match="unreachable is 'maybe': give 'admit' or 'refuse'"
    ):
        RedisTokenBucket(client, "k", limit=1, period_s=1, unreachable="maybe")  # type: ignore[arg-type]


# -- one limit per key -----------------------------------------------------------------


async def test_each_key_has_a_limit_that_is_shared_and_bounded_here(client: Any) -> None:
    def of(user: str) -> RedisTokenBucket:
        key = f"user:{user}"
        return RedisTokenBucket(client, key, limit=1, period_s=LONG_S, answer_s_max=30)

    here = KeyedRedisRateLimiter(of, keys_max=2)
    elsewhere = KeyedRedisRateLimiter(of)
    assert await here.try_acquire("ann")
    assert not await elsewhere.try_acquire("ann")
    with pytest.raises(RateLimited, match="rate limit 'user:ann'"):
        await elsewhere.acquire("ann")
    for number in range(10):
        await here.acquire(f"user-{number}")
    assert len(here) <= 2
    # It was forgotten here; what it has used is in Redis.
    assert (await here.snapshot("ann")).remaining == 0
    waiting = [asyncio.create_task(here.acquire_or_wait("ann")) for _ in range(2)]
    other = asyncio.create_task(here.acquire_or_wait("user-1"))
    while (await here.snapshot("ann")).waiting + (
        await here.snapshot("user-1")
    ).waiting < 3:
        await asyncio.sleep(0)
    assert not await here.try_acquire("new")
    with pytest.raises(RateLimited, match="2 keys are limited already"):
        await here.acquire("new")
    await cancelled(*waiting, other)
    while not await here.try_acquire("new"):
        await asyncio.sleep(0)
