"""Hedged calls, in express mode: real upstreams, the real client."""

from __future__ import annotations

import asyncio

import pytest

from plait.testing.upstream import Peer, Request, Script, Upstream
from plait.testing.upstream_scripts import after, in_turn, reply
from tests.unit.drivers.policies import bench, step
from tests.unit.drivers.test_policies import attempts_of, code_of

HEDGE = "hedge: {after: 30ms, share: 1}"
SLOW_S = 20
OK = reply(json={"by": 1})
SECOND = reply(json={"by": 2})


def late(after_s: float, script: Script) -> Script:
    """Answer by `script` so much later."""

    async def answer(peer: Peer, request: Request) -> None:
        is_time = asyncio.Event()
        asyncio.get_running_loop().call_later(after_s, is_time.set)
        await after(is_time, script)(peer, request)

    return answer


class Hangs:
    """Answers nothing until its client leaves, and tells when it has left."""

    def __init__(self) -> None:
        self.is_left = asyncio.Event()

    async def __call__(self, peer: Peer, request: Request) -> None:
        del request
        await peer.gone()
        self.is_left.set()


async def test_a_call_that_answers_in_time_is_made_once() -> None:
    async with Upstream(OK) as service, bench(service) as process:
        result = await process.run(step("hedge: {after: 5s}"))
        assert result.output == {"get": {"by": 1}}
        assert len(service.requests) == 1
        assert "policies" not in attempts_of(result)[0]


async def test_the_second_answers_for_a_slow_first_which_is_cancelled() -> None:
    hangs = Hangs()
    async with Upstream(in_turn(hangs, SECOND)) as service, bench(service) as process:
        result = await process.run(step(HEDGE))
        assert result.output == {"get": {"by": 2}}
        await asyncio.wait_for(hangs.is_left.wait(), 10)
        (attempt,) = attempts_of(result)
        note = {"policy": "hedge", "calls": 2, "answered": 2}
        assert attempt["policies"] == [note]
        told = process.told("hedge")
        assert (told["hedged"], told["won"], told["refused"]) == (1, 1, 0)


async def test_a_first_that_fails_late_leaves_the_answer_to_the_second() -> None:
    script = in_turn(late(0.2, reply(503)), late(0.5, SECOND))
    async with Upstream(script) as service, bench(service) as process:
        result = await process.run(step(HEDGE))
        assert result.output == {"get": {"by": 2}}


async def test_a_first_that_fails_early_is_for_the_retry() -> None:
    script = in_turn(reply(503), OK)
    policies = "hedge: {after: 5s}\nretry: {max_attempts: 2, delay: 1ms}"
    async with Upstream(script) as service, bench(service) as process:
        result = await process.run(step(policies))
        assert result.output == {"get": {"by": 1}}
        assert len(attempts_of(result)) == 2
        assert process.told("hedge")["hedged"] == 0


async def test_when_both_fail_the_failure_tells_of_both() -> None:
    script = in_turn(late(0.5, reply(503)), reply(500))
    async with Upstream(script) as service, bench(service) as process:
        result = await process.run(step(HEDGE))
        assert code_of(result) == "connector.http.500"
        (attempt,) = attempts_of(result)
        assert attempt["policies"][-1]["answered"] is None


async def test_a_hedge_that_is_refused_does_not_hide_what_the_upstream_says() -> None:
    policies = (
        f"{HEDGE}\nbulkhead: {{max_concurrency: 1}}\nretry: {{max_attempts: 3, delay: 1ms}}"
    )
    async with Upstream(late(0.2, reply(404))) as service, bench(service) as process:
        result = await process.run(step(policies))
        assert code_of(result) == "connector.http.404"
        assert len(service.requests) == 1


async def test_both_calls_have_the_time_of_one_attempt() -> None:
    async with Upstream(Hangs()) as service, bench(service) as process:
        result = await process.run(step(f"{HEDGE}\nattempt_timeout: 1s"))
        assert code_of(result) == "connector.timeout"
        (attempt,) = attempts_of(result)
        assert attempt["ended_ms"] - attempt["started_ms"] < 5_000
        assert len(service.requests) == 2


async def test_each_call_takes_a_place_of_the_bulkhead() -> None:
    hangs = Hangs()
    policies = f"{HEDGE}\nbulkhead: {{max_concurrency: 1}}\nattempt_timeout: 200ms"
    async with Upstream(hangs) as service, bench(service) as process:
        result = await process.run(step(policies))
        assert result.failure is not None
        assert len(service.requests) == 1
        assert process.told("bulkhead")["running"] == 0


async def test_hedges_are_no_more_than_their_share() -> None:
    async with Upstream(late(0.1, OK)) as service, bench(service) as process:
        text = step("hedge: {after: 20ms, share: 0.1}")
        await asyncio.gather(*(process.run(text) for _ in range(30)))
        told = process.told("hedge")
        assert 1 <= told["hedged"] <= 4
        assert len(service.requests) == 30 + told["hedged"]


@pytest.mark.parametrize("at_s", [0.01, 0.1])
async def test_giving_up_cancels_all_calls(at_s: float) -> None:
    hangs = Hangs()
    async with Upstream(hangs) as service, bench(service) as process:
        task = asyncio.create_task(process.run(step(HEDGE)))
        await asyncio.sleep(0)
        await asyncio.wait([task], timeout=at_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
