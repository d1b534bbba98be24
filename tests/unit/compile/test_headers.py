"""Which response headers a plan asks for: those that some template reads, no others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plait.compile import CompileErrors, compile_text
from plait.connectors.http.step import HttpStep
from plait.document import Catalog
from plait.plan import Plan

CATALOG = Catalog([HttpStep])


def http(step_id: str, **settings: Any) -> dict[str, Any]:
    request = {"url": "http://users/x"}
    return {"id": step_id, "type": "http", "request": request, **settings}


def plan_of(*steps: Any, **document: Any) -> Plan:
    text = json.dumps({"name": "t", "steps": list(steps), **document}).encode()
    return compile_text(text, name="t.json", catalog=CATALOG).plan


def read(expression: str) -> tuple[str, ...]:
    plan = plan_of(http("a"), output=expression)
    return plan.scope.nodes[0].headers_read


@pytest.mark.parametrize(
    ("expression", "headers"),
    [
        ("${a.response}", ()),
        ("${a.headers.etag}", ("etag",)),
        ("${a.headers['x-total']} ${a.headers.age}", ("age", "x-total")),
        ("${a.headers}", ("*",)),
        ("${a.headers.etag} ${a.headers}", ("*",)),
        ("${a}", ("*",)),
    ],
)
def test_a_step_reports_the_headers_that_are_read(
    expression: str, headers: tuple[str, ...]
) -> None:
    assert read(expression) == headers


def test_headers_read_by_the_endpoint_or_an_inner_step_count_too() -> None:
    inner = {
        "id": "s",
        "type": "sequence",
        "steps": [http("x"), {"id": "y", "type": "set", "value": "${x.headers.etag}"}],
    }
    endpoint = {"path": "/", "headers": {"Age": "${a.headers.age}"}}
    plan = plan_of(http("a"), inner, endpoint=endpoint)
    assert plan.scope.nodes[0].headers_read == ("age",)
    assert plan.scope.nodes[1].scopes["steps"].nodes[0].headers_read == ("etag",)


def test_a_step_reading_its_own_headers_in_its_output_counts() -> None:
    plan = plan_of(http("a", output="${a.headers.etag}"))
    assert plan.scope.nodes[0].headers_read == ("etag",)


def test_headers_of_a_fallback_step_count() -> None:
    plan = plan_of(http("a", fallback=http("b", output="${b.headers.etag}")))
    fallback = plan.scope.nodes[0].fallback_scope
    assert fallback is not None
    assert fallback.nodes[0].headers_read == ("etag",)


def test_a_header_name_in_upper_case_would_never_be_there() -> None:
    with pytest.raises(CompileErrors) as caught:
        read("${a.headers['ETag']}")
    (found,) = caught.value.diagnostics
    assert (found.code, found.hint) == ("P002", "write 'etag'")
    assert found.message == "header names are lower-case: no response has 'ETag'"


def test_a_call_in_the_place_of_a_step_reports_the_headers_read_of_that_step() -> None:
    last = http("last")
    steps = http("a", fallback=http("b", fallback=last)), http("c")
    plan = plan_of(*steps, output="${a.headers.etag} ${c.headers.age}")
    second = plan.scope.nodes[0].fallback_scope
    assert second is not None
    third = second.nodes[0].fallback_scope
    assert third is not None
    assert [second.nodes[0].headers_read, third.nodes[0].headers_read] == [("etag",)] * 2
