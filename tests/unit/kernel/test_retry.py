"""Retry in the engine: what is tried again, when, and what templates see of it."""

from __future__ import annotations

from typing import Any

import pytest

from plait.kernel.events import RetryScheduled, RetryStarted
from plait.testing import Simulated, error, reply, simulate
from tests.simulation.asking import ask, give, plan_with


def outcome(retry: Any, *answers: Any, **settings: Any) -> Simulated:
    plan = plan_with(ask("a", retry=retry, **settings))
    return simulate(plan, {"a": list(answers)})


def test_a_step_without_retry_is_tried_once() -> None:
    result = simulate(plan_with(ask("a")), {"a": [error("connector.timeout"), reply(1)]})
    assert (result.status, len(result.calls)) == ("failed", 1)


def test_max_attempts_counts_the_first_attempt_too() -> None:
    busy = error("connector.http.503")
    assert outcome({"max_attempts": 3}, busy, busy, reply(1)).output == {"a": 1}
    result = outcome({"max_attempts": 3}, busy, busy, busy, reply(1))
    assert (result.status, len(result.calls)) == ("failed", 3)
    assert result.failure is not None
    assert result.failure.attempts == 3


def test_one_attempt_means_no_retry() -> None:
    result = outcome({"max_attempts": 1}, error("connector.http.503"), reply(1))
    assert (result.status, len(result.calls)) == ("failed", 1)


@pytest.mark.parametrize(
    ("on", "code", "is_retried"),
    [
        (["connect"], "connector.connect", True),
        (["connect"], "connector.unknown_host", True),
        (["connect"], "connector.timeout", False),
        (["timeout"], "connector.timeout", True),
        (["any"], "connector.protocol", True),
        ([503], "connector.http.503", True),
        (["503"], "connector.http.503", True),
        ([502, 504], "connector.http.503", False),
        (503, "connector.http.503", True),
        ("5xx", "connector.http.599", True),
        ([404], "connector.http.404", True),
        (["connector.closed"], "connector.closed", True),
        (["connector.*"], "connector.decode", True),
        ("${error.code == 'connector.decode'}", "connector.decode", True),
        ("${error.code == 'connector.decode'}", "connector.closed", False),
        ("${error.details.body.again}", "connector.http.404", True),
        (["connector.*"], "connector.invalid_request", False),
        (["connector.invalid_request"], "connector.invalid_request", False),
        ("${true}", "connector.invalid_request", False),
        ("${true}", "connector.forbidden_address", False),
    ],
)
def test_on_names_classes_statuses_codes_or_an_expression(
    on: Any, code: str, is_retried: bool
) -> None:
    failed = error(code, details={"body": {"again": True}})
    result = outcome({"on": on, "max_attempts": 2}, failed, reply(1))
    assert (result.status == "completed") is is_retried


def test_an_expression_in_the_documents_defaults_decides_too() -> None:
    defaults = {"retry": {"max_attempts": 2, "on": "${error.code == 'connector.decode'}"}}
    plan = plan_with(ask("a"), defaults=defaults)
    assert simulate(plan, {"a": [error("connector.decode"), reply(1)]}).output == {"a": 1}
    assert simulate(plan, {"a": [error("connector.closed"), reply(1)]}).status == "failed"


def test_a_steps_own_retry_replaces_the_default_as_a_whole() -> None:
    defaults = {"retry": {"max_attempts": 5, "on": ["connector.decode"]}}
    plan = plan_with(ask("a", retry={"max_attempts": 2}), defaults=defaults)
    assert simulate(plan, {"a": [error("connector.closed"), reply(1)]}).output == {"a": 1}
    assert simulate(plan, {"a": [error("connector.decode"), reply(1)]}).status == "failed"


def test_a_step_can_refuse_the_default_with_null() -> None:
    plan = plan_with(ask("a", retry=None), defaults={"retry": {"max_attempts": 5}})
    assert len(simulate(plan, {"a": error("connector.timeout")}).calls) == 1


def test_defaults_are_for_calls_only() -> None:
    plan = plan_with({"id": "f", "type": "fail"}, defaults={"on_error": "continue"})
    assert simulate(plan, {}).status == "failed"


@pytest.mark.parametrize(
    ("on", "code"),
    [
        ("${error.code}", "expression.not_bool"),
        ("${error.details.nope == 1}", "expression.no_such_key"),
    ],
)
def test_a_retry_condition_without_a_value_leaves_the_calls_own_failure(
    on: str, code: str
) -> None:
    closed = error("connector.closed", "cut off", details={"body": "half"})
    result = outcome({"on": on}, closed, reply(1))
    failure = result.failure
    assert failure is not None
    told = (failure.code, failure.message, failure.step, failure.attempts)
    assert told == ("connector.closed", "cut off", "a", 1)
    assert len(result.calls) == 1
    details: Any = failure.details
    assert (details["body"], details["retry_on"]["code"]) == ("half", code)
    assert details["retry_on"]["message"].startswith("${error.")
    assert details["retry_on"]["place"]["pointer"] == "/steps/0/retry/on"


def test_a_retry_condition_without_a_value_lets_the_fallback_answer() -> None:
    told = "${error.details.retry_on.code}"
    result = outcome({"on": "${error.code}"}, error("connector.closed"), fallback=told)
    assert result.output == {"a": "expression.not_bool"}


