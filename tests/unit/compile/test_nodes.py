"""What the compiler makes of a document: edges, settings, headers, places."""

from __future__ import annotations

from typing import Any

import pytest

from plait.plan import Node, Plan, RetryPolicy
from tests.simulation.asking import ask, give, plan_of, plan_with


def edges(plan: Plan) -> dict[str, list[str]]:
    """Return what each step of the outermost scope waits for."""
    nodes = plan.scope.nodes
    return {node.id: [nodes[dep].id for dep in node.deps] for node in nodes}


def only_node(**settings: Any) -> Node:
    return plan_with(ask("a", **settings)).scope.nodes[0]


def test_edges_come_from_reads_and_depends_on_each_once_in_document_order() -> None:
    plan = plan_with(
        give("a", 1),
        give("b", 1),
        give("c", ["${b.response}", "${a.response}", "${b.status}"], depends_on=["a"]),
    )
    assert edges(plan) == {"a": [], "b": [], "c": ["a", "b"]}
    assert [node.dependents for node in plan.scope.nodes] == [(2,), (2,), ()]
    assert [node.index for node in plan.scope.nodes] == [0, 1, 2]


def test_reads_of_nested_steps_are_edges_of_the_step_around_them() -> None:
    deep = {"id": "x", "type": "sequence", "steps": [give("y", "${a.response}")]}
    fan = {
        "id": "fan",
        "type": "parallel",
        "branches": {
            "l": {"steps": [deep]},
            "r": {"steps": [give("z", 1)], "output": "${b}"},
        },
    }
    plan = plan_with(fan, give("a", 1), give("b", 1), give("c", 1))
    assert edges(plan)["fan"] == ["a", "b"]


def test_reads_inside_a_fallback_step_are_edges_too() -> None:
    plan = plan_with(ask("b", fallback=ask("c", "${a.response}")), ask("a"))
    assert edges(plan)["b"] == ["a"]


def test_a_steps_output_reading_itself_is_no_edge() -> None:
    plan = plan_with(ask("a", output="${a.response.id}"))
    assert edges(plan) == {"a": []}


def test_names_bound_by_an_expression_are_no_reads() -> None:
    plan = plan_with(give("x", [1]), give("y", "${[1, 2].map(x, x + 1)}"))
    assert edges(plan)["y"] == []


def test_a_sequence_has_no_edges_at_all() -> None:
    plan = plan_with(give("a", 1), give("b", "${a.response}"), order="sequence")
    assert edges(plan) == {"a": [], "b": []}
    assert plan.scope.order == "sequence"


def test_a_retry_is_compiled_with_its_defaults() -> None:
    assert only_node(retry={}).retry == RetryPolicy(
        3, 100, "fixed", 2.0, 30_000, 0.0, None, None
    )
    assert only_node().retry is None


def test_retry_words_are_texts_and_an_expression_is_a_template() -> None:
    words = only_node(retry={"on": [503, "connect", "5xx"]}).retry
    assert words is not None
    assert (words.on, words.when) == (("503", "connect", "5xx"), None)
    when = only_node(retry={"on": "${error.code == 'x'}"}).retry
    assert when is not None
    assert when.on is None
    assert when.when is not None


@pytest.mark.parametrize(
    ("settings", "timeout_ms", "attempt_timeout_ms", "continues"),
    [
        ({}, 1_000, 200, True),
        ({"timeout": "5s"}, 5_000, 200, True),
        ({"attempt_timeout": "5s"}, 1_000, 5_000, True),
        ({"timeout": None, "on_error": "fail"}, None, 200, False),
    ],
)
def test_a_step_takes_the_defaults_that_it_does_not_give_itself(
    settings: Any, timeout_ms: int | None, attempt_timeout_ms: int, continues: bool
) -> None:
    defaults = {"timeout": "1s", "attempt_timeout": "200ms", "on_error": "continue"}
    node = plan_with(ask("a", **settings), defaults=defaults).scope.nodes[0]
    assert node.timeout_ms == timeout_ms
    assert node.attempt_timeout_ms == attempt_timeout_ms
    assert node.continue_on_error is continues


def test_defaults_reach_calls_in_nested_scopes_and_fallbacks() -> None:
    inner = {"id": "s", "type": "sequence", "steps": [ask("x", fallback=ask("y"))]}
    (outer,) = plan_with(inner, defaults={"timeout": "1s"}).scope.nodes
    (node,) = outer.scopes["steps"].nodes
    assert node.fallback_scope is not None
    found = (outer.timeout_ms, node.timeout_ms, node.fallback_scope.nodes[0].timeout_ms)
    assert found == (None, 1_000, 1_000)


def test_every_node_knows_its_place() -> None:
    inner = {"id": "s", "type": "sequence", "steps": [give("x", 1)]}
    (outer,) = plan_with(inner).scope.nodes
    pointers = [outer.place.pointer, outer.scopes["steps"].nodes[0].place.pointer]
    assert pointers == ["/steps/0", "/steps/0/steps/0"]
    assert outer.place.line == 1


def test_the_roots_that_any_template_reads_are_known() -> None:
    plan = plan_with(
        ask("a", "${secrets.k}", condition="${input.x}"),
        give("b", "${trigger}", fallback="${error.code}"),
        output="${execution.id}${a.response}",
    )
    assert plan.roots == ("a", "error", "execution", "input", "secrets", "trigger")


def test_a_plan_keeps_what_the_document_says_of_itself() -> None:
    document = {"version": 1.5, "description": "d", "mode": "express", "timeout": "1m"}
    plan = plan_of({**document, "input": True, "steps": [give("a", 1)]})
    found = (plan.name, plan.version, plan.description, plan.mode, plan.timeout_ms)
    assert found == ("test", "1.5", "d", "express", 60_000)
    assert plan.input_schema is True


def test_an_endpoint_is_compiled_with_its_templates_and_times() -> None:
    endpoint = {
        "method": "PUT",
        "path": "/a/{b}",
        "status": {"503": 500, "${error.code == 'x'}": 418, "timeout": 504},
        "headers": {"X": "${a.response}"},
        "cache": {"ttl": "5s", "stale_while_revalidate": "1m"},
    }
    plan = plan_with(give("a", 1), endpoint=endpoint)
    assert plan.endpoint is not None
    assert (plan.endpoint.method, plan.endpoint.path) == ("PUT", "/a/{b}")
    assert (plan.endpoint.cache_ms, plan.endpoint.stale_ms) == (5_000, 60_000)
    matches = [match for match, _ in plan.endpoint.status]
    assert (matches[0], matches[2]) == ("503", "timeout")
    assert [status for _, status in plan.endpoint.status] == [500, 418, 504]
    assert plan.endpoint.headers is not None


def test_a_plain_cache_time_has_no_stale_one() -> None:
    plan = plan_with(give("a", 1), endpoint={"path": "/", "cache": "5s"})
    assert plan.endpoint is not None
    assert (plan.endpoint.cache_ms, plan.endpoint.stale_ms) == (5_000, 0)
