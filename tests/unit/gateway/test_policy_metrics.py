"""What `/metrics` tells of policies: each of them that a call stood under."""

from __future__ import annotations

from plait.gateway.policy_metrics import PolicyMetrics
from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply
from tests.unit.drivers.policies import bench, step

ALL = """\
retry: {max_attempts: 2, delay: 1ms}
cache: {ttl: 1m}
hedge: {after: 1s}
circuit_breaker: {failure_threshold: 5}
rate_limit: {limit: 100, per: 1s}
bulkhead: {max_concurrency: 20}
"""
BATCH = """\
name: w
mode: express
steps:
  - id: get
    type: http
    request: {url: http://service/x, params: {ids: ["${input.id}"]}}
    batch: {over: params.ids, by: id}
"""


async def test_each_policy_around_a_call_has_metrics() -> None:
    async with Upstream(reply(json=[{"id": 1}])) as service, bench(service) as process:
        await process.run(step(ALL))
        await process.run(BATCH, id="1")
        found = {
            (one.name, one.labels["policy"], one.labels.get("outcome", ""))
            for family in PolicyMetrics(process.calls.snapshot).collect()
            for one in family.samples
            if "policy" in one.labels
        }
    assert {policy for _, policy, _ in found} == {
        *("retry_budget", "cache", "batch", "hedge"),
        *("circuit_breaker", "rate_limit", "bulkhead"),
    }
    calls = "plait_policy_calls_total"
    assert {
        (calls, "cache", "misses"),
        (calls, "batch", "lookups"),
        (calls, "hedge", "won"),
        (calls, "retry_budget", "refused"),
        (calls, "circuit_breaker", "refused"),
        (calls, "rate_limit", "admitted"),
        (calls, "bulkhead", "admitted"),
    } <= found
