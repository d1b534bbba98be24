"""Calls under policies keep the contract of the Calls port, on both event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from itertools import count

import pytest

from plait.connectors.http import HttpCalls
from plait.connectors.http.upstream import upstream_of
from plait.drivers.policies import PolicedCalls
from plait.kernel import CallPolicies
from plait.model.json import JsonValue
from plait.plan import (
    BreakerPolicy,
    BulkheadPolicy,
    CachePolicy,
    OncePolicy,
    Policies,
    RateLimitPolicy,
    RetryBudget,
    RetryPolicy,
)
from plait.ports.calls import Call
from plait.testing.calls_suite import CallsSuite, LoopFactory, Stage
from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import raw_then_hang, reply
from tests.unit.connectors.http.test_contract import HttpStage, echo_body
from tests.unit.connectors.scenes import LOOPS

GATES = Policies(
    circuit_breaker=BreakerPolicy(failure_threshold=1_000),
    rate_limit=RateLimitPolicy(1_000, 1_000),
    bulkhead=BulkheadPolicy(1_000),
)
RETRY = RetryPolicy(3, 1, "fixed", 2.0, 1, 0.0, None, None, RetryBudget())


class PolicedStage(HttpStage):
    """The same upstream; every call is under policies."""

    def __init__(self, upstream: Upstream, policies: Policies) -> None:
        super().__init__(upstream)
        self._policies = policies
        self._numbers = count()
        self.calls = PolicedCalls(HttpCalls(), lambda call: upstream_of(call.request))  # type: ignore[assignment]

    def answered(self, value: JsonValue) -> Call:
        return self._policed(super().answered(value))

    def refused(self) -> Call:
        return self._policed(super().refused())

    def unanswered(self, *, timeout_ms: int) -> Call:
        return self._policed(super().unanswered(timeout_ms=timeout_ms))

    def _policed(self, call: Call) -> Call:
        asked = CallPolicies(self._policies, {}, RETRY, None)
        key = call.idempotency_key
        if self._policies.once is not None:
            key = f"key-{next(self._numbers)}"
        return replace(call, policies=asked, idempotency_key=key)


@asynccontextmanager
async def stage(policies: Policies) -> AsyncIterator[Stage]:
    async with Upstream() as upstream:
        upstream.on("/echo", echo_body).on("/refused", reply(503))
        upstream.on("/hang", raw_then_hang())
        on_stage = PolicedStage(upstream, policies)
        yield on_stage
        await on_stage.calls.close()


class TestCallsThroughGates(CallsSuite):
    policies = GATES

    @pytest.fixture(params=list(LOOPS))
    def loop_factory(self, request: pytest.FixtureRequest) -> LoopFactory:
        return LOOPS[request.param]

    def stage(self) -> AbstractAsyncContextManager[Stage]:
        return stage(self.policies)


class TestCachedCalls(TestCallsThroughGates):
    policies = replace(GATES, cache=CachePolicy(1))


class TestCallsMadeOnce(TestCallsThroughGates):
    """Each call has a key of its own."""

    policies = replace(GATES, once=OncePolicy(60_000, "w/step"))


class TestCallsInLine(TestCallsThroughGates):
    """A place for one at a time: all but the first wait."""

    policies = replace(GATES, bulkhead=BulkheadPolicy(1, queue_max=1_000))
