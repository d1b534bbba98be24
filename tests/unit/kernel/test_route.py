"""Route: who is next, what is handed over, how often at most."""

from __future__ import annotations

from typing import Any

import pytest

from plait.testing import Simulated, error, reply, simulate
from tests.simulation.asking import ask, give, plan_with

YIELDS = {"r": "${s.response}", "by": "${s.handler}", "path": "${s.path}"}


def handler(*steps: Any, following: Any = (), **more: Any) -> dict[str, Any]:
    return {"steps": list(steps), "next": list(following), **more}


def to(name: str, when: Any = None) -> dict[str, Any]:
    return {"to": name} if when is None else {"to": name, "when": when}


def run(script: Any = None, given: Any = None, **step: Any) -> Simulated:
    plan = plan_with({"id": "s", "type": "route", **step}, output=YIELDS)
    return simulate(plan, script or {}, input=given)


LEVELS = {
    "triage": handler(
        give("topic", "${input}"), following=[to("billing", "${topic.response == 'money'}")]
    ),
    "billing": handler(
        give("seen", "${previous.topic}"), following=[to("boss")], output="${seen.response}"
    ),
    "boss": handler(give("said", "${previous} ${iteration}"), output="${said.response}"),
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("money", {"r": "money 2", "by": "boss", "path": ["triage", "billing", "boss"]}),
        ("else", {"r": {"topic": "else"}, "by": "triage", "path": ["triage"]}),
    ],
)
def test_a_case_goes_from_level_to_level(given: str, expected: Any) -> None:
    assert run(given=given, handlers=LEVELS).output == expected


def test_the_first_transition_that_holds_is_taken() -> None:
    following = [to("b", "${input > 1}"), to("c", "${input > 0}"), to("d")]
    last = {name: handler(give("v", name)) for name in "bcd"}
    handlers = {"a": handler(give("v", 0), following=following), **last}
    ways = [run(given=n, handlers=handlers).output for n in (2, 1, 0)]
    assert [way["by"] for way in ways] == ["b", "c", "d"]  # type: ignore[index, call-overload]


def test_a_case_may_start_elsewhere_and_be_sent_back() -> None:
    back = [to("desk", "${iteration < 4}")]
    handlers = {
        "desk": handler(ask("x", effect="keyed"), following=[to("shop")]),
        "shop": handler(ask("y"), following=back),
    }
    script = {
        "s[shop]/y": reply(1),
        "s[desk]/x": reply(1),
        "s[shop#2]/y": reply(1),
        "s[desk#2]/x": reply(1),
        "s[shop#3]/y": reply(1),
    }
    result = run(script, start="shop", handlers=handlers)
    assert result.status == "completed"
    assert [call.step for call in result.calls] == list(script)
    keys = [str(one.idempotency_key).partition("/")[2] for one in result.calls[1::2]]
    assert keys == ["s[desk]/x", "s[desk#2]/x"]


@pytest.mark.parametrize("given_hops", [None, 3])
def test_it_is_handed_over_ten_times_at_most_unless_told_otherwise(
    given_hops: int | None,
) -> None:
    handlers = {
        "a": handler(give("v", 1), following=[to("b", "${v.response == 1}")]),
        "b": handler(give("w", 1), following=[to("a", "${w.response == 1}")]),
    }
    hops: Any = {} if given_hops is None else {"max_hops": given_hops}
    failure = run(handlers=handlers, **hops).failure
    assert failure is not None
    assert (failure.code, failure.step) == ("limit.hops", "s")
    details: Any = failure.details
    most = given_hops or 10
    assert details["max_hops"] == most
    assert details["path"] == [*"ab" * 20][: most + 2]


def test_what_fails_in_a_handler_and_a_broken_transition_fail_the_step() -> None:
    handlers = {"a": handler(ask("x"))}
    failure = run({"s[a]/x": error("connector.http.500")}, handlers=handlers).failure
    assert failure is not None
    assert failure.step == "s[a]/x"
    broken = [to("a", "${v.response.nothing.here}")]
    failure = run(handlers={"a": handler(give("v", {}), following=broken)}).failure
    assert failure is not None
    assert (failure.code, failure.step) == ("expression.no_such_key", "s")
