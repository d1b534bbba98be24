"""The graph of a plan and its JSON form."""

from __future__ import annotations

from typing import Any

import orjson

from plait.compile.draw import (
    draw_dot,
    draw_json,
    draw_mermaid,
    draw_svg,
    graph_json,
    graph_of,
)
from tests.unit.compile.plans import call, parallel, plan_of, route, sequence, wait


def drawn(*steps: dict[str, Any], **document: Any) -> Any:
    return graph_json(graph_of(plan_of(*steps, **document)))


def test_nodes_and_edges_name_steps_by_path_and_edges_say_why() -> None:
    found = drawn(call("user"), call("offers", "user", depends_on=["user"]))
    assert [node["id"] for node in found["nodes"]] == ["user", "offers"]
    assert found["edges"] == [
        {
            "from": "user",
            "to": "offers",
            "kind": "reads",
            "reasons": [
                {
                    "step": "user",
                    "why": "reads",
                    "read": "user.response.id",
                    "where": "request.params.user",
                }
            ],
        }
    ]


def test_several_reads_of_one_step_are_one_edge() -> None:
    step = call("b", "a", condition="${a.response.ok}")
    (edge,) = drawn(call("a"), step)["edges"]
    assert [reason["where"] for reason in edge["reasons"]] == [
        "condition",
        "request.params.a",
    ]


def test_waits_that_no_read_causes_have_their_own_kind() -> None:
    edges = drawn(call("a"), call("b", depends_on=["a"]))["edges"]
    assert edges[0]["kind"] == "depends_on"
    edges = drawn(call("a"), call("b"), order="sequence")["edges"]
    assert edges[0]["kind"] == "order"


def test_steps_inside_a_step_stand_in_its_groups() -> None:
    inner = sequence("s", call("x"), call("y"))
    optional = call("o", fallback=call("instead"))
    found = drawn(parallel("p", [call("a")], [inner]), optional)
    groups = {node["id"]: node["group"] for node in found["nodes"]}
    assert groups == {
        "p": None,
        "p[b0]/a": "p[b0]",
        "p[b1]/s": "p[b1]",
        "p[b1]/s/x": "p[b1]/s",
        "p[b1]/s/y": "p[b1]/s",
        "o": None,
        "o.fallback/instead": "o.fallback",
    }
    keys = ("id", "step", "is_fallback")
    assert [tuple(group[key] for key in keys) for group in found["groups"]] == [
        ("p[b0]", "p", False),
        ("p[b1]", "p", False),
        ("p[b1]/s", "p[b1]/s", False),
        ("o.fallback", "o", True),
    ]
    assert {"from": "p[b1]/s/x", "to": "p[b1]/s/y"}.items() <= found["edges"][0].items()


def test_condition_and_settings_are_noted_in_few_words() -> None:
    settings: dict[str, Any] = {
        "condition": "${input.a  ==\n 1}",
        "retry": {"max_attempts": 3},
        "timeout": "2s",
        "attempt_timeout": "500ms",
        "on_error": "continue",
        "fallback": [1],
    }
    (node,) = drawn(call("a", **settings))["nodes"]
    assert node["condition"] == "input.a == 1"
    assert node["notes"] == ["3 attempts", "500ms each", "2s", "fallback value", "optional"]


def test_a_call_that_is_made_once_says_so() -> None:
    step = call(
        "a",
        idempotency_key={"key": "a", "once_for": "24h"},
        bulkhead={"max_concurrency": 4},
    )
    assert drawn(step)["nodes"][0]["notes"] == ["once in 1d", "4 at once"]
    assert "once in 1d, 4 at once" in draw_mermaid(graph_of(plan_of(step)))


def test_policies_are_noted_behind_the_rest_and_drawn_on_a_line_of_their_own() -> None:
    settings: dict[str, Any] = {
        "timeout": "2s",
        "cache": {"ttl": "1m"},
        "hedge": {"after": "p95"},
        "circuit_breaker": {},
        "rate_limit": {"limit": 5, "per": "1s"},
        "bulkhead": {"max_concurrency": 4},
    }
    step = call("a", effect="read", **settings)
    graph = graph_of(plan_of(step))
    policies = ["cached 1m", "hedged after p95", "breaker", "5 per 1s", "4 at once"]
    assert drawn(step)["nodes"][0]["notes"] == ["2s", *policies]
    line = ", ".join(policies)
    assert f"<br/>2s<br/>{line}" in draw_mermaid(graph)
    assert f"2s\\n{line}" in draw_dot(graph)
    picture = draw_svg(graph)
    assert ">cached 1m · hedged after p95 · breaker · " in picture


def test_waits_joins_disabled_steps_and_constant_conditions_are_noted() -> None:
    found = drawn(
        wait("w", "5m"),
        wait("t", "${input.pause}"),
        parallel("p", [call("x")], [call("y")], join="any"),
        call("d", disabled=True, condition=False),
    )
    notes = {node["id"]: node["notes"] for node in found["nodes"]}
    assert (notes["w"], notes["t"], notes["p"]) == (["5m"], ["for input.pause"], ["1 of 2"])
    assert (notes["d"], found["nodes"][-1]["condition"]) == (["disabled"], "false")


def test_the_title_tells_where_the_workflow_answers() -> None:
    endpoint = {"method": "POST", "path": "/orders/{id}"}
    assert drawn(call("a"), endpoint=endpoint)["title"] == "example: POST /orders/{id}"
    assert drawn(call("a"))["title"] == "example"


def test_the_text_is_the_json_of_the_graph() -> None:
    graph = graph_of(plan_of(call("a"), call("b", "a")))
    assert orjson.loads(draw_json(graph)) == graph_json(graph)


def test_handovers_of_a_route_are_edges_between_the_groups_of_its_handlers() -> None:
    following = {
        "triage": ["billing", "sales"],
        "billing": ["triage", "sales"],
        "sales": [],
    }
    found = drawn(route("case", following))
    edges = [one for one in found["edges"] if one["kind"] == "handover"]
    assert [(one["from"], one["to"]) for one in edges] == [
        ("case[triage]", "case[billing]"),
        ("case[triage]", "case[sales]"),
        ("case[billing]", "case[triage]"),
        ("case[billing]", "case[sales]"),
    ]
    groups = {one["id"] for one in found["groups"]}
    assert all({one["from"], one["to"]} <= groups for one in edges)
    assert all(reason["why"] == "handover" for one in edges for reason in one["reasons"])
    assert [bool(one["reasons"][0].get("where")) for one in edges] == [True, False] * 2
