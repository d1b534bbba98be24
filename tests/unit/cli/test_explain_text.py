"""The text of `plait explain`."""

from __future__ import annotations

from typing import Any

import orjson

from plait.cli.explain import explanation_lines
from plait.compile import compile_text
from plait.compile.explain import explain
from tests.unit.compile.plans import CATALOG, call, parallel, plan_of, wait


def text(*steps: dict[str, Any], **document: Any) -> str:
    return "\n".join(explanation_lines(explain(plan_of(*steps, **document))))


def test_a_whole_explanation_reads_like_this() -> None:
    offers = call("offers", "user", condition="${user.response.vip}", timeout="1s")
    retry = {"max_attempts": 2, "delay": "50ms", "max_delay": "1s"}
    user = call("user", attempt_timeout="500ms", retry=retry)
    assert text(user, call("orders", timeout="800ms"), offers) == (
        """\
example: 3 steps

Waves (what stands in one line can run at the same time)
  1  user, orders
  2  offers

Steps
  user (http, line 1)
      waits for nothing
      beside: orders
      worst case: 1.05s = 2 attempts × 500ms (attempt_timeout) + 50ms of waits; \
2s if Retry-After asks for the longest waits; 2 calls
  orders (http, line 1)
      waits for nothing
      beside: user, offers
      worst case: 800ms = 800ms (timeout); 1 call
  offers (http, line 1)
      waits for user: reads user.response.vip in condition
      waits for user: reads user.response.id in request.params.user
      beside: orders
      worst case: 1s = 1s (timeout); 1 call

Longest path, by time:  user → offers
Longest path, by steps: user → offers
Worst case: 2.05s; 3s if Retry-After asks for the longest waits; 4 calls"""
    )


def test_what_is_inside_is_indented_and_a_sequence_has_an_order_not_waves() -> None:
    found = text(call("a"), parallel("p", [call("x")]), order="sequence")
    assert "\nOrder: a → p\n" in found
    assert "\n    p[b0]/x (http, line 1)\n" in found
    assert "waits for a: runs after it in the sequence" in found


def test_what_has_no_bound_is_said_plainly_and_so_is_what_cuts_it_off() -> None:
    assert "Worst case: unbounded" in text(wait("w", "${input.n}"))
    found = text(wait("w", "${input.n}"), timeout="5s")
    assert "Worst case: 5s, cut off by the workflow's timeout of 5s" in found


def test_of_many_names_the_first_are_shown_and_the_rest_counted() -> None:
    found = text(*(call(f"s{number}") for number in range(30)))
    assert "  1  s0, s1, s2, s3, s4, s5, s6, s7 … and 22 more" in found
    assert "beside: s1, s2, s3, s4, s5, s6, s7, s8 … and 21 more" in found


def test_a_state_machine_is_told_state_by_state() -> None:
    entry = [{"id": "charge", "type": "set", "value": 1}]
    states = {
        "new": {"on": {"pay": {"target": "paid", "guard": "${event.payload}"}}},
        "paid": {"entry": entry, "after": {"3d": {"target": "new", "actions": [*entry]}}},
    }
    whole = {"name": "order", "initial": "new", "states": states, "timeout": "5d"}
    plan = compile_text(orjson.dumps(whole), name="m.json", catalog=CATALOG).plan
    assert "\n".join(explanation_lines(explain(plan))) == (
        """\
order: 2 states, 2 actions

States
  new (initial)
      pay [event.payload] → paid
  paid
      after 3d / charge → new

Actions
    states[paid][entry][*]/charge (set, line 1)
        waits for nothing
        worst case: takes no time
    states[paid][after_3d][*]/charge (set, line 1)
        waits for nothing
        worst case: takes no time

Worst case: 5d (timeout); it waits for events, as often as they come"""
    )
    told = explain(plan).as_json()["states"]
    assert told == [
        {"state": "new", "kind": "initial", "transitions": ["pay [event.payload] → paid"]},
        {"state": "paid", "kind": "state", "transitions": ["after 3d / charge → new"]},
    ]
