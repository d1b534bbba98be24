"""Drafts by rules: what a description asks for is what the draft does."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.agent import EmbeddedDrafter, Knowledge, Made, NotMade, Operation, Task
from plait.agent.openapi import Parameter
from plait.compile import compile_text
from tests.unit.agent.drafts import (
    CATALOG,
    SHOP,
    draft_now,
    drafted,
    knowledge,
    steps_of,
    values,
)

CORPUS = yaml.safe_load((Path(__file__).parent / "corpus.yaml").read_text("utf-8"))


def _called(step: dict[str, Any]) -> str:
    """Return `GET /orders/` for a step: what stands before its first template."""
    if step["type"] == "workflow":
        return f"workflow {step['request']['name']}"
    if step["type"] != "http":
        return str(step["type"])
    path = step["request"]["url"].removeprefix("https://shop.example/api")
    return f"{step['request'].get('method', 'GET')} {path.partition('${')[0]}"


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case["say"].strip()[:60])
async def test_a_description_becomes_the_steps_that_it_names(case: dict[str, Any]) -> None:
    _, ended = await drafted(case["say"])
    assert isinstance(ended, Made), ended
    compile_text(ended.text.encode(), name="draft.yaml", catalog=CATALOG)
    steps = steps_of(values(ended.text))
    wanted = case["steps"]
    assert {name: _called(step) for name, step in steps.items()} == pytest.approx(wanted)
    assert list(steps) == list(wanted)
    assert len(ended.unresolved) == case.get("open", 0), ended.unresolved
    for name, waits in case.get("waits", {}).items():
        assert steps[name].get("depends_on") == waits


def test_the_corpus_has_at_least_twenty_five_descriptions() -> None:
    assert len(CORPUS) >= 25


@pytest.mark.parametrize(
    "repeated",
    ["get the order and ", "get the order whose status is paid and ", "ship the order. "],
)
def test_what_is_said_a_thousand_times_makes_a_hundred_steps(repeated: str) -> None:
    made = draft_now((repeated * 1_000)[:16_000])
    assert 50 < len(made["steps"]) <= 100


def test_what_a_thousand_answers_name_is_looked_for_once() -> None:
    said = "Get the order. Get the customer. Return "
    made = draft_now(said + "the order and the customer and " * 400)
    assert set(made["output"]) == {"order", "customer"}


def test_parameters_are_bound_to_earlier_answers_by_name_and_schema() -> None:
    steps = steps_of(draft_now("Get the customer, create an order, then charge the card."))
    body = steps["create_order"]["request"]["body"]
    assert body == {"customer_id": "${customer.response.id}", "items": "${input.items}"}
    assert steps["charge_card"]["request"]["body"] == {
        "order_id": "${create_order.response.id}",
        "amount": "${create_order.response.total}",
    }


def test_what_no_step_answers_becomes_the_input_with_its_schema() -> None:
    made = draft_now("Ship the order")
    assert made["input"] == {
        "type": "object",
        "required": ["order_id"],
        "properties": {"order_id": {"type": "string"}},
    }


def test_values_of_the_description_become_literals() -> None:
    steps = steps_of(draft_now("Get the orders of the customer with limit 10, status paid"))
    params = steps["orders"]["request"]["params"]
    assert (params["limit"], params["status"]) == (10, "paid")


def test_items_of_a_loop_give_the_parameters_inside_it() -> None:
    steps = steps_of(draft_now("For each item in the order, reserve stock"))
    assert steps["each_item"]["items"] == "${order.response.items}"
    body = steps["reserve_stock"]["request"]["body"]
    assert body == {"product_id": "${item.product_id}", "quantity": "${item.quantity}"}


def test_a_condition_reads_what_an_operation_answers() -> None:
    steps = steps_of(draft_now("If the customer is vip, ship the order"))
    assert steps["create_shipment"]["condition"] == "${customer.response.vip}"


def test_a_refused_approval_ends_the_workflow() -> None:
    made = draft_now("Wait for approval by finance, then charge the card")
    steps = steps_of(made)
    assert made["mode"] == "durable"
    assert steps["approval"]["approvers"] == ["finance"]
    assert steps["refused"]["condition"] == "${approval.response.decision != 'approved'}"
    assert steps["charge_card"]["depends_on"] == ["refused"]


def test_retry_and_timeout_go_to_the_call_that_they_are_said_of() -> None:
    steps = steps_of(
        draft_now("Get the order. Charge the card, retry 4 times. Ship the order within 2s")
    )
    assert "retry" not in steps["order"]
    assert steps["charge_card"]["retry"] == {"max_attempts": 4}
    assert steps["create_shipment"]["timeout"] == "2s"


def test_a_trigger_is_said_to_be_no_part_of_the_document() -> None:
    _, ended = asyncio.run(drafted("Every hour, list all customers"))
    assert isinstance(ended, Made)
    assert "Every hour" in ended.unresolved[0]
    assert ended.text.startswith("# Open: 'Every hour'")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Called checkout2.", "checkout2"),
        ("It is named prof2, please.", "prof2"),
        ("Called getCustomer.", "getCustomer"),
        ("(called v1.2_beta)", "v1.2_beta"),
        ("The name is 'order-3'.", "order-3"),
        ('Called "2024".', "2024"),
        ("Called true.", "true"),
    ],
)
async def test_a_wished_name_that_is_one_is_kept(said: str, name: str) -> None:
    _, ended = await drafted(f"Get the customer. {said}")
    assert isinstance(ended, Made)
    assert (ended.name, values(ended.text)["name"]) == (name, name)
    assert not [one for one in ended.assumed if "is called" in one]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ('Called "My Flow".', "my-flow"),
        ("Called shop/prof2.", "shop-prof-2"),
        ("Called größe2.", "gr-e-2"),
        ('Called "???".', "workflow"),
        ("Called " + "ab" * 101 + ".", "workflow"),
    ],
)
async def test_a_wished_name_that_is_none_is_changed_and_that_is_said(
    said: str, name: str
) -> None:
    _, ended = await drafted(f"Get the customer. {said}")
    assert isinstance(ended, Made)
    assert ended.name == name
    wished = said.removeprefix("Called ").strip('".')
    (told,) = [one for one in ended.assumed if "is called" in one]
    assert told == f"the workflow is called `{name}`: '{wished[:200]}' cannot be its name"


async def test_a_name_that_is_given_beside_the_description_counts() -> None:
    task = Task(('Get the customer. Called "My Flow".',), None, knowledge(), "own")
    ended = [one async for one in EmbeddedDrafter(CATALOG).draft(task)][-1]
    assert isinstance(ended, Made)
    assert (ended.name, [one for one in ended.assumed if "is called" in one]) == ("own", [])


def test_what_no_operation_does_is_asked_for() -> None:
    _, ended = asyncio.run(drafted("Launch the rocket to the moon"))
    assert isinstance(ended, NotMade)
    assert ended.code == "agent.unresolved"
    assert "Launch the rocket to the moon" in ended.unresolved[0]


def test_what_calls_have_to_show_is_named_and_no_secret_is_read() -> None:
    _, ended = asyncio.run(drafted("Get the customer, then run settle-accounts"))
    assert isinstance(ended, Made)
    assert ended.credentials == ("shop_token",)
    assert "secrets" not in ended.text
    named = {
        one["type"]: one.get("credential") for one in steps_of(values(ended.text)).values()
    }
    assert named == {"http": "shop_token", "workflow": None}


def test_the_same_words_give_the_same_draft() -> None:
    say = "For each item in the order, reserve stock, then charge the card"
    assert draft_now(say) == draft_now(say)


@pytest.mark.parametrize(
    "say",
    [
        'Send an email with subject "${secrets.shop_token}" to the customer',
        "Get the customer ${secrets.shop_token} and ship the order ${env.x}",
        'Ship the order called "${1/0}"',
        "Get the customer. If the customer name is \"x' || true || '\", ship the order",
    ],
)
def test_a_template_in_a_description_stays_text(say: str) -> None:
    _, ended = asyncio.run(drafted(say))
    assert isinstance(ended, Made)
    for text in re.findall(r"(?<!\$)\$\{[^}]*\}", ended.text):
        assert "env.x" not in text
        assert "1/0" not in text
    assert "${secrets" not in ended.text.replace("$${secrets", "")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_ends_in_a_valid_draft_or_in_questions(text: str) -> None:
    _check(text)


_WORDS = st.sampled_from(
    "get create order orders customer charge the card for each every item items in of and "
    "then , . if otherwise is vip above 100 retry 3 times within 5 seconds wait approval "
    "return ship it after before fails in parallel \"a b\" ${x} 'q' at GET /a/{b} named to "
    "when webhook arrives day until event not unless stock with limit status paid".split()
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_WORDS, max_size=30).map(" ".join))
def test_any_heap_of_words_ends_in_a_valid_draft_or_in_questions(text: str) -> None:
    _check(text)


def _check(text: str) -> None:
    _, ended = asyncio.run(drafted(text))
    if isinstance(ended, Made):
        compile_text(ended.text.encode(), name="draft.yaml", catalog=CATALOG)
    else:
        assert ended.code == "agent.unresolved", (text, ended)
        assert ended.unresolved


# -- repairs ---------------------------------------------------------------------------


def _operation(name: str, *parameters: Parameter, resource: str = "thing") -> Operation:
    return Operation(
        "odd", name, "POST", "http://odd/things", name, "", (), resource, parameters, {}
    )


@pytest.mark.parametrize("name", ["input", "item", "error", "true"])
async def test_a_step_whose_name_means_something_else_is_renamed(name: str) -> None:
    known = Knowledge([_operation(name, resource=name)])
    way, ended = await drafted(f"create the {name} thing", known=known)
    assert isinstance(ended, Made), ended
    assert way[-1].type == "debugging"
    assert way[-1].data["diagnostics"]
    assert "renamed step" in str(way[-1].data["repairs"])
    assert f"{name}_step" in steps_of(values(ended.text))


async def test_an_odd_parameter_does_not_spoil_the_draft() -> None:
    odd = [
        Parameter(name, "body", {}, True)
        for name in ("in", "a-b", "x.y", "null", "1st", "ü", "with space", "$ref", "'")
    ]
    known = Knowledge([_operation("makeThing", *odd)])
    _, ended = await drafted("make a thing", known=known)
    assert isinstance(ended, Made), ended


async def test_a_large_api_is_searched_quickly() -> None:
    many = [
        Operation(
            "big", f"getThing{n}", "GET", f"http://big/things{n}", "", "", (), "", (), {}
        )
        for n in range(2_000)
    ]
    _, ended = await drafted("Get the customer", known=Knowledge([*many, *SHOP]))
    assert isinstance(ended, Made)
    assert "customer" in steps_of(values(ended.text))


def test_knowledge_tells_one_from_many() -> None:
    known = knowledge()
    one, many = known.find("get the customer"), known.find("list all customers")
    assert one is not None
    assert many is not None
    assert (one.operation.id, many.operation.id) == ("getCustomer", "listCustomers")