def test_an_unsafe_call_is_repeated_only_when_nothing_was_sent() -> None:
    retry = {"on": ["any"]}
    unsent = outcome(retry, error("connector.connect"), reply(1), effect="unsafe")
    assert unsent.output == {"a": 1}
    for code in ("connector.timeout", "connector.closed", "connector.http.503"):
        sent = outcome(retry, error(code), reply(1), effect="unsafe")
        assert (sent.status, len(sent.calls)) == ("failed", 1), code


def test_a_closed_connection_before_anything_was_sent_may_be_retried() -> None:
    never_sent = error("connector.closed", sent=False)
    assert outcome({}, never_sent, reply(1), effect="unsafe").status == "completed"


def test_a_wrong_request_template_is_not_retried() -> None:
    plan = plan_with(ask("a", "${input.missing}", retry={"on": ["any"]}))
    result = simulate(plan, {}, input={})
    assert result.failure is not None
    assert (result.failure.attempts, result.calls) == (1, [])


def test_a_wrong_output_template_does_not_repeat_the_call() -> None:
    result = outcome({"on": ["any"]}, reply({}), output="${a.response.id}")
    assert (result.status, len(result.calls)) == ("failed", 1)


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        ({"backoff": "fixed"}, [200, 200, 200]),
        ({"backoff": "linear"}, [200, 400, 600]),
        ({"backoff": "exponential", "factor": 3}, [200, 600, 1_800]),
        ({"backoff": "exponential"}, [200, 400, 800]),
        ({"backoff": "linear", "max_delay": "300ms"}, [200, 300, 300]),
    ],
)
def test_the_waits_follow_the_backoff(backoff: Any, expected: list[int]) -> None:
    busy = error("connector.http.503")
    retry = {"max_attempts": 4, "delay": "200ms", **backoff}
    result = outcome(retry, busy, busy, busy, reply(1))
    planned = [e for e in result.events if isinstance(e, RetryScheduled)]
    assert [event.due_at_ms - event.at_ms for event in planned] == expected
    assert result.elapsed_ms == sum(expected)


def test_the_same_execution_jitters_alike_and_another_differently() -> None:
    retry = {"max_attempts": 2, "delay": "10s", "jitter": 1}
    busy = error("connector.http.503")
    first = outcome(retry, busy, reply(1)).elapsed_ms
    assert first == outcome(retry, busy, reply(1)).elapsed_ms
    assert first != outcome({**retry, "delay": "9s"}, busy, reply(1)).elapsed_ms


def test_retry_after_is_waited_for_as_far_as_max_delay_allows() -> None:
    polite = error("connector.http.429", retry_after_ms=5_000)
    retry = {"max_attempts": 2, "delay": "100ms"}
    assert outcome(retry, polite, reply(1)).elapsed_ms == 5_000
    capped = outcome({**retry, "max_delay": "2s"}, polite, reply(1))
    assert capped.elapsed_ms == 2_000


def test_a_retry_is_told_as_events_with_the_attempt_and_its_failure() -> None:
    result = outcome({"delay": "50ms"}, error("connector.closed", after_ms=7), reply(1))
    kinds = [e for e in result.events if isinstance(e, (RetryScheduled, RetryStarted))]
    scheduled, begun = kinds
    assert isinstance(scheduled, RetryScheduled)
    assert (scheduled.attempt, scheduled.failure.code) == (1, "connector.closed")
    assert isinstance(begun, RetryStarted)
    assert (begun.attempt, begun.at_ms) == (2, scheduled.due_at_ms)


def test_the_view_counts_the_attempts() -> None:
    plan = plan_with(ask("a", retry={}), give("n", "${a.attempts}"))
    script = {"a": [error("connector.closed"), error("connector.closed"), reply(1)]}
    assert simulate(plan, script).output == {"a": 1, "n": 3}


@pytest.mark.parametrize("on", [["job.running"], ["any"], ["job.*"]])
def test_a_container_can_be_retried_as_a_whole(on: list[str]) -> None:
    poll = {
        "id": "poll",
        "type": "sequence",
        "retry": {"max_attempts": 3, "delay": "1s", "on": on},
        "steps": [
            ask("state"),
            {
                "id": "again",
                "type": "fail",
                "code": "job.running",
                "condition": "${state.response == 'running'}",
            },
        ],
    }
    states = iter(["running", "running", "done"])
    result = simulate(plan_with(poll), lambda _: reply(next(states)))
    assert result.output == {"poll": {"state": "done"}}
    assert result.elapsed_ms == 2_000


def test_without_on_a_failure_that_the_document_asked_for_is_final() -> None:
    step = {"id": "f", "type": "fail", "code": "job.lost"}
    group = {"id": "g", "type": "sequence", "retry": {"max_attempts": 3}, "steps": [step]}
    result = simulate(plan_with(group), {})
    assert [path for path in result.steps if path.startswith("g~")] == []
    assert result.failure is not None
    assert result.failure.code == "job.lost"


def test_a_failing_container_gives_up_after_its_attempts() -> None:
    group = {
        "id": "g",
        "type": "parallel",
        "retry": {"max_attempts": 2},
        "branches": {"l": {"steps": [ask("x")]}, "r": {"steps": [ask("y")]}},
    }
    script = {"g[l]/x": reply(1), "g[r]/y": error("connector.http.503", after_ms=5)}
    result = simulate(plan_with(group), script)
    first, second = ["g[l]/x", "g[r]/y"], ["g~2[l]/x", "g~2[r]/y"]
    assert [call.step for call in result.calls] == first + second
    assert result.failure is not None
    assert (result.failure.step, result.failure.attempts) == ("g~2[r]/y", 1)
