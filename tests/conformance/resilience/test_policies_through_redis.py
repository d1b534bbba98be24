"""Policies of calls that several processes share through a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from plait.drivers.policies import redis as redis_policies
from plait.model.json import JsonValue
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import after, in_turn, reply
from tests.conformance.journal.servers import PrivateServer
from tests.unit.drivers.policies import Bench, bench, plan_of, said_by, step

WAIT_S = 10
OK = reply(json={"ok": True})
DOWN = reply(503)
BREAKER = "circuit_breaker: {failure_threshold: 2, open_time: 1h}"


@asynccontextmanager
async def two(
    server: PrivateServer, service: Upstream, answer: str = f"{WAIT_S}s"
) -> AsyncIterator[tuple[Bench, Bench]]:
    """Give two processes on one Redis, and wait for it also on a busy machine."""
    url = f"redis://127.0.0.1:{server.port}/0"
    shared = {"redis": url, "redis_timeout": answer}
    secrets = {"token": "s3cr3t-token"}
    async with (
        bench(service, secrets=secrets, resilience=shared) as one,
        bench(service, secrets=secrets, resilience=shared) as other,
    ):
        yield one, other


def code_of(result: Any) -> str | None:
    return None if result.failure is None else result.failure.code


async def until_failed(client: Any, count: int) -> None:
    """Return when Redis knows of so many failures: it is told in the background."""
    async with asyncio.timeout(WAIT_S):
        while True:
            keys = [
                key for key in await client.keys("plait:breaker:*") if b"window" not in key
            ]
            told = [await client.hget(key, "failed") for key in keys]
            if told == [b"%d" % count]:
                return


async def test_one_breaker_for_all_processes(
    client: Any, shared_redis: PrivateServer
) -> None:
    async with (
        Upstream(in_turn(DOWN, DOWN, OK)) as service,
        two(shared_redis, service) as (one, other),
    ):
        assert code_of(await one.run(step(BREAKER))) == "connector.http.503"
        await until_failed(client, 1)
        assert code_of(await other.run(step(BREAKER))) == "connector.http.503"
        await until_failed(client, 2)
        for process in (one, other):
            result = await process.run(step(BREAKER))
            assert code_of(result) == "resilience.circuit_open"
            assert result.failure is not None
            assert 0 < (result.failure.retry_after_ms or 0) <= 3_600_000
        assert len(service.requests) == 2


async def test_one_limit_for_all_processes(
    client: Any, shared_redis: PrivateServer
) -> None:
    limit = 'rate_limit: {limit: 3, per: 1h, queue_timeout: 0s, key: "${input.user}"}'
    async with Upstream(OK) as service, two(shared_redis, service) as (one, other):
        runs = [process.run(step(limit), user="ann") for process in (one, other) * 3]
        codes = [code_of(result) for result in await asyncio.gather(*runs)]
        assert codes.count(None) == 3
        assert codes.count("resilience.rate_limited") == 3
        assert code_of(await other.run(step(limit), user="bob")) is None
        keys = b" ".join(await client.keys("*"))
        assert b"ann" not in keys


@pytest.mark.parametrize(
    ("policy", "refused"),
    [
        (f"{BREAKER[:-1]}, name: api}}", "resilience.circuit_open"),
        (
            "rate_limit: {name: api, limit: 2, per: 1h, queue_timeout: 0s}",
            "resilience.rate_limited",
        ),
    ],
)
async def test_tenants_share_no_gate_through_redis(
    client: Any, shared_redis: PrivateServer, policy: str, refused: str
) -> None:
    async with Upstream(DOWN) as service, two(shared_redis, service) as (one, other):
        for count in (1, 2):
            result = await one.run(step(policy), tenant="acme")
            assert code_of(result) == "connector.http.503"
            if "breaker" in policy:
                await until_failed(client, count)
        assert code_of(await other.run(step(policy), tenant="acme")) == refused
        assert code_of(await other.run(step(policy), tenant="beta")) == "connector.http.503"
        assert code_of(await one.run(step(policy))) == "connector.http.503"
        assert b"acme" not in b" ".join(await client.keys("*"))


async def test_tenants_share_no_answer_through_redis(
    client: Any, shared_redis: PrivateServer
) -> None:
    text = step("cache: {ttl: 1h, name: rates, key: \"${'k'}\"}")
    script = in_turn(*(reply(json={"n": n}) for n in range(3)))
    async with Upstream(script) as service, two(shared_redis, service) as (one, other):
        found = []
        for tenant in ("acme", "beta", "default"):
            for process in (one, other):
                output: Any = (await process.run(text, tenant=tenant)).output
                found.append(output["get"]["n"])
        assert found == [0, 0, 1, 1, 2, 2]


async def test_who_waits_for_a_shared_limit_is_told_in_the_timeline(
    client: Any, shared_redis: PrivateServer
) -> None:
    limit = "rate_limit: {limit: 1, per: 300ms}"
    plan_of(step(limit))
    async with Upstream(OK) as service, two(shared_redis, service) as (one, other):
        await one.run(step(limit))
        (note,) = said_by(await other.run(step(limit)))
        assert (note["policy"], note["waited_ms"] >= 10) == ("rate_limit", True)


async def test_answers_are_shared_with_the_secrets_masked(
    client: Any, shared_redis: PrivateServer
) -> None:
    count = 0

    async def script(peer: Peer, request: Request) -> None:
        nonlocal count
        count += 1
        said: JsonValue = {"n": count, "you": request.headers["authorization"]}
        await reply(json=said)(peer, request)

    text = step("cache: {ttl: 1h}").replace(
        "/x}", '/x, headers: {authorization: "Bearer ${secrets.token}"}}'
    )
    async with Upstream(script) as service, two(shared_redis, service) as (one, other):
        first: Any = (await one.run(text)).output
        result = await other.run(text)
        second: Any = result.output
        assert (first["get"]["n"], second["get"]["n"]) == (1, 1)
        assert second["get"]["you"] == "Bearer ***"
        assert said_by(result)[0]["did"] == "hit"
        for key in await client.keys("plait:cache:*"):
            assert b"s3cr3t-token" not in await client.get(key)


ONCE = 'idempotency_key: {key: "pay-${input.order}"}'


async def test_processes_make_one_call_under_a_key(
    client: Any, shared_redis: PrivateServer
) -> None:
    answered = asyncio.Event()
    said: JsonValue = {"you": "Bearer s3cr3t-token"}
    async with (
        Upstream(after(answered, reply(json=said))) as service,
        two(shared_redis, service) as (one, other),
    ):
        both = [process.run(step(ONCE), order="o-1") for process in (one, other)]
        running = [asyncio.create_task(run) for run in both]
        await service.until_requests(1)
        answered.set()
        results = await asyncio.gather(*running)
        later = await other.run(step(ONCE), order="o-1")
        assert [code_of(result) for result in (*results, later)] == [None] * 3
        assert len(service.requests) == 1
        dids = [note["did"] for result in results for note in said_by(result)]
        assert dids == ["replayed"]
        kept = await client.keys("plait:idempotency:*")
        assert len(kept) == 1
        assert b"o-1" not in kept[0]
        assert b"s3cr3t-token" not in await client.hget(kept[0], "data")


async def test_a_process_whose_call_failed_leaves_the_key_to_others(
    client: Any, shared_redis: PrivateServer
) -> None:
    async with (
        Upstream(in_turn(DOWN, OK)) as service,
        two(shared_redis, service) as (one, other),
    ):
        assert code_of(await one.run(step(ONCE), order=1)) == "connector.http.503"
        assert not await client.keys("plait:idempotency:*")
        assert code_of(await other.run(step(ONCE), order=1)) is None


async def test_what_is_made_once_waits_for_a_slow_redis_where_others_go_through(
    client: Any, shared_redis: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_policies, "_ONCE_ANSWER_S", WAIT_S)
    async with (
        Upstream(OK) as service,
        two(shared_redis, service, answer="1ms") as (process, _),
    ):
        await client.client_pause(WAIT_S * 1_000, all=False)
        once = asyncio.create_task(process.run(step(ONCE), order=1))
        assert code_of(await process.run(step(BREAKER))) is None
        assert process.told("circuit_breaker")["unanswered"] == 1
        assert not once.done()
        await client.client_unpause()
        assert code_of(await once) is None
        assert len(service.requests) == 2


async def test_without_redis_nothing_is_made_that_is_to_be_made_once() -> None:
    nobody = {"resilience": {"redis": "redis://127.0.0.1:1/0"}}
    async with Upstream(OK) as service, bench(service, **nobody) as process:
        result = await process.run(step(ONCE), order=1)
        assert code_of(result) == "resilience.idempotency_unavailable"
        assert result.failure is not None
        assert not result.failure.sent
        assert not service.requests


async def test_without_redis_calls_go_through() -> None:
    policies = (
        "circuit_breaker: {failure_threshold: 1, open_time: 1h}\n"
        "rate_limit: {limit: 1, per: 1h, queue_timeout: 0s}\n"
        "cache: {ttl: 1h}"
    )
    nobody = {"resilience": {"redis": "redis://127.0.0.1:1/0"}}
    async with Upstream(OK) as service, bench(service, **nobody) as process:
        codes = [code_of(await process.run(step(policies))) for _ in range(3)]
        assert codes == [None] * 3
        assert len(service.requests) == 3
        assert process.told("circuit_breaker")["unanswered"] == 1
        assert process.told("cache", "answers")["store_failures"] >= 1
