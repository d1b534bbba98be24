"""`triggers` of documents: webhooks, and what is wrong with them."""

from __future__ import annotations

import pytest

from plait.plan import Webhook, dump_plan, load_plan
from tests.simulation.asking import plan_of
from tests.unit.compile.reading import lines_of

STEPS = [{"id": "a", "type": "set", "value": 1}]
HOOK = {"type": "webhook", "path": "/shop/paid", "secret": "shop"}


def test_a_plan_says_which_webhooks_start_it_and_keeps_its_hash_without_any() -> None:
    plan = plan_of({"name": "t", "steps": STEPS, "triggers": [HOOK]})
    assert plan.webhooks == (Webhook("/shop/paid", "shop"),)
    assert load_plan(dump_plan(plan)) == plan
    without = plan_of({"name": "t", "steps": STEPS})
    assert plan_of({"name": "t", "steps": STEPS, "triggers": []}) == without
    assert b"webhooks" not in dump_plan(without)


def test_p035_a_webhook_of_an_express_workflow_and_one_that_stands_twice() -> None:
    hook = "{type: webhook, path: /x, secret: s}"
    steps = "steps: [{id: a, type: set, value: 1}]"
    text = f"name: t\nmode: express\ntriggers: [{hook}]\n{steps}"
    (line,) = lines_of(text)
    assert line.startswith("3:12: P035 a webhook starts durable executions")
    text = (
        f"name: t\ntriggers:\n- {hook}\n- {hook}\nsteps: [{{id: a, type: set, value: 1}}]"
    )
    assert lines_of(text) == [
        "4:25: P035 the webhook '/x' stands here twice (give each a path of its own)"
    ]


def test_a_webhook_without_secret_or_with_an_odd_path_is_refused() -> None:
    text = """
        name: t
        triggers:
          - {type: webhook, path: /x}
          - {type: webhook, path: "/a/{b}", secret: s}
          - {type: webhook, path: /~acme/x, secret: s}
          - {type: schedule, path: /x, secret: s}
          - {type: webhook, path: /x, secret: s, sceret: t}
          - {type: webhook, path: /a/../b, secret: s}
          - {type: webhook, path: /., secret: s}
        steps: [{id: a, type: set, value: 1}]
    """
    found = [line.split()[:2] for line in lines_of(text)]
    assert [(where.split(":")[0], code) for where, code in found] == [
        ("3", "D102"),
        ("4", "D103"),
        ("5", "D103"),
        ("6", "D103"),
        ("7", "D101"),
        ("8", "D103"),
        ("9", "D103"),
    ]


@pytest.mark.parametrize("path", ["/../a", "/a/.", "/%2e%2E/a"])
def test_an_endpoint_that_no_request_can_reach_is_refused(path: str) -> None:
    text = f"name: t\nendpoint: {{method: GET, path: {path}}}\n"
    (line,) = lines_of(text + "steps: [{id: a, type: set, value: 1}]")
    assert line.startswith("2:31: D1")
    assert "no request can have the segment" in line
