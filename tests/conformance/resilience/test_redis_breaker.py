"""The breaker of several processes: the same machine and model, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from itertools import count
from typing import Any, TypeVar

import pytest
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisGone

from plait.resilience import (
    BreakerSettings,
    BreakerSnapshot,
    BreakerState,
    BreakerStateChanged,
    CircuitOpen,
)
from plait.resilience.redis_breaker import RedisBreakerRegistry, RedisCircuitBreaker
from tests.conformance.journal.servers import PrivateServer, redis
from tests.unit.resilience.breaker_model import BreakerMachine, Rig
from tests.unit.resilience.clocks import HandClock

T = TypeVar("T")
NAMES = (f"upstream-{number}" for number in count())


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateServer]:
    with redis(appendonly="no", appendfsync="no") as running:
        yield running


@pytest.fixture
async def client(server: PrivateServer) -> AsyncIterator[Redis]:
    async with Redis(port=server.port) as connected:
        yield connected


def breaker_of(client: Redis, clock: Any = None, **given: Any) -> RedisCircuitBreaker:
    """Return a breaker nobody has used yet, or another of `name`."""
    made = {"name": next(NAMES), "clock": clock, **given}
    settings = made.pop("settings", BreakerSettings(failure_threshold=1))
    return RedisCircuitBreaker(client, settings, **made)


async def fail() -> str:
    raise ConnectionError("down")


class RedisRig:
    """A shared breaker, driven from outside of any loop; each verb by another process."""

    def __init__(
        self, runner: asyncio.Runner, processes: list[RedisCircuitBreaker]
    ) -> None:
        self.runner, self.processes = runner, processes

    def do(self, verb: str, *arguments: Any) -> Any:
        self.processes.append(self.processes.pop(0))
        done = self.run(getattr(self.processes[0], verb)(*arguments))
        assert self.processes[0].unanswered == 0
        return done

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def acquire(self) -> int:
        return int(self.do("try_acquire"))

    def succeed(self, permit: int, duration_s: float) -> None:
        self.do("succeeded", permit, duration_s)

    def fail(self, permit: int, duration_s: float) -> None:
        self.do("failed", permit, duration_s)

    def abandon(self, permit: int) -> None:
        self.do("abandoned", permit)

    def by_hand(self, verb: str) -> None:
        self.do(verb)

    def snapshot(self) -> BreakerSnapshot:
        found: BreakerSnapshot = self.do("snapshot")
        return found


def test_a_shared_breaker_does_what_the_model_does(server: PrivateServer) -> None:
    with asyncio.Runner() as runner:
        clients = [Redis(port=server.port) for _ in range(2)]

        class Machine(BreakerMachine):
            def rig_of(self, settings: BreakerSettings, clock: HandClock) -> Rig:
                name = next(NAMES)
                processes = [
                    breaker_of(one, clock, name=name, settings=settings) for one in clients
                ]
                return RedisRig(runner, processes)

        # Not shrunk: each step goes to the server, and a failure would take minutes.
        phases = [Phase.generate]
        few = hypothesis_settings(max_examples=40, stateful_step_count=40, phases=phases)
        run_state_machine_as_test(Machine, settings=few)
        for one in clients:
            runner.run(one.aclose())


async def test_what_one_process_sees_fail_is_refused_to_another(
    client: Redis, server: PrivateServer
) -> None:
    told: list[BreakerStateChanged] = []
    first = breaker_of(client, on_event=told.append)
    with pytest.raises(ConnectionError):
        await first.call(fail)
    assert [(event.before, event.after, event.reason) for event in told] == [
        (BreakerState.CLOSED, BreakerState.OPEN, "failures")
    ]
    async with Redis(port=server.port, decode_responses=True) as other:
        second = breaker_of(other, name=first.name)
        with pytest.raises(CircuitOpen, match="is open for another") as caught:
            await second.call(fail)
        assert 29 < (caught.value.retry_after or 0) < 30
        assert (await second.snapshot()).refused == 1
        await second.reset()
    assert (await first.snapshot()).state is BreakerState.CLOSED


async def test_a_hundred_failures_at_the_same_time_are_a_hundred_failures(
    client: Redis, server: PrivateServer
) -> None:
    settings = BreakerSettings(failure_threshold=101)
    first = breaker_of(client, settings=settings)
    async with Redis(port=server.port) as other:
        second = breaker_of(other, settings=settings, name=first.name)
        calls = [one.call(fail) for one in (first, second) for _ in range(50)]
        await asyncio.gather(*calls, return_exceptions=True)
        assert (await first.snapshot()).consecutive_failures == 100
        with pytest.raises(ConnectionError):
            await second.call(fail)
    assert (await first.snapshot()).state is BreakerState.OPEN


async def test_processes_together_let_no_more_through_than_allowed(
    client: Redis, server: PrivateServer
) -> None:
    clock = HandClock()
    settings = BreakerSettings(
        failure_threshold=1, max_half_open_calls=2, success_threshold=999
    )
    first = breaker_of(client, clock, settings=settings)
    await first.failed(await first.try_acquire())
    clock.advance(30)
    running = most = 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await client.ping()
        running -= 1

    async with Redis(port=server.port) as other:
        second = breaker_of(other, clock, settings=settings, name=first.name)
        calls = [one.call(work) for one in (first, second) for _ in range(50)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert most == 2
    assert {type(end) for end in ends} == {CircuitOpen, type(None)}


async def test_a_cancelled_caller_gives_back_what_it_was_being_granted(
    client: Redis,
) -> None:
    clock = HandClock()
    breaker = breaker_of(client, clock)
    await breaker.failed(await breaker.try_acquire())
    clock.advance(30)
    for turns in range(40):
        task = asyncio.create_task(breaker.call(asyncio.Event().wait))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await breaker.aclose()
        assert (await breaker.snapshot()).half_open_calls == 0


async def test_without_redis_calls_go_through_uncounted_or_not_at_all() -> None:
    with redis(appendonly="no", appendfsync="no") as server:
        client = Redis(port=server.port, retry=Retry(NoBackoff(), 0))
        through = breaker_of(client, name="payments")
        refused = breaker_of(client, name="payments", fail_open=False)
        assert await through.call(asyncio.sleep, 0, "done") == "done"
        server.kill()
        assert await through.call(asyncio.sleep, 0, "done") == "done"
        assert through.unanswered == 1
        with pytest.raises(CircuitOpen, match="Redis does not tell"):
            await refused.call(asyncio.sleep, 0)
        with pytest.raises(RedisGone):
            await through.open()
        await client.aclose()


async def test_what_is_not_asked_for_long_is_forgotten_unless_opened_by_hand(
    client: Redis,
) -> None:
    breaker = breaker_of(client)
    await breaker.succeeded(await breaker.try_acquire())
    key = f"plait:breaker:{{{breaker.name}}}"
    assert 3_500 < await client.ttl(key) <= 3_600
    await breaker.open()
    assert await client.ttl(key) == -1
    await breaker.close()
    assert 3_500 < await client.ttl(key) <= 3_600


async def test_a_fallback_answers_what_is_refused(client: Redis) -> None:
    breaker = breaker_of(client, fallback=lambda refusal: refusal.code)
    await breaker.open()
    assert await breaker.call(fail) == "resilience.circuit_open"


async def test_registries_of_two_processes_share_each_breaker(client: Redis) -> None:
    settings = BreakerSettings(failure_threshold=1)
    here, there = (RedisBreakerRegistry(client, settings) for _ in range(2))
    name = next(NAMES)
    with pytest.raises(ConnectionError):
        await here.get(name).call(fail)
    with pytest.raises(CircuitOpen):
        await there.get(name).call(fail)
    assert here.get(name) is here.get(name)


def test_a_breaker_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="name is empty"):
        RedisCircuitBreaker(Redis(), name="")
