"""What is found wrong with policies of calls, each at its place; what the plan keeps."""

from __future__ import annotations

import pytest

from plait.assembly import compose
from plait.compile import CompileErrors, compile_text
from plait.plan import (
    BreakerPolicy,
    BulkheadPolicy,
    CachePolicy,
    OncePolicy,
    Plan,
    Policies,
    RateLimitPolicy,
    RetryBudget,
    dump_plan,
    load_plan,
)
from tests.unit.compile.reading import lines_of_steps


def lines(policy: str) -> list[str]:
    return lines_of_steps(f"- {{id: s, type: ask, request: {{}}, {policy}}}")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("circuit_breaker: {failure_threshold: 0}", "'failure_threshold': should be"),
        ("circuit_breaker: {failure_threshold: -1}", "'failure_threshold': should be"),
        ("circuit_breaker: {failure_threshold: null}", "the breaker would never open"),
        ("circuit_breaker: {failure_rate: 1.5}", "a share, above 0 and at most 1"),
        ("circuit_breaker: {failure_rate: 0}", "a share, above 0 and at most 1"),
        ("circuit_breaker: {slow_rate: 0.5}", "a slow_rate needs a slow_call"),
        ("circuit_breaker: {open_time: 0s}", "a millisecond or more"),
        ("circuit_breaker: {open_time: 30}", "a duration is text"),
        ("circuit_breaker: {failure_rate: 0.5, window_calls: 5}", "would never count"),
        ("circuit_breaker: {on: [nope]}", "'nope' is no status"),
        ("circuit_breaker: {on: []}", "an empty list matches nothing"),
        ("circuit_breaker: {name: 'a b'}", "'a b' does not fit"),
        ("circuit_breaker: {failures: 3}", "D101 unknown key 'failures'"),
        ("circuit_breaker: 3", "should be a mapping"),
        ("rate_limit: {limit: 0, per: 1s}", "'limit': should be greater"),
        ("rate_limit: {limit: -5, per: 1s}", "'limit': should be greater"),
        ("rate_limit: {limit: 5}", "missing key 'per'"),
        ("rate_limit: {limit: 5, per: 0s}", "a millisecond or more"),
        ("rate_limit: {limit: 5, per: 1s, strategy: bucket}", "'strategy': should be"),
        (
            "rate_limit: {limit: 5, per: 1s, strategy: fixed_windows}",
            "did you mean 'fixed_window'?",
        ),
        (
            "rate_limit: {limit: 5, per: 1s, strategy: fixed_window, burst: 9}",
            "a fixed_window has no burst",
        ),
        ("rate_limit: {limit: 5, per: 1s, weight: 6}", "would never be let through"),
        ("rate_limit: {limit: 5, per: 1s, key: '${nobody.x}'}", "P001"),
        ("cache: {}", "missing key 'ttl'"),
        ("cache: {ttl: 0s}", "a millisecond or more"),
        ("cache: {ttl: 5}", "a duration is text"),
        ("cache: {ttl: 5s, stale_if_error: -1s}", "'stale_if_error': "),
        ("idempotency_key: {}", "missing key 'key'"),
        ("idempotency_key: {key: ''}", "'key': should have at least 1 character"),
        ("idempotency_key: {key: 5}", "'key': should be text"),
        ("idempotency_key: {key: '${[1]}'}", "P017 'key' reads nothing"),
        ("idempotency_key: {key: '${nobody.x}'}", "P001"),
        ("idempotency_key: {key: a, once_for: -1s}", "'once_for': '-1s' is not a duration"),
        ("idempotency_key: {key: a, once_for: 0s}", "a millisecond or more"),
        ("idempotency_key: {key: a, ttl: 1h}", "D101 unknown key 'ttl'"),
        ("idempotency_key: ''", "should have at least 1 character"),
        ("idempotency_key: [a]", "'idempotency_key': should be text"),
        ("batch: {}", "missing key 'over'"),
        ("batch: {over: ids}", "P028 there is no list at 'ids' in the request"),
        ("batch: {over: ids, max_size: 0}", "'max_size': should be greater"),
        ("batch: {over: ids, max_delay: 0s}", "a millisecond or more"),
        ("batch: {over: 'a b'}", "write keys with dots between them"),
        ("bulkhead: {}", "missing key 'max_concurrency'"),
        ("bulkhead: {max_concurrency: 0}", "'max_concurrency': should be greater"),
        ("bulkhead: {max_concurrency: 1, max_queue: -1}", "'max_queue': should be greater"),
        ("retry: {budget: {ratio: 0}}", "a share, above 0 and at most 1"),
        ("retry: {budget: {min_retries: -1}}", "'min_retries': should be greater"),
        ("retry: {backoff: random, delay: 1m}", "max_delay, 30000 ms: give a max_delay"),
        ("retry: {backoff: random, delay: 2s, max_delay: 1s}", "delay, 2000 ms, and max"),
        ("retry: {budget: {window: 0s}}", "a millisecond or more"),
    ],
)
def test_a_policy_that_can_never_work(policy: str, expected: str) -> None:
    (line,) = lines(policy)
    assert expected in line
    assert line.startswith("3:")


