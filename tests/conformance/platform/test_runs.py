"""Endpoints' plans, run in another process: sent once, and results come back whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from plait.drivers.inline import InlineDriver, Result, Start
from plait.drivers.journal import Start as DurableStart
from plait.kernel import Kernel
from plait.model.caller import Caller
from plait.model.errors import PlaitError
from plait.model.failure import Failure
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.services.engine import EngineServicer
from plait.services.plans import Plans
from plait.services.remote import Link, RemoteDriver, RemoteRuns
from plait.services.results import message_of, result_of
from plait.services.v1.engine_pb2 import RunPlanRequest, RunReply
from plait.services.wire import Asked
from tests.conformance.platform.platforms import (
    SUM,
    WAITING,
    FakeAgent,
    linked,
    local,
    plan_of,
    served,
)

# All that a result can hold: an answer, a retry, a failure passed over, a step skipped.
RICH: Any = {
    "name": "rich",
    "mode": "express",
    "endpoint": {
        "method": "GET",
        "path": "/x",
        "partial": True,
        "headers": {"x-a": "${a.response}"},
    },
    "steps": [
        {"id": "a", "type": "http", "request": {"url": "http://a/"}},
        {
            "id": "b",
            "type": "http",
            "request": {"url": "http://b/"},
            "on_error": "continue",
            "retry": {"max_attempts": 2, "delay": "1ms", "jitter": 0},
            "effect": "read",
        },
        {"id": "c", "type": "set", "value": 1, "condition": "${input.wants}"},
    ],
    "output": {"a": "${a.response}", "b": "${b.status}"},
}
OUTER: Any = {
    "name": "outer",
    "mode": "express",
    "steps": [
        {"id": "inner", "type": "workflow", "request": {"name": "sum", "input": "${input}"}}
    ],
    "output": "${inner.response}",
}


class _Answered:
    """Answers steps at once: `a` well, `b` never."""

    def start(self, call: Call, done: Done) -> CallHandle:
        """See plait.ports.calls."""
        outcome: Any = CallReply(7, {"status_code": 200, "headers": {}}, notes=("cached",))
        if call.step == "b":
            outcome = Failure("connector.http.503", "gone", {"status_code": 503})
        asyncio.get_running_loop().call_soon(done, outcome)
        return self

    def cancel(self) -> None:
        """See plait.ports.calls.CallHandle."""

    async def close(self) -> None:
        """See plait.ports.calls."""


async def rich() -> tuple[Result, Plan]:
    """Return a result that holds a bit of everything."""
    plan = plan_of(RICH)
    driver = InlineDriver(_Answered(), secrets={"key": "hunter2"})
    return await driver.run(Kernel(plan), Start("x1", {"wants": False})), plan


async def test_a_result_is_the_same_on_the_other_side() -> None:
    result, plan = await rich()
    data = message_of(result, wants_names=True).SerializeToString()
    back = result_of(RunReply.FromString(data), plan)
    assert (back.execution_id, back.status, back.output) == (
        "x1",
        "completed",
        result.output,
    )
    assert back.passed_over == result.passed_over
    assert back.passed_over is not None
    assert back.passed_over.place == plan.scope.nodes[1].place
    assert back.trace == result.trace
    assert back.trace.as_json() == result.trace.as_json()
    assert back.trace.steps["a"].notes == {1: ["cached"]}
    assert result.state.root is not None
    assert back.state.root is not None
    there = {k: v for k, v in result.state.root.names.items() if k != "secrets"}
    assert back.state.root.names == there


async def test_no_secret_leaves_with_a_result() -> None:
    result, _ = await rich()
    assert b"hunter2" not in message_of(result, wants_names=True).SerializeToString()


async def test_names_travel_only_where_somebody_reads_them() -> None:
    result, plan = await rich()
    message = message_of(result, wants_names=False)
    assert message.names == b""
    assert result_of(message, plan).state.root is None


class _Noting(EngineServicer):
    """Notes how many plans came with each request."""

    def __init__(self, inner: EngineServicer) -> None:
        self._inner = inner
        self.plan_counts: list[int] = []

    async def execute(self, asked: Asked, request: Any) -> Any:
        """Pass it on."""
        return await self._inner.execute(asked, request)

    async def run_plan(self, asked: Asked, request: Any) -> Any:
        """Note it, and pass it on."""
        self.plan_counts.append(len(request.plans))
        return await self._inner.run_plan(asked, request)


@asynccontextmanager
async def noted() -> AsyncIterator[tuple[_Noting, Link]]:
    """Yield an engine on a socket that notes what it was sent, and a link to it."""
    async with local() as own:
        inner = own.servicers(FakeAgent())["engine"]
        assert isinstance(inner, EngineServicer)
        noting = _Noting(inner)
        async with (
            served({"engine": noting}) as address,
            linked("engine", address) as link,
        ):
            yield noting, link


async def test_a_plan_is_sent_when_the_engine_asks_and_never_again() -> None:
    plan = plan_of(SUM)
    async with noted() as (noting, link):
        driver = RemoteDriver(link, lambda _: [plan], wait_ms=10_000)
        for number in range(3):
            result = await driver.run(Kernel(plan), Start(f"x{number}", {"a": number}))
            assert (result.execution_id, result.output) == (f"x{number}", number + 1)
    assert noting.plan_counts == [0, 1, 0, 0]


async def test_workflows_that_a_plan_runs_as_steps_go_with_it() -> None:
    plans = [plan_of(OUTER), plan_of(SUM)]
    async with noted() as (noting, link):
        driver = RemoteDriver(link, lambda _: plans, wait_ms=10_000)
        result = await driver.run(Kernel(plans[0]), Start("x1", {"a": 1}))
        assert result.output == 2
        # Another version is served by now: the engine runs that one.
        changed = {**SUM, "output": "${total.response * 100}"}
        plans[1] = plan_of(changed)
        result = await driver.run(Kernel(plans[0]), Start("x2", {"a": 1}))
        assert result.output == 200
    assert noting.plan_counts == [0, 2, 0, 1]


async def test_many_plans_are_sent_some_at_a_time() -> None:
    some = [plan_of({**SUM, "name": f"sum{number}"}) for number in range(20)]
    plans = [plan_of(OUTER), plan_of(SUM), *some]
    async with noted() as (noting, link):
        driver = RemoteDriver(link, lambda _: plans, wait_ms=10_000)
        result = await driver.run(Kernel(plans[0]), Start("x1", {"a": 1}))
        assert result.output == 2
    assert noting.plan_counts == [0, 8, 8, 6]


async def test_only_the_gateway_runs_plans() -> None:
    with pytest.raises(PlaitError, match="operator"):
        Plans().of(Caller("user:vi", role="viewer"), RunPlanRequest(plan_hash="x"))


async def test_a_plan_is_known_by_its_own_hash_only() -> None:
    with pytest.raises(PlaitError) as caught:
        Plans().of(
            Caller("service:gateway", role="operator"),
            RunPlanRequest(plan_hash="sha256:other", plans=[b'{"format":1,"plan":{}}']),
        )
    assert caught.value.code == "plan.refused"


async def test_a_durable_start_lasts_in_the_runtime_for_its_tenant() -> None:
    plan = plan_of(WAITING)
    async with local() as own:
        async with (
            served(own.servicers(FakeAgent())) as address,
            linked("runtime", address) as link,
        ):
            runs = RemoteRuns(link)
            start = DurableStart("x1", {"a": 1}, key="k", tenant="shop")
            for _ in range(2):
                told = await runs.start(plan, start, 1, is_promotable=False)
                assert told == "x1"
        there = await (await own.keeper.kept()).store.read("x1")
        assert there.summary.new.tenant == "shop"


async def test_what_ends_within_the_wait_comes_back_whole() -> None:
    plan = plan_of(SUM)
    async with (
        local() as own,
        served(own.servicers(FakeAgent())) as address,
        linked("runtime", address) as link,
    ):
        start = DurableStart("x1", {"a": 1})
        result = await RemoteRuns(link).start(plan, start, 10_000, is_promotable=True)
    assert isinstance(result, Result)
    assert (result.status, result.output) == ("completed", 2)
    assert [*result.trace.steps] == ["total"]
