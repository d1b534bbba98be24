"""Hosts of documents that came over the API are nobody's word that counts."""

from __future__ import annotations

import json
from typing import Any

from plait.compile import compile_text
from plait.connectors.http.step import HttpStep
from plait.document import Catalog
from plait.plan import Plan, all_nodes, dump_plan, load_plan
from plait.plan.origin import without_trust


def plan_of(*steps: Any) -> Plan:
    data = json.dumps({"name": "w", "steps": steps}).encode()
    return compile_text(data, name="w.json", catalog=Catalog([HttpStep])).plan


def call(name: str, url: str = "http://inner/x", **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "http", "request": {"url": url}, **more}


def trusted(plan: Plan) -> list[str]:
    nodes = all_nodes(plan.scope)
    return [one.id for one in nodes if one.options.get("host_is_literal")]


def test_no_host_is_trusted_wherever_its_step_stands() -> None:
    loop = {"id": "each_one", "type": "foreach", "items": [1], "steps": [call("inside")]}
    group = {"id": "group", "type": "sequence", "steps": [loop]}
    stands_in = {"type": "http", "request": {"url": "http://inner/y"}}
    plan = plan_of(call("a"), call("b", fallback=stands_in, compensate=stands_in), group)
    assert len(trusted(plan)) == 5
    strict = without_trust(plan)
    assert trusted(strict) == []
    assert strict.content_hash != plan.content_hash
    assert load_plan(dump_plan(strict)) == strict


def test_a_plan_without_literal_hosts_stays_the_same() -> None:
    plan = plan_of({"id": "a", "type": "set", "value": 1}, call("b", "${a.response}"))
    assert without_trust(plan) is plan
