"""Calls: what a StartCall says."""

from __future__ import annotations

from typing import Any

import pytest

from plait.kernel import StartCall
from plait.testing import Simulation, error, reply, simulate
from tests.simulation.asking import ask, give, plan_with


def calls_of(*steps: Any, script: Any = None, **given: Any) -> list[StartCall]:
    sim = Simulation(plan_with(*steps), script or (lambda _: reply(1)), **given)
    return sim.run().calls


def test_a_call_carries_its_rendered_request_and_its_address() -> None:
    (call,) = calls_of(ask("a", {"id": "${input.id}"}), input={"id": 7}, execution_id="e1")
    assert call.request == {"play": [], "arg": {"id": 7}}
    assert (call.kind, call.step, call.attempt, call.execution_id) == ("ask", "a", 1, "e1")


def test_attempts_count_from_one() -> None:
    script = {"a": [error("connector.closed"), reply(1)]}
    assert [c.attempt for c in calls_of(ask("a", retry={}), script=script)] == [1, 2]


def test_a_request_may_read_secrets() -> None:
    (call,) = calls_of(ask("a", "Bearer ${secrets.token}"), secrets={"token": "s3cret"})
    assert call.request["arg"] == "Bearer s3cret"


def test_secrets_are_in_no_event() -> None:
    plan = plan_with(ask("a", "${secrets.token}", retry={}), give("b", "${a.response}"))
    sim = Simulation(
        plan, {"a": [error("connector.closed"), reply(1)]}, secrets={"token": "s3cret"}
    )
    assert "s3cret" not in repr(sim.run().events)


def test_a_call_passes_the_trace_headers_on() -> None:
    trace = (("traceparent", "00-…"),)
    (call,) = calls_of(ask("a"), trace=trace)
    assert call.trace == trace


def test_a_read_has_no_idempotency_key() -> None:
    assert [c.idempotency_key for c in calls_of(ask("a", effect="read"))] == [None]


def test_all_attempts_of_a_keyed_call_carry_one_key_and_other_steps_another() -> None:
    script = {"a": [error("connector.closed"), reply(1)], "b": reply(1)}
    made = calls_of(
        ask("a", effect="keyed", retry={}), ask("b", effect="keyed"), script=script
    )
    keys = {step: {c.idempotency_key for c in made if c.step == step} for step in "ab"}
    assert len(keys["a"]) == len(keys["b"]) == 1
    assert keys["a"] != keys["b"]
    assert None not in keys["a"] | keys["b"]


def test_another_execution_has_another_key() -> None:
    step = ask("a", effect="keyed")
    (first,) = calls_of(step, execution_id="e1")
    (second,) = calls_of(step, execution_id="e2")
    assert first.idempotency_key != second.idempotency_key


@pytest.mark.parametrize("effect", ["read", "keyed", "unsafe"])
def test_the_documents_own_key_is_carried_whatever_the_effect(effect: str) -> None:
    step = ask("a", effect=effect, idempotency_key="order-${input.id}")
    (call,) = calls_of(step, input={"id": 7})
    assert call.idempotency_key == "order-7"


def test_an_unsafe_call_has_no_key_of_its_own() -> None:
    assert [c.idempotency_key for c in calls_of(ask("a", effect="unsafe"))] == [None]


def test_an_idempotency_key_of_null_is_none_given() -> None:
    (call,) = calls_of(ask("a", effect="read", idempotency_key=None))
    assert call.idempotency_key is None


@pytest.mark.parametrize("value", [None, "", {"a": 1}, True])
def test_a_key_that_is_no_text_fails_rather_than_be_shared(value: Any) -> None:
    # "None" as a key would make one payment of all those without an id.
    plan = plan_with(ask("a", idempotency_key="${input.id}"))
    result = simulate(plan, {"a": reply(1)}, input={"id": value})
    assert result.failure is not None
    assert (result.failure.code, result.calls) == ("step.idempotency_key", [])


def test_a_whole_number_is_a_good_key() -> None:
    (call,) = calls_of(ask("a", idempotency_key="${input.id}"), input={"id": 7})
    assert call.idempotency_key == "7"


def test_facts_of_the_connector_become_keys_of_the_value() -> None:
    plan = plan_with(ask("a"), give("b", "${a.note}"))
    script = {"a": reply(1, facts={"note": "hello"})}
    assert simulate(plan, script).output == {"a": 1, "b": "hello"}


def test_facts_are_null_when_the_call_gave_none() -> None:
    plan = plan_with(
        ask("a", condition=False),
        give("b", "${a.note}"),
        ask("c", on_error="continue"),
        give("d", "${c.note}"),
        ask("e", fallback=1),
        give("f", "${e.note}"),
    )
    result = simulate(plan, lambda _: error("connector.protocol"))
    assert result.output == {"b": None, "d": None, "e": 1, "f": None}