@pytest.mark.parametrize(
    "key", ["cache", "batch", "circuit_breaker", "rate_limit", "bulkhead"]
)
def test_p023_only_calls_have_an_upstream(key: str) -> None:
    settings = {
        "circuit_breaker": "{}",
        "cache": "{ttl: 1s}",
        "batch": "{over: ids}",
        "rate_limit": "{limit: 1, per: 1s}",
        "bulkhead": "{max_concurrency: 1}",
    }[key]
    assert lines_of_steps(f"- {{id: s, type: set, value: 1, {key}: {settings}}}") == [
        f"3:32: P023 '{key}' protects an upstream, and 'set' steps call none "
        "(give it to the calls inside, or to all under `defaults`)"
    ]
    child = f"- {{id: s, type: workflow, request: {{name: x}}, {key}: {settings}}}"
    assert "P023" in lines_of_steps(child)[0]


@pytest.mark.parametrize("kind", ["set, value: 1", "workflow, request: {name: x}"])
def test_p023_only_calls_are_made_once(kind: str) -> None:
    (line, *_) = lines_of_steps(f"- {{id: s, type: {kind}, idempotency_key: {{key: a}}}}")
    name = kind.split(",")[0]
    text = f"P023 nothing is called once here: '{name}' steps call no upstream"
    assert text in line
    assert lines_of_steps("- {id: s, type: set, value: 1, idempotency_key: a}") == []


def test_a_key_that_is_used_once_names_its_step_by_ids() -> None:
    text = """\
name: w
steps:
  - id: both
    type: parallel
    branches:
      left:
        steps:
          - {id: pay, type: http, request: {url: http://h/x}, idempotency_key: {key: a}}
"""
    plan = plan_of(text)
    assert load_plan(dump_plan(plan)) == plan
    (node,) = plan.scope.nodes[0].scopes["left"].nodes
    assert node.idempotency_key is not None
    said = Policies(once=OncePolicy(86_400_000, "w/steps/both/branches/left/steps/pay"))
    assert node.policies == said


def test_p023_a_budget_is_of_an_upstream() -> None:
    group = "type: sequence, retry: {budget: null}, steps: [{id: v, type: set, value: 1}]"
    (line,) = lines_of_steps(f"- {{id: s, {group}}}")
    assert line.startswith("3:35: P023 a budget is of an upstream, and 'sequence' steps")


@pytest.mark.parametrize("more", ["method: POST", "method: '${input.method}'"])
def test_p026_only_what_reads_is_cached(more: str) -> None:
    text = (
        "name: w\nsteps:\n  - id: a\n    type: http\n    cache: {ttl: 5s}\n"
        f"    request: {{{more}, url: http://h/x}}\n"
    )
    with pytest.raises(CompileErrors) as raised:
        plan_of(text)
    (found,) = raised.value.diagnostics
    assert found.render("").startswith(":5:5: P026 'a' may change something")
    said = plan_of(f"{text}    effect: read\n").scope.nodes[0].policies
    assert said is not None
    assert said.cache == CachePolicy(5_000, scope="w/steps/0")


def test_a_default_cache_is_for_those_calls_that_read() -> None:
    text = """\
name: w
defaults: {cache: {ttl: 5s}}
steps:
  - {id: a, type: http, request: {url: http://h/a}}
  - {id: b, type: http, request: {method: POST, url: http://h/b}}
"""
    assert [node.policies is not None for node in plan_of(text).scope.nodes] == [
        True,
        False,
    ]


def test_p024_one_name_has_one_meaning() -> None:
    text = NAMED.replace("name: shop}", "name: shop, burst: 3}")
    with pytest.raises(CompileErrors) as raised:
        plan_of(text)
    assert [one.render("") for one in raised.value.diagnostics] == [
        ":10:17: P024 rate_limit 'shop' has another 'burst' in line 6 "
        "(one name, one policy: give both the same settings, or another name)"
    ]


def plan_of(text: str) -> Plan:
    return compile_text(text.encode(), name="w.yaml", catalog=compose.catalog()).plan


NAMED = """\
name: w
steps:
  - id: a
    type: http
    request: {url: http://h/a}
    rate_limit: {limit: 5, per: 1s, name: shop, weight: 2, key: "${input.user}"}
  - id: b
    type: http
    request: {url: http://h/b}
    rate_limit: {limit: 5, per: 1s, name: shop}
"""


def test_the_plan_keeps_what_the_document_says() -> None:
    text = """\
name: w
defaults:
  circuit_breaker: {failure_threshold: 7, slow_call: 2s, on: [5xx, timeout]}
steps:
  - id: a
    type: http
    request: {url: http://h/a}
    bulkhead: {max_concurrency: 3, max_queue: 4, queue_timeout: 1s}
    retry: {budget: {ratio: 0.5}}
  - {id: b, type: http, request: {url: http://h/b}, circuit_breaker: null}
"""
    plan = plan_of(text)
    first, second = plan.scope.nodes
    breaker = BreakerPolicy(failure_threshold=7, slow_call_ms=2_000, on=("5xx", "timeout"))
    bulkhead = BulkheadPolicy(3, queue_max=4, queue_ms=1_000)
    assert first.policies == Policies(circuit_breaker=breaker, bulkhead=bulkhead)
    assert first.retry is not None
    assert first.retry.budget == RetryBudget(ratio=0.5)
    assert second.policies is None
    assert dump_plan(load_plan(dump_plan(plan))) == dump_plan(plan)


def test_steps_of_one_name_may_differ_in_what_is_their_own() -> None:
    limits = [
        node.policies.rate_limit for node in plan_of(NAMED).scope.nodes if node.policies
    ]
    assert [one.weight for one in limits if one] == [2, 1]
    assert isinstance(limits[0], RateLimitPolicy)
    assert limits[0].key is not None
