"""Policies around calls, in express mode: real upstreams, the real client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.drivers.inline import Result
from plait.drivers.policies import Shared
from plait.kernel import CallPolicies
from plait.plan import BulkheadPolicy, Policies
from plait.resilience import RateLimited
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import after, in_turn, reply
from tests.unit.drivers.policies import bench, plan_of, step

WAIT_S = 10
OK = reply(json={"ok": True})
DOWN = reply(503)
BREAKER = "circuit_breaker: {failure_threshold: 2, open_time: 1h}"


def code_of(result: Result) -> str | None:
    return None if result.failure is None else result.failure.code


def attempts_of(result: Result, name: str = "get") -> list[dict[str, Any]]:
    (line,) = [line for line in result.trace.as_json() if line["step"] == name]
    attempts: Any = line["attempts"]
    return list(attempts)


def codes_of(result: Result) -> list[str | None]:
    return [one["error"]["code"] if "error" in one else None for one in attempts_of(result)]


# -- circuit breaker ---------------------------------------------------------------------


async def test_a_breaker_opens_after_failures_and_calls_nobody() -> None:
    async with Upstream(DOWN) as service, bench(service) as process:
        codes = [code_of(await process.run(step(BREAKER))) for _ in range(4)]
        assert codes == ["connector.http.503"] * 2 + ["resilience.circuit_open"] * 2
        assert len(service.requests) == 2
        told = process.told("circuit_breaker")
        assert (told["state"], told["failed"], told["refused"]) == ("open", 2, 2)


async def test_a_retry_waits_as_long_as_the_breaker_is_open() -> None:
    script = in_turn(DOWN, DOWN, OK)
    policies = (
        "circuit_breaker: {failure_threshold: 2, open_time: 60ms}\n"
        "retry: {max_attempts: 5, delay: 1ms}"
    )
    async with Upstream(script) as service, bench(service) as process:
        result = await process.run(step(policies))
        down, refused = "connector.http.503", "resilience.circuit_open"
        assert codes_of(result) == [down, down, refused, None]
        last, _, probe = attempts_of(result)[1:]
        # Open for 3 ms less than advised: timers fire early.
        assert probe["started_ms"] - last["ended_ms"] >= 56
        assert process.told("circuit_breaker")["state"] == "closed"


async def test_workflows_share_the_breaker_of_an_upstream_and_no_other() -> None:
    async with (
        Upstream(DOWN) as service,
        Upstream(OK) as other,
        bench(service, other) as process,
    ):
        for _ in range(2):
            await process.run(step(BREAKER))
        elsewhere = step(BREAKER).replace("name: w", "name: another")
        assert code_of(await process.run(elsewhere)) == "resilience.circuit_open"
        assert code_of(await process.run(step(BREAKER, host="service2"))) is None


async def test_a_named_breaker_is_of_all_upstreams_that_name_it() -> None:
    named = "circuit_breaker: {failure_threshold: 2, open_time: 1h, name: shop}"
    async with (
        Upstream(DOWN) as service,
        Upstream(OK) as other,
        bench(service, other) as process,
    ):
        for _ in range(2):
            await process.run(step(named))
        result = await process.run(step(named, host="service2"))
        assert code_of(result) == "resilience.circuit_open"
        assert not other.requests


@pytest.mark.parametrize(
    ("status", "on", "opens"),
    [
        (404, "", False),
        (429, "", True),
        (404, ", on: [404]", True),
        (503, ", on: 500", False),
    ],
)
async def test_what_counts_as_a_failure(status: int, on: str, opens: bool) -> None:
    policy = f"circuit_breaker: {{failure_threshold: 1, open_time: 1h{on}}}"
    async with Upstream(reply(status)) as service, bench(service) as process:
        await process.run(step(policy))
        is_open = process.told("circuit_breaker")["state"] == "open"
        assert is_open is opens


async def test_a_request_that_cannot_be_sent_says_nothing_of_its_upstream() -> None:
    text = step(BREAKER).replace("/x}", '/x, headers: {a: "${input.a}"}}')
    async with Upstream(OK) as service, bench(service) as process:
        for _ in range(3):
            result = await process.run(text, a="two\nlines")
            assert code_of(result) == "connector.invalid_request"
        told = process.told("circuit_breaker")
        assert (told["state"], told["failed"], told["succeeded"]) == ("closed", 0, 0)


async def test_a_slow_call_is_a_failure() -> None:
    policy = "circuit_breaker: {failure_threshold: 1, slow_call: 30ms, open_time: 1h}"
    answered = asyncio.Event()
    async with Upstream(after(answered, OK)) as service, bench(service) as process:
        running = asyncio.create_task(process.run(step(policy)))
        await service.until_requests(1)
        asyncio.get_running_loop().call_later(0.04, answered.set)
        assert code_of(await running) is None
        told = process.told("circuit_breaker")
        assert (told["state"], told["slow"]) == ("open", 1)


async def test_a_default_breaker_protects_every_call() -> None:
    more = f"defaults:\n  {BREAKER}\n"
    async with Upstream(DOWN) as service, bench(service) as process:
        codes = [code_of(await process.run(step("", more=more))) for _ in range(3)]
        assert codes[-1] == "resilience.circuit_open"
        off = step("circuit_breaker: null", more=more)
        assert code_of(await process.run(off)) == "connector.http.503"


# -- rate limit --------------------------------------------------------------------------


async def test_a_limit_that_nobody_waits_for_refuses_at_once() -> None:
    limit = "rate_limit: {limit: 2, per: 1h, queue_timeout: 0s}"
    async with Upstream(OK) as service, bench(service) as process:
        results = [await process.run(step(limit)) for _ in range(3)]
        assert [code_of(one) for one in results] == [None, None, "resilience.rate_limited"]
        failure = results[-1].failure
        assert failure is not None
        assert not failure.sent
        assert 0 < (failure.retry_after_ms or 0) <= 1_800_000
        assert len(service.requests) == 2
        told = process.told("rate_limit")
        assert (told["admitted"], told["refused"]) == (2, 1)


async def test_who_waits_for_a_limit_says_how_long() -> None:
    limit = "rate_limit: {limit: 1, per: 100ms}"
    plan_of(step(limit))  # compiling would take from the wait
    async with Upstream(OK) as service, bench(service) as process:
        results = await asyncio.gather(*(process.run(step(limit)) for _ in range(3)))
        notes = [attempts_of(one)[0].get("policies") for one in results]
        assert notes[0] is None
        waits = [one[0]["waited_ms"] for one in notes[1:] if one]
        assert [one[0]["policy"] for one in notes[1:] if one] == ["rate_limit"] * 2
        assert 50 <= waits[0] <= waits[1] - 80
        assert process.told("rate_limit")["waited"] == 2


async def test_each_key_has_a_limit_of_its_own() -> None:
    limit = 'rate_limit: {limit: 1, per: 1h, queue_timeout: 0s, key: "${input.user}"}'
    async with Upstream(OK) as service, bench(service) as process:
        users = ("ann", "ann", "bob", 7, "7")
        codes = [code_of(await process.run(step(limit), user=user)) for user in users]
        assert codes == [None, "resilience.rate_limited", None, None, None]
        empty = await process.run(step(limit), user=None)
        assert code_of(empty) == "step.policy_key"
        assert process.told("rate_limit")["count"] == 4


async def test_calls_of_different_weight_share_a_limit() -> None:
    async with Upstream(OK) as service, bench(service) as process:
        heavy = "rate_limit: {limit: 3, per: 1h, queue_timeout: 0s, weight: 3}"
        assert code_of(await process.run(step(heavy))) is None
        light = "rate_limit: {limit: 3, per: 1h, queue_timeout: 0s}"
        assert code_of(await process.run(step(light))) == "resilience.rate_limited"


async def test_waiting_ends_with_the_time_of_all_attempts() -> None:
    limit = "rate_limit: {limit: 1, per: 1h, burst: 1, queue_timeout: 2h}\ntimeout: 1s"
    async with Upstream(OK) as service, bench(service) as process:
        first, second = [await process.run(step(limit)) for _ in range(2)]
        assert (code_of(first), code_of(second)) == (None, "step.timeout")
        assert len(service.requests) == 1
        assert process.told("rate_limit")["waiting"] == 0


async def test_a_wait_is_taken_off_the_time_of_the_call() -> None:
    limit = "rate_limit: {limit: 1, per: 1s}\ntimeout: 2s"
    never = asyncio.Event()
    async with (
        Upstream(in_turn(OK, after(never, OK))) as service,
        bench(service) as process,
    ):
        await process.run(step(limit))
        failure = (await process.run(step(limit))).failure
        assert failure is not None
        assert failure.code == "connector.timeout"
        assert " within " in failure.message
        assert "within 2s" not in failure.message


# -- bulkhead ----------------------------------------------------------------------------


async def test_a_bulkhead_bounds_the_calls_under_way() -> None:
    bulkhead = "bulkhead: {max_concurrency: 2, max_queue: 3, queue_timeout: 1h}"
    under_way, most = 0, 0
    two = asyncio.Event()

    async def script(peer: Peer, request: Request) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 2:
            two.set()
        await two.wait()
        under_way -= 1
        await OK(peer, request)

    async with Upstream(script) as service, bench(service) as process:
        results = await asyncio.gather(*(process.run(step(bulkhead)) for _ in range(6)))
        codes = [code_of(one) for one in results]
        assert codes == [None] * 5 + ["resilience.bulkhead_full"]
        assert most == 2
        told = process.told("bulkhead")
        assert (told["running"], told["waiting"], told["admitted"]) == (0, 0, 5)


async def test_who_leaves_gives_up_place_and_turn() -> None:
    bulkhead = "bulkhead: {max_concurrency: 1, max_queue: 1, queue_timeout: 1h}"
    never = asyncio.Event()
    script = in_turn(after(never, OK), OK)
    async with Upstream(script) as service, bench(service) as process:
        holder = asyncio.create_task(process.run(step(bulkhead)))
        await service.until_requests(1)
        waiter = asyncio.create_task(process.run(step(bulkhead)))
        while not process.told("bulkhead")["waiting"]:
            await asyncio.sleep(0)
        waiter.cancel()
        holder.cancel()
        await asyncio.gather(waiter, holder, return_exceptions=True)
        async with asyncio.timeout(WAIT_S):
            assert code_of(await process.run(step(bulkhead))) is None
        told = process.told("bulkhead")
        assert (told["running"], told["waiting"]) == (0, 0)


async def test_a_refusal_further_in_gives_back_what_was_taken_further_out() -> None:
    both = (
        "circuit_breaker: {failure_threshold: 1, open_time: 1h}\n"
        "bulkhead: {max_concurrency: 1}"
    )
    answered = asyncio.Event()
    async with Upstream(after(answered, OK)) as service, bench(service) as process:
        running = asyncio.create_task(process.run(step(both)))
        await service.until_requests(1)
        assert code_of(await process.run(step(both))) == "resilience.bulkhead_full"
        assert process.told("circuit_breaker")["state"] == "closed"
        answered.set()
        assert code_of(await running) is None


async def test_closing_sends_nobody_on_who_waits_in_line() -> None:
    bulkhead = "bulkhead: {max_concurrency: 1, max_queue: 1, queue_timeout: 50ms}"
    never = asyncio.Event()
    async with Upstream(after(never, OK)) as service, bench(service) as process:
        runs = [asyncio.create_task(process.run(step(bulkhead))) for _ in range(2)]
        await service.until_requests(1)
        while not process.told("bulkhead")["waiting"]:
            await asyncio.sleep(0)
        await process.calls.close()
        done, _ = await asyncio.wait(runs, timeout=0.2)
        assert not done
        for one in runs:
            one.cancel()


# -- retry budget ------------------------------------------------------------------------


async def test_retries_do_not_multiply_an_outage() -> None:
    retry = "retry: {max_attempts: 4, delay: 1ms}"
    async with Upstream(DOWN) as service, bench(service) as process:
        results = [await process.run(step(retry)) for _ in range(200)]
        assert {code_of(one) for one in results} == {"connector.http.503"}
        assert len(service.requests) <= 1.2 * 200
        assert len(service.requests) >= 1.1 * 200
        failure = results[-1].failure
        assert failure is not None
        assert (failure.details or {})["retry_budget"] == "used up"


async def test_a_failure_that_is_not_paid_for_is_not_retried_even_if_it_is_named() -> None:
    retry = (
        "retry: {max_attempts: 3, delay: 1ms, on: [any], "
        "budget: {ratio: 0.5, min_retries: 0}}"
    )
    async with Upstream(DOWN) as service, bench(service) as process:
        assert codes_of(await process.run(step(retry))) == ["connector.http.503"]
        assert len(codes_of(await process.run(step(retry)))) == 2
        assert len(service.requests) == 3


async def test_without_a_budget_all_attempts_are_made() -> None:
    retry = "retry: {max_attempts: 3, delay: 1ms, budget: null}"
    async with Upstream(DOWN) as service, bench(service) as process:
        for _ in range(20):
            await process.run(step(retry))
        assert len(service.requests) == 60


async def test_an_upstream_that_answers_again_may_be_retried_again() -> None:
    retry = "retry: {max_attempts: 2, delay: 1ms, budget: {min_retries: 1, ratio: 0.01}}"
    script = in_turn(DOWN, DOWN, DOWN, OK, DOWN)
    async with Upstream(script) as service, bench(service) as process:
        counts = [len(codes_of(await process.run(step(retry)))) for _ in range(4)]
        # One retry, none left; what is well pays for nothing, but forgets the outage.
        assert counts == [2, 1, 1, 1]
        assert process.told("retry_budget")["refused"] == 2


async def test_rounds_of_a_group_are_paid_for_as_well() -> None:
    text = """\
name: w
mode: express
steps:
  - id: group
    type: sequence
    retry: {max_attempts: 5, delay: 1ms, on: [any]}
    steps:
      - {id: get, type: http, request: {url: http://service/x}}
"""
    async with Upstream(DOWN) as service, bench(service) as process:
        results = [await process.run(text) for _ in range(20)]
        assert len(service.requests) <= 20 + 10
        assert code_of(results[-1]) == "resilience.retry_budget"


# -- bounds ------------------------------------------------------------------------------


def test_a_gate_in_use_is_not_dropped_for_another_and_an_idle_one_is() -> None:
    shared = Shared(gates_max=1)
    asked = CallPolicies(Policies(bulkhead=BulkheadPolicy(1)), {}, None, None)
    ((gate, given),) = shared.gates("http://a:80", "default", asked)
    token = gate.try_enter(given)
    with pytest.raises(RateLimited, match="in use already"):
        shared.gates("http://b:80", "default", asked)
    gate.leave(token, None)
    shared.gates("http://b:80", "default", asked)
    snapshot: Any = shared.snapshot()
    assert list(snapshot["bulkhead"]) == ["http://b:80"]
