"""What policies share, they share within a tenant, and among documents of one trust."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from plait.drivers.inline import Result
from plait.gateway.policy_metrics import PolicyMetrics
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import after, in_turn, reply
from tests.unit.drivers.policies import bench, plan_of, step, turns

WAIT_S = 10
FORBIDDEN = "connector.forbidden_address"
CACHES = (
    "cache: {ttl: 1h}",
    "cache: {ttl: 1h, key: \"${'rates'}\"}",
    "cache: {ttl: 1h, name: rates, key: \"${'rates'}\"}",
)
ONCE = "idempotency_key: {key: \"${'o-1'}\"}"
BATCH = "batch: {over: params.ids, results: users, max_size: 2, max_delay: 20ms}"


class Counting:
    """Answers with how many requests have come."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self, peer: Peer, request: Request) -> None:
        self.count += 1
        await reply(json={"n": self.count})(peer, request)


def call(url: str, policy: str) -> str:
    return (
        "name: price\nmode: express\nsteps:\n"
        f"  - {{id: get, type: http, request: {{url: {url}}}, {policy}}}\n"
    )


def number(result: Result) -> Any:
    output: Any = result.output
    return output["get"]["n"]


def code(result: Result) -> str | None:
    return None if result.failure is None else result.failure.code


# -- answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("policy", CACHES)
async def test_no_tenant_is_given_what_another_was_answered(policy: str) -> None:
    async with Upstream(Counting()) as service, bench(service) as process:
        text = call("http://service/x", policy)
        tenants = ("acme", "beta", "default") * 2
        numbers = [number(await process.run(text, tenant=one)) for one in tenants]
        assert numbers == [1, 2, 3, 1, 2, 3]


async def test_tenants_do_not_wait_for_each_others_calls() -> None:
    answered = asyncio.Event()
    script = after(answered, reply(json={"n": 1}))
    async with Upstream(script) as service, bench(service) as process:
        text = call("http://service/x", CACHES[2])
        plan_of(text)
        runs = [process.run(text, tenant=one) for one in ("acme", "beta", "acme")]
        tasks = [asyncio.create_task(run) for run in runs]
        async with asyncio.timeout(WAIT_S):
            await service.until_requests(2)
        await turns()
        assert len(service.requests) == 2
        answered.set()
        await asyncio.gather(*tasks)


async def test_lookups_of_two_tenants_do_not_go_together() -> None:
    async with Upstream(reply(json={"users": []})) as service, bench(service) as process:
        text = call('http://service/x, params: {ids: ["${input.id}"]}', BATCH)
        plan_of(text)
        given = enumerate(("acme", "beta", "acme"))
        runs = [process.run(text, tenant=one, id=str(n)) for n, one in given]
        results = await asyncio.gather(*runs)
        assert [code(one) for one in results] == [None] * 3
        assert sorted(one.target for one in service.requests) == [
            "/x?ids=0&ids=2",
            "/x?ids=1",
        ]


@pytest.mark.parametrize("policy", [*CACHES, ONCE])
async def test_what_the_operators_words_were_answered_is_not_for_a_document_of_the_api(
    policy: str,
) -> None:
    async with Upstream(Counting()) as private, bench() as process:
        text = call(private.url("/private"), policy)
        assert number(await process.run(text)) == 1
        theirs = await process.run(text, over_the_api=True)
        assert (code(theirs), theirs.output) == (FORBIDDEN, None)
        assert number(await process.run(text)) == 1


async def test_a_lookup_of_the_api_does_not_ride_along_with_the_operators() -> None:
    async with Upstream(reply(json={"users": []})) as private, bench() as process:
        url = f'{private.url("/x")}, params: {{ids: ["${{input.id}}"]}}'
        text = call(url, BATCH)
        plan_of(text)
        own, theirs = await asyncio.gather(
            process.run(text, id="1"), process.run(text, over_the_api=True, id="2")
        )
        assert (code(own), code(theirs)) == (None, FORBIDDEN)
        assert [one.target for one in private.requests] == ["/x?ids=1"]


# -- gates -------------------------------------------------------------------------------

DOWN = reply(503)
SHUT = "resilience.circuit_open"
GATES = {
    "rate_limit: {limit: 1, per: 1h, queue_timeout: 0s}": "resilience.rate_limited",
    "rate_limit: {name: api, limit: 1, per: 1h, queue_timeout: 0s}": (
        "resilience.rate_limited"
    ),
    "rate_limit: {limit: 1, per: 1h, queue_timeout: 0s, key: \"${'k'}\"}": (
        "resilience.rate_limited"
    ),
    "circuit_breaker: {failure_threshold: 1, open_time: 1h}": SHUT,
    "circuit_breaker: {name: api, failure_threshold: 1, open_time: 1h}": SHUT,
}


@pytest.mark.parametrize("policy", GATES)
async def test_no_tenant_uses_up_or_shuts_what_another_goes_through(policy: str) -> None:
    async with Upstream(DOWN) as service, bench(service) as process:
        tenants = ("acme", "acme", "beta", "default", "beta")
        codes = [code(await process.run(step(policy), tenant=one)) for one in tenants]
        down, refused = "connector.http.503", GATES[policy]
        assert codes == [down, refused, down, down, refused]


async def test_a_bulkhead_that_one_tenant_fills_has_room_for_another() -> None:
    answered = asyncio.Event()
    text = step("bulkhead: {name: api, max_concurrency: 1, max_queue: 0}")
    script = after(answered, reply(json=1))
    async with Upstream(script) as service, bench(service) as process:
        first = asyncio.create_task(process.run(text, tenant="acme"))
        await service.until_requests(1)
        refused = await process.run(text, tenant="acme")
        theirs = asyncio.create_task(process.run(text, tenant="beta"))
        async with asyncio.timeout(WAIT_S):
            await service.until_requests(2)
        answered.set()
        results = [await first, refused, await theirs]
        assert [code(one) for one in results] == [None, "resilience.bulkhead_full", None]


async def test_no_tenant_spends_the_retries_of_another() -> None:
    retried = step("retry: {max_attempts: 12, delay: 1ms}")
    async with Upstream(DOWN) as service, bench(service) as process:
        made = [0]
        for tenant in ("acme", "acme", "acme", "beta"):
            await process.run(retried, tenant=tenant)
            made.append(len(service.requests))
        counts = [after - before for before, after in pairwise(made)]
        assert counts[2] == 1  # its retries are used up
        assert counts[3] == counts[0] > 2


async def test_metrics_name_no_tenant_and_tell_of_the_breaker_that_is_open() -> None:
    policies = (
        "hedge: {after: 1s}\nretry: {max_attempts: 2, delay: 1ms}\n"
        "circuit_breaker: {failure_threshold: 2, open_time: 1h}\n"
        "rate_limit: {limit: 100, per: 1s}\nbulkhead: {max_concurrency: 20}"
    )
    script = in_turn(DOWN, DOWN, reply(json=1))
    async with Upstream(script) as service, bench(service) as process:
        for tenant in ("acme", "beta"):
            await process.run(step(policies), tenant=tenant)
        told = process.told("circuit_breaker")
        assert (told["state"], told["count"], told["failed"]) == ("open", 2, 2)
        found = [
            one
            for family in PolicyMetrics(process.calls.snapshot).collect()
            for one in family.samples
        ]
        assert all(isinstance(one.value, (int, float)) for one in found)
        assert {one.labels["name"] for one in found} == {"http://service:80"}
        names = [(one.name, *one.labels.values()) for one in found]
        assert len(names) == len({*names})
