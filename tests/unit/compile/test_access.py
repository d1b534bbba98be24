"""`auth` and `rate_limit` of an endpoint, as the plan has them."""

from __future__ import annotations

from typing import get_args

import pytest

from plait.compile import compile_text
from plait.document.access import EndpointAuth
from plait.model.caller import ROLES
from plait.model.rate import parse_rate
from plait.plan import Endpoint, dump_plan, load_plan
from tests.unit.compile.plans import CATALOG


def endpoint(keys: str) -> Endpoint:
    text = f"""\
name: t
endpoint: {{path: /x{keys}}}
steps: [{{id: a, type: set, value: 1}}]
"""
    plan = compile_text(text.encode(), name="t.yaml", catalog=CATALOG).plan
    assert load_plan(dump_plan(plan)) == plan
    assert plan.endpoint is not None
    return plan.endpoint


@pytest.mark.parametrize(
    ("keys", "role"),
    [
        ("", None),
        (", auth: none", "none"),
        (", auth: required", "operator"),
        (", auth: {role: admin}", "admin"),
    ],
)
def test_auth_is_the_role_that_callers_need(keys: str, role: str | None) -> None:
    assert endpoint(keys).role == role


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", (0, 0, "caller")),
        (', rate_limit: "100/1m"', (100, 60_000, "caller")),
        (", rate_limit: {limit: 5, per: 1s, by: all}", (5, 1_000, "all")),
    ],
)
def test_a_rate_is_so_many_in_so_much_time(keys: str, expected: object) -> None:
    made = endpoint(keys)
    assert (made.rate_limit, made.rate_ms, made.rate_by) == expected


def test_an_endpoint_without_them_is_the_plan_that_it_was() -> None:
    text = b"name: t\nendpoint: {path: /x}\nsteps: [{id: a, type: set, value: 1}]\n"
    plan = compile_text(text, name="t.yaml", catalog=CATALOG).plan
    assert b"rate" not in dump_plan(plan)
    assert b"role" not in dump_plan(plan)


def test_documents_know_the_roles_that_callers_have() -> None:
    assert get_args(EndpointAuth.model_fields["role"].annotation) == ROLES


@pytest.mark.parametrize("text", ["", "1", "/1m", "0/1m", "1/0s", "1/x", "-1/1s", "1/1s "])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rate|duration"):
        parse_rate(text)
